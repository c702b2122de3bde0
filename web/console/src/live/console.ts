/** What the whole console shares: the client, what is known of all sessions, and the two streams. */

import { eventOf, type SessionEvent, TRUNCATED } from "../api/events";
import type { Client } from "../api/client";
import { follow, type StreamState } from "../api/follow";
import type { Frame } from "../api/sse";
import type { Overview, SessionsAnswer } from "../api/types";
import { type Action, NONE, reduce, rowOf, type Sessions } from "../state/sessions";
import { Store } from "../state/store";
import { LIVE, PAGE } from "../state/wanted";

/** A burst of new sessions is asked for once. */
const NAME_AFTER_MS = 250;

export interface Link {
  readonly state: StreamState;
  /** When it was last live, in milliseconds of the page's clock; null: never. */
  readonly lostAt: number | null;
}

const last = <T>(state: T, values: readonly T[]): T => (values.length === 0 ? state : (values.at(-1) as T));

export type Listener = (event: SessionEvent) => void;

export class Console {
  readonly sessions = new Store<Sessions, Action>(NONE, reduce);
  readonly overview = new Store<Overview | null, Overview | null>(null, last);
  readonly link = new Store<Link, Link>({ state: "connecting", lostAt: null }, last);
  /** Why the live sessions could not be listed; null: they could, or are being. */
  readonly trouble = new Store<unknown, unknown>(null, last);
  /** Whether all live sessions have been listed. */
  readonly listed = new Store<boolean, boolean>(false, last);
  /** The agent that the operator talks to in this page; null: none. */
  readonly talking = new Store<string | null, string | null>(null, last);
  /** How many gaps the stream had: whatever was loaded before one is to be loaded anew. */
  readonly epoch = new Store<number, number>(0, last);
  readonly #listeners = new Set<Listener>();
  #asked = new Set<string>();
  #naming: ReturnType<typeof setTimeout> | undefined;
  /** What was asked for since the last gap. */
  #round = new AbortController();

  constructor(readonly client: Client) {}

  /** Follows everything until the returned function is called. */
  start(): () => void {
    const stop = new AbortController();
    const { signal } = stop;
    const events = {
      frames: (frames: readonly Frame[]) => this.#hear(frames),
      state: (state: StreamState) => this.#linked(state),
    };
    const figures = {
      frames: (frames: readonly Frame[]) => this.#overview(frames),
      state: () => undefined,
    };
    void follow(this.client, "/api/events", null, events, signal);
    void follow(this.client, "/api/overview/stream", null, figures, signal);
    const forget = this.sessions.subscribe(() => this.#nameLater());
    return () => {
      stop.abort();
      this.#round.abort();
      clearTimeout(this.#naming);
      forget();
    };
  }

  /** Calls `listener` with every event of every session. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #linked(state: StreamState): void {
    const before = this.link.get();
    const lostAt = state === "live" ? null : (before.lostAt ?? performance.now());
    this.link.dispatch({ state, lostAt });
    // The stream resumes where it broke off, so the list is asked for only once.
    if (state === "live" && !this.listed.get()) void this.list();
  }

  #hear(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (frame.event === TRUNCATED) {
        this.#beginAnew();
        continue;
      }
      const event = eventOf(frame);
      if (event === null) continue;
      this.sessions.dispatch({ type: "event", event });
      for (const listener of this.#listeners) listener(event);
    }
  }

  /** Events are missing: what is known may be wrong, and what was asked for before them as well. */
  #beginAnew(): void {
    this.sessions.dispatch({ type: "cleared" });
    this.sessions.flush();
    this.#asked = new Set();
    this.listed.dispatch(false);
    this.epoch.dispatch(this.epoch.get() + 1);
    this.epoch.flush();
    void this.list();
  }

  #overview(frames: readonly Frame[]): void {
    const newest = frames.findLast((frame) => frame.event === "overview");
    if (newest === undefined) return;
    this.overview.dispatch(JSON.parse(newest.data) as Overview);
  }

  /** Lists all live sessions. */
  async list(): Promise<void> {
    this.#round.abort();
    this.#round = new AbortController();
    const { signal } = this.#round;
    this.trouble.dispatch(null);
    try {
      await this.#pages({ status: LIVE }, signal);
      this.listed.dispatch(true);
    } catch (error) {
      if (!signal.aborted) this.trouble.dispatch(error);
    }
  }

  async #pages(query: Record<string, string | readonly string[]>, signal: AbortSignal): Promise<void> {
    let cursor: string | null = null;
    do {
      const asked = this.sessions.get().heard;
      const wanted = { ...query, limit: PAGE, cursor };
      const page: SessionsAnswer = await this.client.get("/api/sessions", wanted, signal);
      if (signal.aborted) return;
      this.sessions.dispatch({ type: "page", sessions: page.sessions, asked });
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /** The sessions whose user is not known and was not asked for. */
  #strangers(): string[] {
    return [...this.sessions.get().nameless].filter((id) => !this.#asked.has(id));
  }

  #nameLater(): void {
    if (this.#naming !== undefined || this.#strangers().length === 0) return;
    this.#naming = setTimeout(() => {
      this.#naming = undefined;
      const sessions = this.sessions.get();
      const now = this.#strangers().flatMap((id) => rowOf(sessions, id) ?? []);
      if (now.length === 0) return;
      // Whoever has a name by now, or is forgotten, is not asked for again anyway.
      this.#asked = new Set(sessions.nameless);
      const since = Math.min(...now.map((row) => row.created)) - 1;
      // A failure leaves them without a user's name, which the session's own page still tells.
      this.#pages({ createdAfter: since.toFixed(3) }, this.#round.signal).catch(() => undefined);
    }, NAME_AFTER_MS);
  }
}
