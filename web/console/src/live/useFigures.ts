/** Figures of the last hours: counted by the service, and kept up by what is told between. */

import { useEffect, useState } from "react";
import { pause } from "../api/follow";
import type { FiguresAnswer } from "../api/types";
import { type Action, type Figures, NOTHING, reduce } from "../state/figures";
import { rowOf } from "../state/sessions";
import { atMostEvery, Store } from "../state/store";
import type { Console } from "./console";
import { useConsole, useStore } from "./hooks";
import { Retry } from "./retry";

export interface Span {
  readonly windowS: number;
  readonly stepS: number;
}

/** A step is counted once more so long after its end, when all of it is stored: its percentiles were
 * estimates, and what it cost was not told. At different times for each console. */
const settleS = (): number => 2 + Math.random() * 8;
const DRAW_EVERY_MS = 1000;

export class FiguresFeed {
  readonly store = new Store<Figures, Action>(NOTHING, reduce, atMostEvery(DRAW_EVERY_MS));
  readonly #stop = new AbortController();
  readonly retry = new Retry(this.#stop.signal);
  #stale = new AbortController();
  #clearances: (() => void)[] = [];

  constructor(
    private readonly console: Console,
    private readonly span: Span,
    private readonly settle: () => number = settleS,
  ) {}

  start(): void {
    const { sessions, overview, link, epoch } = this.console;
    this.#clearances = [
      this.console.listen((event) => {
        const queuedAt = rowOf(sessions.get(), event.sessionId)?.queued ?? null;
        this.store.dispatch({ type: "event", event, queuedAt });
      }),
      overview.subscribe(() => this.#now()),
      link.subscribe(() => {
        if (link.get().state === "live") this.retry.again();
      }),
      epoch.subscribe(() => {
        this.#stale.abort();
        this.retry.again();
      }),
    ];
    // It ends by being stopped, which raises.
    this.#follow().catch(() => undefined);
  }

  stop(): void {
    this.#stop.abort();
    for (const clear of this.#clearances) clear();
  }

  #now(): void {
    const now = this.console.overview.get();
    if (now === null) return;
    const { at, slots, queue } = now;
    this.store.dispatch({ type: "now", at, slots: slots.used, waiting: queue.waiting });
  }

  async #follow(): Promise<void> {
    const { windowS, stepS } = this.span;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#stale = new AbortController();
      const query = { window: windowS, step: stepS };
      const answer = await this.retry.until(() => this.console.client.get<FiguresAnswer>("/api/figures", query, signal));
      this.store.dispatch({ type: "counted", answer, windowS });
      this.#now();
      const leftS = stepS - (answer.to % stepS) + this.settle();
      await pause(leftS, AbortSignal.any([signal, this.#stale.signal]));
    }
  }
}

const NOBODY = new Store<Figures, Action>(NOTHING, reduce);
const NO_ERROR = new Store<unknown, unknown>(null, (state) => state);

export function useFigures(span: Span): { figures: Figures; error: unknown; again: () => void } {
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
  const error = useStore(feed?.retry.error ?? NO_ERROR);
  return { figures, error, again: () => feed?.retry.again() };
}
