/** Lets the agent be heard: one element for each of its tracks, all as loud as the person wants. */

import type { RemoteTrack } from "livekit-client";

export class Speaker {
  #elements: HTMLMediaElement[] = [];

  constructor(private volume: number) {}

  get silent(): boolean {
    return this.#elements.length === 0;
  }

  add(track: RemoteTrack): void {
    const element = track.attach();
    element.hidden = true;
    element.volume = this.volume;
    document.body.append(element);
    this.#elements.push(element);
  }

  remove(track: RemoteTrack): void {
    const gone = track.detach();
    for (const element of gone) element.remove();
    this.#elements = this.#elements.filter((element) => !gone.includes(element));
  }

  /** 0 to 1. Some phones leave it to their own buttons. */
  setVolume(volume: number): void {
    this.volume = volume;
    for (const element of this.#elements) element.volume = volume;
  }

  clear(): void {
    for (const element of this.#elements) element.remove();
    this.#elements = [];
  }
}
