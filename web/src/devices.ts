/** The microphones and speakers of this machine, as far as the browser tells. */

import { supportsAudioOutputSelection } from "livekit-client";

export type DeviceKind = "audioinput" | "audiooutput";

export interface Device {
  readonly id: string;
  readonly label: string;
}

/** What the person chose; null leaves it to the system. */
export interface Sound {
  readonly microphone: string | null;
  readonly speaker: string | null;
  /** 0 to 1. */
  readonly volume: number;
}

/**
 * The devices of one kind. Browsers name them only once the microphone was allowed; what has no
 * name is no choice, and is left out.
 */
export async function devices(kind: DeviceKind): Promise<Device[]> {
  if (navigator.mediaDevices === undefined) return [];
  if (kind === "audiooutput" && !supportsAudioOutputSelection()) return [];
  try {
    const found = await navigator.mediaDevices.enumerateDevices();
    return found
      .filter((each) => each.kind === kind && each.deviceId !== "" && each.label !== "")
      .map((each) => ({ id: each.deviceId, label: each.label }));
  } catch {
    return []; // A choice that cannot be had is not offered.
  }
}
