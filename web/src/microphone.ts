/** The person's microphone, and whether it may be opened without a question. */

import { createLocalAudioTrack, type LocalAudioTrack } from "livekit-client";
import { MicrophoneError, microphoneTrouble } from "./troubles";

/** True when the person has allowed it before, so that no question delays the start. */
export async function microphoneAllowed(): Promise<boolean> {
  try {
    const answer = await navigator.permissions.query({ name: "microphone" as PermissionName });
    return answer.state === "granted";
  } catch {
    return false; // Not every browser tells; then the question is taken as still open.
  }
}

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
