/** Follows one event stream for as long as somebody wants it, and resumes where it broke off. */

import { ApiError, type Client } from "./client";
import { type Frame, FrameReader } from "./sse";

/** The service writes a comment every 15 s; three missing ones are a dead connection. */
const SILENCE_S = 45;
const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 15;

export type StreamState = "connecting" | "live" | "offline" | "over";

export interface Listener {
  frames(frames: readonly Frame[]): void;
  /** `retryInS`: when it is tried again, if it is offline. */
  state(state: StreamState, retryInS: number | null): void;
}

/** Seconds before the n-th try in a row, from 1; `chance` in [0, 1) keeps consoles apart. */
export const waitBefore = (n: number, chance: number): number =>
  Math.min(FIRST_WAIT_S * 2 ** (n - 1), LONGEST_WAIT_S) * (0.5 + chance / 2);

/** Waits, but no longer than until the browser is back on the network; null: only until then. */
export function pause(seconds: number | null, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = seconds === null ? undefined : setTimeout(done, seconds * 1000);
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

/** Reads one connection to its end; the last id that it named, null: none. */
async function readBody(body: ReadableStream<Uint8Array>, listener: Listener): Promise<string | null> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const frames = new FrameReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void reader.cancel(), SILENCE_S * 1000);
  };
  try {
    for (;;) {
      silence();
      const { done, value } = await reader.read();
      if (done) return frames.id;
      const found = frames.read(decoder.decode(value, { stream: true }));
      if (found.length > 0) listener.frames(found);
    }
  } catch {
    return frames.id; // The connection broke; what came before it counts.
  } finally {
    clearTimeout(timer);
    void reader.cancel().catch(() => undefined);
  }
}

/** Until `signal` aborts, the stream is over, or the service refuses for good. */
export async function follow(
  client: Client,
  path: string,
  from: string | null,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  let last = from;
  let failures = 0;
  while (!signal.aborted) {
    listener.state("connecting", null);
    let retryAfterS = 0;
    try {
      const response = await client.stream(path, last, signal);
      if (response.status === 204 || response.body === null) {
        listener.state("over", null);
        return;
      }
      failures = 0;
      listener.state("live", null);
      last = (await readBody(response.body, listener)) ?? last;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) {
        if (error.status < 500 && error.status !== 429) {
          listener.state("over", null);
          return;
        }
        retryAfterS = error.retryAfterS ?? 0;
      }
    }
    if (signal.aborted) return;
    failures += 1;
    const waitS = Math.max(waitBefore(failures, Math.random()), retryAfterS);
    listener.state("offline", waitS);
    await pause(waitS, signal);
  }
}
