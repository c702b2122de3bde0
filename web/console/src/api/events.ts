/** Events of sessions, as the streams tell them. */

import type { Frame } from "./sse";

export interface SessionEvent {
  readonly sessionId: string;
  readonly name: string;
  /** Unix seconds. */
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Told without an id: events between are no longer kept. */
export const TRUNCATED = "stream.truncated";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The event of a frame; null: it is none that this console understands. */
export function eventOf(frame: Frame): SessionEvent | null {
  let body: unknown;
  try {
    body = JSON.parse(frame.data);
  } catch {
    return null;
  }
  if (!isObject(body)) return null;
  const { sessionId, name, at, data } = body;
  if (typeof sessionId !== "string" || typeof name !== "string" || typeof at !== "number") return null;
  return { sessionId, name, at, data: isObject(data) ? data : {} };
}

export const textOf = (event: SessionEvent, name: string): string | null => {
  const value = event.data[name];
  return typeof value === "string" ? value : null;
};

export const numberOf = (event: SessionEvent, name: string): number | null => {
  const value = event.data[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
};
