/** What components need of the console. */

import { createContext, useCallback, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Store } from "../state/store";
import { format, parse, type Route } from "../state/route";
import type { Console } from "./console";

export const ConsoleContext = createContext<Console | null>(null);

export function useConsole(): Console {
  const found = useContext(ConsoleContext);
  if (found === null) throw new Error("outside of a signed-in console");
  return found;
}

export function useStore<State, Action>(store: Store<State, Action>): State {
  return useSyncExternalStore(store.subscribe, store.get);
}

const onHash = (listener: () => void): (() => void) => {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
};

export function useRoute(): Route {
  const hash = useSyncExternalStore(onHash, () => window.location.hash);
  return parse(hash);
}

export const go = (route: Route): void => {
  window.location.hash = format(route);
};

/** Replaces the place, so that moving through a list does not fill the browser's history. */
export const goQuietly = (route: Route): void => {
  window.location.replace(format(route));
};

/** Unix seconds, anew every `everyS` while `running`. */
export function useNow(everyS: number, running = true): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now() / 1000), everyS * 1000);
    return () => clearInterval(timer);
  }, [everyS, running]);
  return now;
}

export interface Loaded<T> {
  readonly value: T | null;
  readonly error: unknown;
  readonly loading: boolean;
  readonly again: () => void;
}

/** An answer of the service, asked for when `what` changes and when `again` is called. */
export function useLoaded<T>(what: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ of: string | null; value: T | null; error: unknown }>({
    of: null,
    value: null,
    error: null,
  });
  const [round, setRound] = useState(0);
  const loader = useRef(load);
  loader.current = load;
  useEffect(() => {
    if (what === null) return;
    const stop = new AbortController();
    loader
      .current(stop.signal)
      .then((value) => setState({ of: what, value, error: null }))
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        setState((before) => ({ of: what, value: before.of === what ? before.value : null, error }));
      });
    return () => stop.abort();
  }, [what, round]);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const mine = state.of === what;
  return {
    value: mine ? state.value : null,
    error: mine ? state.error : null,
    loading: what !== null && (!mine || (state.value === null && state.error === null)),
    again,
  };
}
