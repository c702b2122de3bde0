/**
 * The string: one line that both voices move.
 *
 * It is drawn as a string with fixed ends. Each harmonic takes its strength from one band of the
 * voice's spectrum, so what is seen is what is said, not a decoration beside it.
 */

import type { Phase } from "./session";
import type { Who } from "./transcript";

const HARMONICS = 9;
const FFT_SIZE = 512;
/** Speech lies below this; higher bands would only show hiss. */
const TOP_HZ = 3600;
/** Share of a new level that is taken per frame: fast up, slow down, like an ear. */
const ATTACK = 0.55;
const RELEASE = 0.12;
const STROKES = [
  { phase: 0, alpha: 1, width: 2.5 },
  { phase: 0.45, alpha: 0.42, width: 1.5 },
  { phase: 0.9, alpha: 0.22, width: 1.25 },
  { phase: -0.45, alpha: 0.3, width: 1.25 },
] as const;

/** The string at rest, before anybody spoke: a chord held still. */
const CHORD = [0.16, 0.1, 0.2, 0.05, 0.12, 0.03, 0.07, 0.02, 0.03] as const;
/** Turns each harmonic against the next one, else they all swell at the same end. */
const TWIST = 2.4;

interface Voice {
  readonly source: MediaStreamAudioSourceNode;
  readonly analyser: AnalyserNode;
  readonly bins: Uint8Array<ArrayBuffer>;
}

/** Loudness of each band, 0 to 1, from the analyser's bytes. Exported for its test. */
export function bands(bins: Uint8Array, sampleRate: number, count: number): number[] {
  const used = Math.max(count, Math.min(bins.length, Math.round((TOP_HZ / (sampleRate / 2)) * bins.length)));
  return Array.from({ length: count }, (_, band) => {
    const from = Math.floor((band * used) / count);
    const to = Math.max(from + 1, Math.floor(((band + 1) * used) / count));
    let sum = 0;
    for (let bin = from; bin < to; bin += 1) sum += bins[bin] ?? 0;
    return sum / (to - from) / 255;
  });
}

