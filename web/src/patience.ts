/** How long an agent is waited for, by what the service says meanwhile. Pure; times are the page's. */

import type { Place, Problem } from "./session";

/** The service judges the start itself; the page gives up only when that verdict is overdue. */
const START_GRACE_S = 5;
/** Nobody stays in line for longer than this without being told. */
const LONGEST_WAIT_S = 900;
/** A service that restarts is back long before. */
const LONGEST_SILENCE_S = 90;

export class Patience {
  readonly #patienceMs: number;
  #deadline: number;
  #heard: number;
  #trouble: Problem | null = null;

  constructor(
    startTimeoutS: number,
    private readonly began: number,
  ) {
    this.#patienceMs = (startTimeoutS + START_GRACE_S) * 1000;
    this.#deadline = began + this.#patienceMs;
    this.#heard = began;
  }

  /** The service knows the session; `place`: where it stands in line, and nobody is late meanwhile. */
  answered(place: Place | null, now: number): void {
    this.#heard = now;
    this.#trouble = null;
    if (place !== null) this.#deadline = now + this.#patienceMs;
  }

  /** The service could not be asked, which says nothing of the agent nor of the place in line. */
  unanswered(why: Problem, now: number): void {
    this.#trouble = why;
    this.#deadline = now + this.#patienceMs;
  }

  /** Why it is no use to wait on; null: it is. */
  exhausted(now: number): Problem | null {
    if (this.#trouble !== null && now - this.#heard > LONGEST_SILENCE_S * 1000) return this.#trouble;
    if (now <= this.#deadline && now - this.began <= LONGEST_WAIT_S * 1000) return null;
    return { kind: "late", afterS: Math.round((now - this.began) / 1000) };
  }
}
