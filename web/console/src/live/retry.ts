/** Asks the service until it answers: what a page shows must not stop over one answer that failed. */

import { ApiError } from "../api/client";
import { pause, waitBefore } from "../api/follow";
import { Store } from "../state/store";

/** What does not change by waiting: the service understood, and refused. */
const isFinal = (error: unknown): boolean =>
  error instanceof ApiError && error.status < 500 && error.status !== 429;

export class Retry {
  /** Why the last try failed; null: it did not. */
  readonly error = new Store<unknown, unknown>(null, (state, values) => (values.length === 0 ? state : values.at(-1)));
  #sooner = new AbortController();

  constructor(private readonly signal: AbortSignal) {}

  /** Tries now what waits to be tried again. */
  again = (): void => {
    const waiting = this.#sooner;
    this.#sooner = new AbortController();
    waiting.abort();
  };

  /** The answer of `ask`, tried ever more rarely; where it was refused, only when `again` is called.
   * Raises whatever it raised last when `signal` aborts. */
  async until<T>(ask: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      try {
        const answer = await ask();
        this.error.dispatch(null);
        return answer;
      } catch (error) {
        if (this.signal.aborted) throw error;
        this.error.dispatch(error);
        await this.#wait(isFinal(error) ? null : waitBefore(failures, Math.random()));
        if (this.signal.aborted) throw error;
      }
    }
  }

  /** Waits so long (null: for ever), but not beyond `again` or the end. */
  #wait(seconds: number | null): Promise<void> {
    return pause(seconds, AbortSignal.any([this.signal, this.#sooner.signal]));
  }
}
