/**
 * The page inside another page: what embed.js or the console asks of it, and what it tells in
 * return.
 *
 * What is asked stands in the fragment, which browsers send to no server. Messages go only to the
 * origin that the fragment names, and come only from there: which origins may embed the page at
 * all is the service's decision (`frame-ancestors`).
 */

import type { Phase } from "./session";

export const PATH = "/embed";
/** In the operator's console, which hands its key over in a message: no address may hold it. */
export const CONSOLE_PATH = "/console/talk";

export interface Frame {
  readonly origin: string;
  /** Null: none is shown. */
  readonly key: string | null;
  /** Whether the page around is the console, and will tell the key. */
  readonly keyComes: boolean;
  readonly agent: string | null;
  readonly voice: string | null;
  readonly theme: "light" | "dark" | null;
}

export type FromFrame =
  | { readonly type: "assistant-talk:ready" }
  | { readonly type: "assistant-talk:close" }
  | { readonly type: "assistant-talk:state"; readonly phase: Phase; readonly live: boolean };

const ORIGIN = /^https?:\/\/[^/\s]+$/;

/** What the address asks for; null: the page stands on its own. */
export function frameOf(location: Pick<Location, "pathname" | "hash" | "origin">): Frame | null {
  const keyComes = location.pathname === CONSOLE_PATH;
  if (location.pathname !== PATH && !keyComes) return null;
  const wish = new URLSearchParams(location.hash.slice(1));
  const theme = wish.get("theme");
  const origin = keyComes ? location.origin : (wish.get("origin") ?? "");
  return {
    origin: ORIGIN.test(origin) ? origin : "",
    key: keyComes ? null : wish.get("key") || null,
    keyComes,
    agent: wish.get("agent") || null,
    voice: wish.get("voice") || null,
    theme: theme === "light" || theme === "dark" ? theme : null,
  };
}

/** Tells the page around; without a known origin nobody is told. */
export function tellParent(frame: Frame, message: FromFrame): void {
  if (frame.origin !== "" && window.parent !== window) window.parent.postMessage(message, frame.origin);
}

/** Calls back when the page around asks for a start. */
export function onStart(frame: Frame, start: () => void): void {
  window.addEventListener("message", (event: MessageEvent<unknown>) => {
    if (event.source !== window.parent || event.origin !== frame.origin) return;
    const message = event.data as { type?: unknown } | null;
    if (message?.type === "assistant-talk:start") start();
  });
}

/** The key to show: resolves once it is known, which for the console's page takes its message. */
export function keyOf(frame: Frame | null): Promise<string | null> {
  if (frame === null || !frame.keyComes || window.parent === window) return Promise.resolve(frame?.key ?? null);
  return new Promise((resolve) => {
    window.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (event.source !== window.parent || event.origin !== frame.origin) return;
      const message = event.data as { type?: unknown; key?: unknown } | null;
      if (message?.type === "assistant-talk:key") resolve(typeof message.key === "string" ? message.key : null);
    });
  });
}
