/** What the whole console shares: the client, what is known of all sessions, and the two streams. */

import { eventOf, type SessionEvent, TRUNCATED } from "../api/events";
import type { Client } from "../api/client";
import { follow, type StreamState } from "../api/follow";
import type { Frame } from "../api/sse";
import type { Overview, SessionsAnswer } from "../api/types";
import { type Action, NONE, reduce, type Sessions, unnamed } from "../state/sessions";
import { Store } from "../state/store";
import { LIVE, PAGE } from "../state/wanted";

/** A burst of new sessions is asked for once. */
const NAME_AFTER_MS = 250;

export interface Link {
  readonly state: StreamState;
  /** When it was last live, in milliseconds of the page's clock; null: never. */
  readonly lostAt: number | null;
}

const last = <T>(state: T, values: readonly T[]): T => values.at(-1) ?? state;

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
  readonly talking = new Store<string | null, string | null>(null, (_, values) => values.at(-1) ?? null);
  readonly #listeners = new Set<Listener>();
  readonly #asked = new Set<string>();
  #naming: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly client: Client) {}

  /** Follows everything until the returned function is called. */
  start(): () => void {
    const stop = new AbortController();
    const { signal } = stop;
    const events = {
      frames: (frames: readonly Frame[]) => this.#hear(frames, signal),
      state: (state: StreamState) => this.#linked(state, signal),
    };
    const figures = {
      frames: (frames: readonly Frame[]) => this.#overview(frames),
      state: () => undefined,
    };
    void follow(this.client, "/api/events", null, events, signal);
    void follow(this.client, "/api/overview/stream", null, figures, signal);
    const forget = this.sessions.subscribe(() => this.#nameLater(signal));
    return () => {
      stop.abort();
      clearTimeout(this.#naming);
      forget();
    };
  }

  /** Calls `listener` with every event of every session. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #linked(state: StreamState, signal: AbortSignal): void {
    const before = this.link.get();
    const lostAt = state === "live" ? null : (before.lostAt ?? performance.now());
    this.link.dispatch({ state, lostAt });
    // The stream resumes where it broke off, so the list is asked for only once.
    if (state === "live" && !this.listed.get()) void this.list(signal);
  }

  #hear(frames: readonly Frame[], signal: AbortSignal): void {
    const actions: Action[] = [];
    for (const frame of frames) {
      if (frame.event === TRUNCATED) {
        actions.push({ type: "cleared" });
        void this.list(signal);
        continue;
      }
      const event = eventOf(frame);
      if (event === null) continue;
      actions.push({ type: "event", event });
      for (const listener of this.#listeners) listener(event);
    }
    this.sessions.dispatch(...actions);
  }

  #overview(frames: readonly Frame[]): void {
    const newest = frames.findLast((frame) => frame.event === "overview");
    if (newest === undefined) return;
    this.overview.dispatch(JSON.parse(newest.data) as Overview);
  }

  /** Lists all live sessions. */
  async list(signal?: AbortSignal): Promise<void> {
    this.trouble.dispatch(null);
    try {
      await this.#pages({ status: LIVE }, signal);
      this.listed.dispatch(true);
    } catch (error) {
      if (!signal?.aborted) this.trouble.dispatch(error);
    }
  }

  async #pages(query: Record<string, string | readonly string[]>, signal?: AbortSignal): Promise<void> {
    let cursor: string | null = null;
    do {
      const asked = this.sessions.get().heard;
      const wanted = { ...query, limit: PAGE, cursor };
      const page: SessionsAnswer = await this.client.get("/api/sessions", wanted, signal);
      this.sessions.dispatch({ type: "page", sessions: page.sessions, asked });
      cursor = page.cursor;
    } while (cursor !== null);
  }

  #nameLater(signal: AbortSignal): void {
    const strangers = unnamed(this.sessions.get()).filter((row) => !this.#asked.has(row.id));
    if (strangers.length === 0 || this.#naming !== undefined) return;
    this.#naming = setTimeout(() => {
      this.#naming = undefined;
      const now = unnamed(this.sessions.get()).filter((row) => !this.#asked.has(row.id));
      if (now.length === 0) return;
      for (const row of now) this.#asked.add(row.id);
      const since = Math.min(...now.map((row) => row.created)) - 1;
      // A failure leaves them without a user's name, which the session's own page still tells.
      this.#pages({ createdAfter: since.toFixed(3) }, signal).catch(() => undefined);
    }, NAME_AFTER_MS);
  }
}
