/** Loads a list page by page, as far as somebody scrolls. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { SessionsAnswer } from "../api/types";
import { queryOf, type Wanted } from "../state/wanted";
import type { Console } from "./console";
import { useConsole } from "./hooks";

export interface Pages {
  /** How far back the list reaches without gaps, Unix seconds; -Infinity: to its end. */
  readonly horizon: number;
  /** Whether not even the first page has come. */
  readonly first: boolean;
  readonly complete: boolean;
  readonly error: unknown;
  /** Asks for the next page, unless one is under way or there is none. */
  readonly more: () => void;
}

interface Progress {
  readonly of: string;
  readonly cursor: string | null;
  readonly horizon: number;
  readonly error: unknown;
}

const start = (of: string): Progress => ({ of, cursor: null, horizon: Infinity, error: null });

/** The next page that has anything in it: of a rare thing, the service may give empty ones. */
async function next(console: Console, wanted: Wanted, from: Progress, signal: AbortSignal): Promise<Progress> {
  let { cursor } = from;
  for (;;) {
    const asked = console.sessions.get().heard;
    const query = queryOf(wanted, cursor);
    const page: SessionsAnswer = await console.client.get("/api/sessions", query, signal);
    console.sessions.dispatch({ type: "page", sessions: page.sessions, asked });
    cursor = page.cursor;
    const oldest = page.sessions.at(-1);
    if (cursor === null) return { of: from.of, cursor, horizon: -Infinity, error: null };
    if (oldest !== undefined) return { of: from.of, cursor, horizon: oldest.created, error: null };
  }
}

export function usePages(wanted: Wanted): Pages {
  const console = useConsole();
  const key = JSON.stringify(wanted);
  const [state, setState] = useState<Progress>(() => start(key));
  const under = useRef<AbortController | null>(null);
  const current = state.of === key ? state : start(key);
  const now = useRef({ current, wanted });
  now.current = { current, wanted };

  const more = useCallback(() => {
    const { current: from, wanted: what } = now.current;
    if (under.current !== null || from.horizon === -Infinity) return;
    const stop = new AbortController();
    under.current = stop;
    void next(console, what, from, stop.signal)
      .then((reached) => {
        under.current = null;
        setState(reached);
      })
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        under.current = null;
        setState({ ...from, error });
      });
  }, [console]);

  useEffect(() => {
    more();
    return () => {
      under.current?.abort();
      under.current = null;
    };
  }, [key, more]);

  const complete = current.horizon === -Infinity;
  const first = current.horizon === Infinity && current.error === null;
  return { horizon: current.horizon, first, complete, error: current.error, more };
}
