/** State that changes faster than it can be drawn: what arrives within a frame is applied at once. */

/** A tab in the background draws no frames, and still must not pile up what arrives. */
const HIDDEN_MS = 250;

export type Schedule = (flush: () => void) => void;

const onNextFrame: Schedule = (flush) => {
  if (document.visibilityState === "hidden") setTimeout(flush, HIDDEN_MS);
  else requestAnimationFrame(flush);
};

/** At most once in `everyMs`: for what is dear to draw, and of which every frame is not missed. */
export function atMostEvery(everyMs: number, next: Schedule = onNextFrame): Schedule {
  let last = -Infinity;
  return (flush) => {
    const run = (): void => {
      last = performance.now();
      flush();
    };
    const waitMs = last + everyMs - performance.now();
    if (waitMs <= 0) next(run);
    else setTimeout(run, waitMs);
  };
}

export class Store<State, Action> {
  #state: State;
  #waiting: Action[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(
    initial: State,
    private readonly reduce: (state: State, actions: readonly Action[]) => State,
    private readonly schedule: Schedule = onNextFrame,
  ) {
    this.#state = initial;
  }

  get = (): State => this.#state;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  dispatch(...actions: readonly Action[]): void {
    if (actions.length === 0) return;
    if (this.#waiting.length === 0) this.schedule(this.flush);
    this.#waiting.push(...actions);
  }

  flush = (): void => {
    if (this.#waiting.length === 0) return;
    const actions = this.#waiting;
    this.#waiting = [];
    const next = this.reduce(this.#state, actions);
    if (next === this.#state) return;
    this.#state = next;
    for (const listener of this.#listeners) listener();
  };
}
