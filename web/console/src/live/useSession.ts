/** One session, followed: what is stored of it, and every event since. */

import { useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { eventOf } from "../api/events";
import { follow } from "../api/follow";
import type { Frame } from "../api/sse";
import type { SessionAnswer, TranscriptAnswer } from "../api/types";
import { type Action, type Conversation, EMPTY, reduce } from "../state/conversation";
import { isOver } from "../state/rows";
import { Store } from "../state/store";
import { type Console } from "./console";
import { useConsole, useStore } from "./hooks";

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
  readonly error = new Store<unknown, unknown>(null, (state, values) => values.at(-1) ?? state);
  readonly #stop = new AbortController();
  #looking: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly console: Console,
    private readonly id: string,
  ) {}

  async start(): Promise<void> {
    try {
      const session = await this.#look();
      await this.#items();
      if (isOver(session.status)) return;
      // From the first event: what is known of them already is told twice, and kept once.
      await follow(
        this.console.client,
        `${this.#path}/events`,
        "0",
        { frames: (frames) => this.#hear(frames), state: () => undefined },
        this.#stop.signal,
      );
      await this.#look();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#fail(error);
    }
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#looking);
  }

  get #path(): string {
    return `/api/sessions/${this.id}`;
  }

  #fail(error: unknown): void {
    if (error instanceof ApiError && error.status === 404) {
      this.console.sessions.dispatch({ type: "erased", id: this.id });
    }
    this.error.dispatch(error);
  }

  async #look(): Promise<SessionAnswer> {
    const { client } = this.console;
    const session = await client.get<SessionAnswer>(this.#path, {}, this.#stop.signal);
    this.store.dispatch({ type: "session", session });
    return session;
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
      const event = eventOf(frame);
      if (event === null) continue;
      this.store.dispatch({ type: "event", event });
      if (LOOK_AGAIN.has(event.name)) this.#lookSoon();
    }
  }

  #lookSoon(): void {
    clearTimeout(this.#looking);
    this.#looking = setTimeout(() => {
      this.#look().catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#fail(error);
      });
    }, LOOK_AFTER_MS);
  }
}

const NOBODY = new Store<Conversation, Action>(EMPTY, reduce);
const NO_ERROR = new Store<unknown, unknown>(null, (state) => state);

export function useSession(id: string): { conversation: Conversation; error: unknown } {
  const console = useConsole();
  const [feed, setFeed] = useState<SessionFeed | null>(null);
  useEffect(() => {
    const fresh = new SessionFeed(console, id);
    setFeed(fresh);
    void fresh.start();
    return () => fresh.stop();
  }, [console, id]);
  const conversation = useStore(feed?.store ?? NOBODY);
  const error = useStore(feed?.error ?? NO_ERROR);
  return { conversation, error };
}
