/** The settings: which microphone and speaker, how loud, and whether response times are shown. */

import { type Device, devices, type Sound } from "./devices";
import { byId, option } from "./elements";
import { recall, remember } from "./identity";

const MICROPHONE_KEY = "talk.microphone";
const SPEAKER_KEY = "talk.speaker";
const VOLUME_KEY = "talk.volume";
const TIMINGS_KEY = "talk.timings";

/** What the settings change while a conversation runs. */
export interface PanelHooks {
  microphone(id: string): void;
  speaker(id: string): void;
  volume(volume: number): void;
  timings(shown: boolean): void;
}

export class Panel {
  readonly #button = byId("settings", HTMLButtonElement);
  readonly #panel = byId("panel", HTMLElement);
  readonly #microphone = byId("microphone", HTMLSelectElement);
  readonly #microphoneField = byId("microphone-field", HTMLElement);
  readonly #speaker = byId("speaker", HTMLSelectElement);
  readonly #speakerField = byId("speaker-field", HTMLElement);
  readonly #volume = byId("volume", HTMLInputElement);
  readonly #timings = byId("timings", HTMLInputElement);
  readonly #note = byId("panel-note", HTMLElement);

  constructor(hooks: PanelHooks) {
    const volume = Number(recall(VOLUME_KEY) ?? "1");
    this.#volume.value = String(volume >= 0 && volume <= 1 ? volume : 1);
    this.#timings.checked = recall(TIMINGS_KEY) === "shown";
    this.#button.addEventListener("click", () => this.#show(this.#panel.hidden));
    this.#microphone.addEventListener("change", () => {
      remember(MICROPHONE_KEY, this.#microphone.value);
      hooks.microphone(this.#microphone.value);
    });
    this.#speaker.addEventListener("change", () => {
      remember(SPEAKER_KEY, this.#speaker.value);
      hooks.speaker(this.#speaker.value);
    });
    this.#volume.addEventListener("input", () => {
      remember(VOLUME_KEY, this.#volume.value);
      hooks.volume(this.sound.volume);
    });
    this.#timings.addEventListener("change", () => {
      remember(TIMINGS_KEY, this.#timings.checked ? "shown" : "hidden");
      hooks.timings(this.#timings.checked);
    });
    document.addEventListener("pointerdown", (event) => {
      const inside = event.target instanceof Node && this.#panel.contains(event.target);
      const onButton = event.target instanceof Node && this.#button.contains(event.target);
      if (!inside && !onButton) this.#show(false);
    });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => void this.refresh());
    void this.refresh();
  }

  get sound(): Sound {
    return {
      microphone: recall(MICROPHONE_KEY) || null,
      speaker: recall(SPEAKER_KEY) || null,
      volume: Number(this.#volume.value),
    };
  }

  get timings(): boolean {
    return this.#timings.checked;
  }

  /** Closes the panel if it is open; whether it was. */
  close(): boolean {
    if (this.#panel.hidden) return false;
    this.#show(false);
    this.#button.focus();
    return true;
  }

  /** Looks the devices up; browsers name them once the microphone was allowed. */
  async refresh(): Promise<void> {
    const [microphones, speakers] = await Promise.all([devices("audioinput"), devices("audiooutput")]);
    const { microphone, speaker } = this.sound;
    offer(this.#microphone, this.#microphoneField, microphones, microphone);
    offer(this.#speaker, this.#speakerField, speakers, speaker);
    this.#note.hidden = microphones.length > 0;
  }

  #show(open: boolean): void {
    this.#panel.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
  }
}

function offer(
  select: HTMLSelectElement,
  field: HTMLElement,
  found: readonly Device[],
  chosen: string | null,
): void {
  select.replaceChildren(...found.map((each) => option(each.id, each.label)));
  if (chosen !== null && found.some((each) => each.id === chosen)) select.value = chosen;
  field.hidden = found.length === 0;
}
