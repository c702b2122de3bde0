/** How long the parts of an answer took, out of the session's events. Pure. */

import type { SessionEvent } from "./events";

/** Seconds; null: not measured, as the parts of speech are of a typed message. */
export interface Timing {
  /** Counts the agent's answers from 1, in one attempt. */
  readonly turn: number;
  readonly interrupted: boolean;
  readonly total: number | null;
  readonly parts: readonly (readonly [part: string, tookS: number])[];
}

const PARTS = [
  ["transcription_delay_s", "transcript"],
  ["end_of_turn_delay_s", "end of turn"],
  ["llm_ttft_s", "model"],
  ["tts_ttfb_s", "voice"],
] as const;

const seconds = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;

/** The timing that an event tells of; null: it tells of something else. */
export function timing(event: SessionEvent): Timing | null {
  const turn = event.data["turn"];
  if (event.name !== "turn.completed" || typeof turn !== "number") return null;
  return {
    turn,
    interrupted: event.data["interrupted"] === true,
    total: seconds(event.data["e2e_latency_s"]),
    parts: PARTS.flatMap(([field, part]) => {
      const tookS = seconds(event.data[field]);
      return tookS === null ? [] : [[part, tookS] as const];
    }),
  };
}

export const secondsWords = (tookS: number): string => `${tookS.toFixed(2)}\u00a0s`;

/**
 * "Answered in 0.55 s (transcript 0.33 s, end of turn 0.50 s, model 0.09 s, voice 0.12 s)": the
 * parts do not add up, because model and voice begin before the turn is known to be over.
 */
export function timingWords(timing: Timing): string {
  const parts = timing.parts.map(([part, tookS]) => `${part} ${secondsWords(tookS)}`).join(", ");
  const aside = parts === "" ? "" : ` (${parts})`;
  const said = timing.total === null ? parts : `Answered in ${secondsWords(timing.total)}${aside}`;
  return [said, timing.interrupted ? "interrupted" : ""].filter((each) => each !== "").join(", ");
}

/** The answers' numbers over the whole conversation: a new agent counts from 1 again. */
export class Answers {
  #before = 0;
  #last = 0;
  #totals: number[] = [];

  /** Which answer of the conversation it is, from 1. */
  add(timing: Timing): number {
    if (timing.turn <= this.#last) this.#before += this.#last;
    this.#last = timing.turn;
    if (timing.total !== null) this.#totals.push(timing.total);
    return this.#before + timing.turn;
  }

  /** The middle one of the answers' times; null: none was measured. */
  get median(): number | null {
    const sorted = this.#totals.toSorted((one, other) => one - other);
    const middle = sorted.length >> 1;
    const upper = sorted[middle];
    if (upper === undefined) return null;
    return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  }
}
