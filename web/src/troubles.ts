/** From what the browser, the client and the service throw to a problem that can be told. */

import { MediaDeviceFailure } from "livekit-client";
import { ApiError, UnreachableError } from "./api";
import type { MicrophoneTrouble, Problem } from "./session";

export class MicrophoneError extends Error {
  override readonly name = "MicrophoneError";
  constructor(readonly why: MicrophoneTrouble) {
    super(why);
  }
}

export class MediaError extends Error {
  override readonly name = "MediaError";
}

export function microphoneTrouble(error: unknown): MicrophoneTrouble {
  switch (MediaDeviceFailure.getFailure(error)) {
    case MediaDeviceFailure.PermissionDenied:
      return "refused";
    case MediaDeviceFailure.NotFound:
      return "absent";
    case MediaDeviceFailure.DeviceInUse:
      return "busy";
    default:
      return "other";
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof MicrophoneError) return { kind: "microphone", why: error.why };
  if (error instanceof UnreachableError) return { kind: "unreachable" };
  if (error instanceof MediaError) return { kind: "media" };
  if (error instanceof ApiError) {
    const { status, code, detail, retryAfterS } = error;
    return { kind: "refused", status, code, detail, retryAfterS };
  }
  console.error("conversation failed", error);
  return { kind: "unknown" };
}
