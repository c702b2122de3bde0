/** The person's microphone, and whether it may be opened without a question. */

import { createLocalAudioTrack, type LocalAudioTrack } from "livekit-client";
import { MicrophoneError, microphoneTrouble } from "./troubles";

/** The browser keeps it up to date; null: not told yet, or not by every browser. */
let permission: PermissionStatus | null = null;

/** Asks the browser ahead, so that a click need not wait for its answer. */
export async function watchPermission(): Promise<void> {
  try {
    permission = await navigator.permissions.query({ name: "microphone" as PermissionName });
  } catch {
    // As if it had not been told.
  }
}

/** True when the person has allowed it before, so that no question delays the start. */
export const microphoneAllowed = (): boolean => permission?.state === "granted";

/** Opens the preferred device, or another one where it is gone. Raises: MicrophoneError. */
export async function openMicrophone(preferred: string | null): Promise<LocalAudioTrack> {
  if (navigator.mediaDevices === undefined) throw new MicrophoneError("insecure");
  try {
    return await createLocalAudioTrack({
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...(preferred === null ? {} : { deviceId: { ideal: preferred } }),
    });
  } catch (error) {
    throw new MicrophoneError(microphoneTrouble(error));
  }
}
