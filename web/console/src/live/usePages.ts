/** Loads a list page by page, as far as somebody scrolls. */

import { useEffect, useState } from "react";
import type { SessionsAnswer } from "../api/types";
import { Store } from "../state/store";
import { isPaged, queryOf, type Wanted } from "../state/wanted";
import type { Console } from "./console";
import { useConsole, useStore } from "./hooks";

/** Times go to the service in milliseconds; sessions of the last one are asked for again. */
const ROUNDING_S = 0.001;

/** One list of sessions that are over; of those that live, all are known anyway. */
export class Pager {
  /** Why the last page did not come; null: it did, or is awaited. */
  readonly error = new Store<unknown, unknown>(null, (state, values) => (values.length === 0 ? state : values.at(-1)));
  #under: AbortController | null = null;
  #clearances: (() => void)[] = [];
  /** Where the last page ended, in the list of all that was made before `#before`, and in time. */
  #cursor: string | null = null;
  #before = Infinity;
  #reached = Infinity;

  constructor(
    private readonly console: Console,
    private readonly wanted: Wanted,
  ) {}

  start(): void {
    this.#unlist();
    if (!isPaged(this.wanted)) return;
    const { epoch, link } = this.console;
    this.#clearances = [
      epoch.subscribe(() => {
        this.#under?.abort();
        this.#under = null;
        this.more();
      }),
      link.subscribe(() => {
        if (link.get().state === "live" && this.error.get() !== null) this.more();
      }),
    ];
    this.more();
  }

  stop(): void {
    this.#under?.abort();
    for (const clear of this.#clearances) clear();
    this.#unlist();
  }

  /** Asks for the next page, unless one is under way or there is none. */
  more = (): void => {
    const { horizon } = this.console.sessions.get();
    if (!isPaged(this.wanted) || this.#under !== null || horizon === -Infinity) return;
    if (horizon > this.#reached) {
      // What was loaded last has been forgotten since: it goes on from where it is known now.
      this.#cursor = null;
      this.#before = horizon + ROUNDING_S;
    }
    const under = new AbortController();
    this.#under = under;
    this.error.dispatch(null);
    this.#next(horizon, under.signal).catch((error: unknown) => {
      if (under.signal.aborted) return;
      this.#under = null;
      this.error.dispatch(error);
    });
  };

  /** The next page that has anything in it: of a rare thing, the service may give empty ones. */
  async #next(from: number, signal: AbortSignal): Promise<void> {
    const { client, sessions } = this.console;
    for (;;) {
      const asked = sessions.get().heard;
      const query = queryOf(this.wanted, this.#cursor, this.#before);
      const page: SessionsAnswer = await client.get("/api/sessions", query, signal);
      if (signal.aborted) return;
      const oldest = page.sessions.at(-1);
      this.#cursor = page.cursor;
      if (page.cursor !== null && oldest === undefined) continue;
      this.#reached = page.cursor === null || oldest === undefined ? -Infinity : oldest.created;
      sessions.dispatch({ type: "page", sessions: page.sessions, asked, list: { from, to: this.#reached } });
      // Who sees that this page was not enough must find that the next one can be asked for.
      this.#under = null;
      sessions.flush();
      return;
    }
  }

  #unlist(): void {
    this.console.sessions.dispatch({ type: "listing" });
    this.console.sessions.flush();
  }
}

const NO_ERROR = new Store<unknown, unknown>(null, (state) => state);

export function usePages(wanted: Wanted): { error: unknown; more: () => void } {
  const console = useConsole();
  const [pager, setPager] = useState<Pager | null>(null);
  useEffect(() => {
    const fresh = new Pager(console, wanted);
    setPager(fresh);
    fresh.start();
    return () => fresh.stop();
  }, [console, wanted]);
  const error = useStore(pager?.error ?? NO_ERROR);
  return { error, more: pager?.more ?? NOTHING_MORE };
}

const NOTHING_MORE = (): void => undefined;
