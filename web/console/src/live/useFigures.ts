/** Figures of the last hours: counted by the service once, and then kept up by what is told. */

import { useEffect, useState } from "react";
import type { FiguresAnswer } from "../api/types";
import { type Action, type Figures, NOTHING, reduce } from "../state/figures";
import { rowOf } from "../state/sessions";
import { Store } from "../state/store";
import type { Console } from "./console";
import { useConsole, useStore } from "./hooks";

export interface Span {
  readonly windowS: number;
  readonly stepS: number;
}

/** The step that was under way is counted once more when it is over: part of it happened before. */
const SETTLE_S = 2;

class FiguresFeed {
  readonly store = new Store<Figures, Action>(NOTHING, reduce);
  readonly error = new Store<unknown, unknown>(null, (state, values) => values.at(-1) ?? state);
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #clearances: (() => void)[] = [];

  constructor(
    private readonly console: Console,
    private readonly span: Span,
  ) {}

  start(): void {
    const { sessions, overview } = this.console;
    this.#clearances = [
      this.console.listen((event) => {
        const queuedAt = rowOf(sessions.get(), event.sessionId)?.queued ?? null;
        this.store.dispatch({ type: "event", event, queuedAt });
      }),
      overview.subscribe(() => this.#now()),
    ];
    void this.#count(true);
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
    for (const clear of this.#clearances) clear();
  }

  #now(): void {
    const now = this.console.overview.get();
    if (now === null) return;
    const { at, slots, queue } = now;
    this.store.dispatch({ type: "now", at, slots: slots.used, waiting: queue.waiting });
  }

  async #count(again: boolean): Promise<void> {
    const { windowS, stepS } = this.span;
    try {
      const query = { window: windowS, step: stepS };
      const answer = await this.console.client.get<FiguresAnswer>("/api/figures", query, this.#stop.signal);
      this.store.dispatch({ type: "counted", answer, windowS });
      this.#now();
      if (!again) return;
      const leftS = stepS - (answer.to % stepS) + SETTLE_S;
      this.#timer = setTimeout(() => void this.#count(false), leftS * 1000);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.error.dispatch(error);
    }
  }
}

const NOBODY = new Store<Figures, Action>(NOTHING, reduce);
const NO_ERROR = new Store<unknown, unknown>(null, (state) => state);

export function useFigures(span: Span): { figures: Figures; error: unknown } {
  const console = useConsole();
  const [feed, setFeed] = useState<FiguresFeed | null>(null);
  const { windowS, stepS } = span;
  useEffect(() => {
    const fresh = new FiguresFeed(console, { windowS, stepS });
    setFeed(fresh);
    fresh.start();
    return () => fresh.stop();
  }, [console, windowS, stepS]);
  const figures = useStore(feed?.store ?? NOBODY);
  const error = useStore(feed?.error ?? NO_ERROR);
  return { figures, error };
}