export class Meter {
  #context: AudioContext | null = null;
  #voices = new Map<Who, Voice>();
  #levels: Record<Who, number[]> = {
    user: new Array<number>(HARMONICS).fill(0),
    agent: new Array<number>(HARMONICS).fill(0),
  };
  #phase: Phase = "idle";
  #muted = false;
  #frame = 0;
  #still: MediaQueryList;
  #colors: Record<Who | "line", string> = { user: "", agent: "", line: "" };

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.#still = matchMedia("(prefers-reduced-motion: reduce)");
    new ResizeObserver(() => this.#resize()).observe(canvas);
    const repaint = (): void => this.#readColors();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    this.#readColors();
    this.#resize();
  }

  /** Must be called within a click: browsers let no page make or measure sound before one. */
  unlock(): void {
    this.#context ??= new AudioContext();
    void this.#context.resume().catch(() => undefined);
  }

  listen(who: Who, track: MediaStreamTrack): void {
    this.deafen(who);
    if (this.#context === null) return;
    const source = this.#context.createMediaStreamSource(new MediaStream([track]));
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = FFT_SIZE;
    analyser.smoothingTimeConstant = 0.5;
    source.connect(analyser);
    this.#voices.set(who, { source, analyser, bins: new Uint8Array(analyser.frequencyBinCount) });
  }

  deafen(who: Who): void {
    this.#voices.get(who)?.source.disconnect();
    this.#voices.delete(who);
  }

  show(phase: Phase, muted: boolean): void {
    this.#muted = muted;
    this.#phase = phase;
    if (!this.#moving && this.#frame !== 0) {
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
    }
    if (this.#moving && this.#frame === 0) this.#frame = requestAnimationFrame(this.#tick);
    if (!this.#moving) this.#draw(0);
  }

  get #moving(): boolean {
    return this.#phase !== "idle" && this.#phase !== "ended" && this.#phase !== "error";
  }

  readonly #tick = (now: number): void => {
    this.#measure("user");
    this.#measure("agent");
    this.#draw(now / 1000);
    this.#frame = this.#moving ? requestAnimationFrame(this.#tick) : 0;
  };

  #measure(who: Who): void {
    const voice = this.#voices.get(who);
    const silent = voice === undefined || (who === "user" && this.#muted);
    let fresh: number[] = [];
    if (!silent) {
      voice.analyser.getByteFrequencyData(voice.bins);
      fresh = bands(voice.bins, voice.analyser.context.sampleRate, HARMONICS);
    }
    const levels = this.#levels[who];
    for (let k = 0; k < HARMONICS; k += 1) {
      const old = levels[k] ?? 0;
      const target = Math.max(0, (fresh[k] ?? 0) - 0.12);
      levels[k] = old + (target - old) * (target > old ? ATTACK : RELEASE);
    }
  }

  #readColors(): void {
    const style = getComputedStyle(this.canvas);
    this.#colors = {
      user: style.getPropertyValue("--voice-user").trim(),
      agent: style.getPropertyValue("--voice-agent").trim(),
      line: style.color,
    };
    if (!this.#moving) this.#draw(0);
  }

  #resize(): void {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.max(1, Math.round(clientWidth * scale));
    this.canvas.height = Math.max(1, Math.round(clientHeight * scale));
    if (!this.#moving) this.#draw(0);
  }

  #draw(t: number): void {
    const pen = this.canvas.getContext("2d");
    if (pen === null) return;
    const scale = window.devicePixelRatio || 1;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    pen.lineCap = "round";
    pen.lineJoin = "round";
    if (this.#still.matches) {
      this.#drawStill(pen);
    } else if (!this.#moving) {
      this.#drawRest(pen);
    } else {
      this.#drawMoving(pen, t);
    }
  }

  /** Before a conversation both voices' colours wait on the string; after it, it lies flat. */
  #drawRest(pen: CanvasRenderingContext2D): void {
    if (this.#phase !== "idle") {
      this.#stroke(pen, this.#colors.line, 1, 2, () => 0);
      return;
    }
    this.#drawHarmonics(pen, this.#colors.agent, CHORD, 1.1, 0);
    this.#drawHarmonics(pen, this.#colors.user, CHORD, 2.6, 0);
  }

  /** Without motion: a line whose lit length is the loudness. */
  #drawStill(pen: CanvasRenderingContext2D): void {
    this.#stroke(pen, this.#colors.line, 1, 2, () => 0);
    for (const who of ["user", "agent"] as const) {
      const half = Math.min(0.5, this.#loudness(who));
      if (half > 0.01) this.#stroke(pen, this.#colors[who], 1, 4, () => 0, 0.5 - half, 0.5 + half);
    }
  }

  #drawMoving(pen: CanvasRenderingContext2D, t: number): void {
    if (this.#phase === "connecting" || this.#phase === "waiting") {
      const at = (t * 0.55) % 1.3 - 0.15;
      this.#stroke(pen, this.#colors.line, 1, 2, (x) => 0.34 * bump(x, at, 0.05));
      return;
    }
    if (this.#phase === "thinking") {
      const at = 0.5 + 0.32 * Math.sin(t * 2.1);
      const color = this.#colors.agent;
      this.#stroke(pen, color, 1, 2.5, (x) => 0.3 * bump(x, at, 0.11) * Math.sin(58 * (x - at) + t * 9));
      return;
    }
    const order: Who[] = this.#phase === "speaking" ? ["user", "agent"] : ["agent", "user"];
    for (const who of order) {
      const quiet = who !== order[1];
      if (quiet && this.#loudness(who) < 0.015) continue;
      this.#drawVoice(pen, who, t);
    }
  }

  #drawVoice(pen: CanvasRenderingContext2D, who: Who, t: number): void {
    const levels = this.#levels[who];
    const color = who === "user" && this.#muted ? this.#colors.line : this.#colors[who];
    this.#drawHarmonics(pen, color, levels, t, this.#muted && who === "user" ? 0 : 0.014);
  }

  /** Draws the string moved by `levels` at the moment `t`; `rest` is its swing in silence. */
  #drawHarmonics(
    pen: CanvasRenderingContext2D,
    color: string,
    levels: readonly number[],
    t: number,
    rest: number,
  ): void {
    for (const stroke of STROKES) {
      this.#stroke(pen, color, stroke.alpha, stroke.width, (x) => {
        let y = rest * Math.sin(Math.PI * x) * Math.sin(t * 1.7 + stroke.phase);
        for (let k = 0; k < HARMONICS; k += 1) {
          const swing = Math.cos(t * (5 + 2.3 * k) + stroke.phase * (k + 1) + TWIST * k * k);
          y += ((levels[k] ?? 0) * 0.7 * swing * Math.sin((k + 1) * Math.PI * x)) / (1 + 0.15 * k);
        }
        return 0.46 * Math.tanh(y / 0.46);
      });
    }
  }

  #loudness(who: Who): number {
    const levels = this.#levels[who];
    return levels.reduce((sum, level) => sum + level, 0) / levels.length;
  }

  /** Draws the string from `from` to `to` (0 to 1); `shape` gives its height, -0.5 to 0.5. */
  #stroke(
    pen: CanvasRenderingContext2D,
    color: string,
    alpha: number,
    width: number,
    shape: (x: number) => number,
    from = 0,
    to = 1,
  ): void {
    const { clientWidth, clientHeight } = this.canvas;
    const steps = Math.max(60, Math.round(clientWidth / 5));
    pen.beginPath();
    for (let step = 0; step <= steps; step += 1) {
      const x = from + ((to - from) * step) / steps;
      pen.lineTo(x * clientWidth, clientHeight / 2 - shape(x) * clientHeight);
    }
    pen.strokeStyle = color;
    pen.globalAlpha = alpha;
    pen.lineWidth = width;
    pen.stroke();
    pen.globalAlpha = 1;
  }
}

const bump = (x: number, at: number, width: number): number => Math.exp(-(((x - at) / width) ** 2));
