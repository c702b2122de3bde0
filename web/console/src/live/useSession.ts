/** One session, followed: what is stored of it, and every event since. */

import { useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { eventOf, TRUNCATED } from "../api/events";
import { follow } from "../api/follow";
import type { Frame } from "../api/sse";
import type { SessionAnswer, TranscriptAnswer } from "../api/types";
import { type Action, type Conversation, EMPTY, reduce } from "../state/conversation";
import { isOver } from "../state/rows";
import { Store } from "../state/store";
import { type Console } from "./console";
import { useConsole, useStore } from "./hooks";
import { Retry } from "./retry";

/** After these the service knows more of the session than the event says. */
const LOOK_AGAIN: ReadonlySet<string> = new Set([
  "session.queued",
  "session.admitted",
  "session.active",
  "agent.joined",
  "agent.lost",
  "session.ended",
  "session.failed",
  "operator.listening",
  // It may have muted somebody.
  "control.settled",
]);
/** Several come together: the joined agent, the active session. */
const LOOK_AFTER_MS = 150;
const ITEMS_PAGE = 200;

export class SessionFeed {
  readonly store = new Store<Conversation, Action>(EMPTY, reduce);
  readonly #stop = new AbortController();
  readonly retry = new Retry(this.#stop.signal);
  #looking: ReturnType<typeof setTimeout> | undefined;
  #due = false;
  #missed = false;
  #clear: () => void = () => undefined;

  constructor(
    private readonly console: Console,
    private readonly id: string,
  ) {}

  start(): void {
    const { link } = this.console;
    this.#clear = link.subscribe(() => {
      if (link.get().state === "live") this.retry.again();
    });
    // It ends by being stopped, which raises.
    this.#follow().catch(() => undefined);
  }

  stop(): void {
    this.#stop.abort();
    this.#clear();
    clearTimeout(this.#looking);
  }

  get #path(): string {
    return `/api/sessions/${this.id}`;
  }

  async #follow(): Promise<void> {
    const session = await this.retry.until(() => this.#look());
    await this.retry.until(() => this.#items());
    if (isOver(session.status)) return;
    // From the first event: what is known of them already is told twice, and kept once.
    await follow(
      this.console.client,
      `${this.#path}/events?partials=true`,
      "0",
      { frames: (frames) => this.#hear(frames), state: () => undefined },
      this.#stop.signal,
    );
    await this.retry.until(() => this.#look());
  }

  async #look(): Promise<SessionAnswer> {
    const { client } = this.console;
    try {
      const session = await client.get<SessionAnswer>(this.#path, {}, this.#stop.signal);
      this.store.dispatch({ type: "session", session });
      return session;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        this.console.sessions.dispatch({ type: "erased", id: this.id });
      }
      throw error;
    }
  }

  async #items(): Promise<void> {
    let cursor: string | null = null;
    do {
      const query = { limit: ITEMS_PAGE, cursor };
      const page: TranscriptAnswer = await this.console.client.get(
        `${this.#path}/transcript`,
        query,
        this.#stop.signal,
      );
      this.store.dispatch({ type: "items", items: page.items, dropped: page.dropped });
      cursor = page.cursor;
    } while (cursor !== null);
  }

  #hear(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (frame.event === TRUNCATED) {
        this.#lookSoon(true);
        continue;
      }
      const event = eventOf(frame);
      if (event === null) continue;
      this.store.dispatch({ type: "event", event });
      if (LOOK_AGAIN.has(event.name)) this.#lookSoon();
    }
  }

  /** `missed`: what was said may be missing as well. */
  #lookSoon(missed = false): void {
    this.#due = true;
    this.#missed ||= missed;
    this.#looking ??= setTimeout(() => {
      this.#lookAgain().catch(() => undefined); // It was stopped.
    }, LOOK_AFTER_MS);
  }

  async #lookAgain(): Promise<void> {
    while (this.#due) {
      const all = this.#missed;
      this.#due = this.#missed = false;
      await this.retry.until(() => this.#look());
      if (all) await this.retry.until(() => this.#items());
    }
    this.#looking = undefined;
  }
}

const NOBODY = new Store<Conversation, Action>(EMPTY, reduce);
const NO_ERROR = new Store<unknown, unknown>(null, (state) => state);

export function useSession(id: string): { conversation: Conversation; error: unknown; again: () => void } {
  const console = useConsole();
  const [feed, setFeed] = useState<SessionFeed | null>(null);
  useEffect(() => {
    const fresh = new SessionFeed(console, id);
    setFeed(fresh);
    fresh.start();
    return () => fresh.stop();
  }, [console, id]);
  const conversation = useStore(feed?.store ?? NOBODY);
  const error = useStore(feed?.retry.error ?? NO_ERROR);
  return { conversation, error, again: () => feed?.retry.again() };
}
