/// <reference types="node" />
/** A service for tests of what talks to one: answers as they are told, and streams that stay open. */

import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Window } from "happy-dom";
import type { FiguresAnswer, SessionsAnswer, SessionSummary } from "../src/api/types";

export interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly lastEventId: string | null;
}

/** An answer, or a promise of one; null: the service has none, and says 503. */
export type Answer = (asked: Asked) => unknown;

const JSON_TYPE = { "Content-Type": "application/json" };

export class Service {
  readonly asked: Asked[] = [];
  /** Answers by path; what is not here is 404. */
  readonly answers = new Map<string, Answer>();
  readonly #streams = new Map<string, ServerResponse>();
  readonly #server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const asked: Asked = {
      path: url.pathname,
      query: url.searchParams,
      lastEventId: (request.headers["last-event-id"] as string | undefined) ?? null,
    };
    this.asked.push(asked);
    if (request.headers.accept === "text/event-stream") {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("id: 1-0\nretry: 1000\n\n");
      this.#streams.set(asked.path, response);
      return;
    }
    void this.#answer(asked, response);
  });

  async #answer(asked: Asked, response: ServerResponse): Promise<void> {
    const answer = this.answers.get(asked.path);
    if (answer === undefined) {
      response.writeHead(404, JSON_TYPE).end(JSON.stringify({ code: "session_not_found" }));
      return;
    }
    const body: unknown = await answer(asked);
    response.writeHead(body === null ? 503 : 200, JSON_TYPE);
    response.end(JSON.stringify(body ?? { code: "store_unavailable" }));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const { port } = this.#server.address() as AddressInfo;
    (window as unknown as Window).happyDOM.setURL(`http://127.0.0.1:${port}/`);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  count(path: string): number {
    return this.asked.filter((each) => each.path === path).length;
  }

  hasStream(path: string): boolean {
    return this.#streams.has(path);
  }

  tell(path: string, name: string, data: unknown, id?: string): void {
    const head = id === undefined ? "" : `id: ${id}\n`;
    this.#streams.get(path)?.write(`${head}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Breaks a stream off, without a word. */
  cut(path: string): void {
    this.#streams.get(path)?.destroy();
    this.#streams.delete(path);
  }
}

/** Lists `sessions` as the service does, `limit` at a time, with the cursor being a place. */
export function listing(sessions: () => readonly SessionSummary[], limit: number): Answer {
  return ({ query }): SessionsAnswer => {
    const statuses = query.getAll("status");
    const before = Number(query.get("createdBefore") ?? Infinity);
    const found = sessions().filter((each) => each.created < before && (statuses.length === 0 || statuses.includes(each.status)));
    const from = Number(query.get("cursor") ?? 0);
    const cursor = from + limit < found.length ? String(from + limit) : null;
    return { sessions: found.slice(from, from + limit), cursor };
  };
}

export const figures = (at: number, points: FiguresAnswer["points"]): FiguresAnswer => ({
  from: points[0]?.at ?? 0,
  to: at,
  step: 60,
  currency: null,
  points,
});
