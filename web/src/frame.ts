/**
 * The page inside somebody else's page: what embed.js asks of it, and what it tells in return.
 *
 * What is asked stands in the fragment, which browsers send to no server. Messages go only to the
 * origin that the fragment names, and come only from there: which origins may embed the page at
 * all is the service's decision (`frame-ancestors`).
 */

import type { Phase } from "./session";

export const PATH = "/embed";

export interface Frame {
  readonly origin: string;
  readonly key: string | null;
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
export function frameOf(location: Pick<Location, "pathname" | "hash">): Frame | null {
  if (location.pathname !== PATH) return null;
  const wish = new URLSearchParams(location.hash.slice(1));
  const theme = wish.get("theme");
  const origin = wish.get("origin") ?? "";
  return {
    origin: ORIGIN.test(origin) ? origin : "",
    key: wish.get("key") || null,
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
