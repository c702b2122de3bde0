/// <reference types="node" />
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Window } from "happy-dom";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ApiError, SessionApi, talkPage, UnreachableError } from "../src/api";

interface Asked {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

let server: Server;
let asked: Asked[];
let reply: { status: number; headers: Record<string, string>; body: string };
const never = new AbortController().signal;

const answer = (body: unknown, status = 200, headers: Record<string, string> = {}): void => {
  reply = { status, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
};

/** As the service writes it: a comment, two events, and one that a proxy cut off. */
const STREAM = `: still here

id: 2-0
event: agent.joined
data: {"sessionId":"sid","name":"agent.joined","at":1,"data":{"attempt":1}}

id: 3-0
event: turn.completed
data: {"sessionId":"sid","name":"turn.completed","at":2,"data":{"turn":1}}

id: 4-0
data: {"sess`;

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString();
      const body: unknown = text === "" ? null : JSON.parse(text);
      asked.push({ method: request.method, path: request.url, headers: request.headers, body });
      response.writeHead(reply.status, reply.headers).end(reply.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  (window as unknown as Window).happyDOM.setURL(`http://127.0.0.1:${port}/`);
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

describe("the calls", () => {
  it("read what the page may offer, and leave out what is not well formed", async () => {
    answer({ key: null, agents: [{ name: "a", title: "A", voices: ["v", 7], voice: "v", default: true }, {}], startTimeout: 30 });
    expect(await talkPage(null)).toEqual({
      key: null,
      agents: [{ name: "a", title: "A", voices: ["v"], voice: "v", default: true }],
      startTimeout: 30,
      url: null,
    });
    answer({ key: null, agents: [], startTimeout: 5, url: "wss://live" });
    expect(await talkPage("pk_theirs")).toMatchObject({ key: "pk_theirs", url: "wss://live" });
    expect(asked.map((each) => each.headers.authorization)).toEqual([undefined, "Bearer pk_theirs"]);
  });

  it("show the key and the session's own key on every later call", async () => {
    const api = new SessionApi("pk", "sid", "web-1");
    answer({ token: "t", url: "ws://h", sessionId: "sid", room: "r", sessionKey: "sk" });
    expect(await api.token(never)).toEqual({ token: "t", url: "ws://h" });
    answer({ success: true, status: "queued", position: 2, estimatedWaitS: 7.5 });
    expect(await api.start({ agent: "tutor", voice: null }, false)).toEqual({
      place: { position: 2, waitS: 7.5 },
      grant: null,
    });
    await api.end("user_requested");
    answer({ sessionId: "sid", status: "failed", reason: "all_workers_full", detail: null });
    expect(await api.status()).toEqual({
      status: "failed",
      reason: "all_workers_full",
      detail: null,
      place: null,
    });

    expect(asked.map((each) => `${each.method} ${each.path}`)).toEqual([
      "POST /api/token",
      "POST /api/session/start",
      "POST /api/session/end",
      "GET /api/sessions/sid",
    ]);
    expect(asked.every((each) => each.headers.authorization === "Bearer pk")).toBe(true);
    expect(asked[0]?.body).toEqual({ sessionId: "sid", userId: "web-1" });
    expect(asked[1]?.body).toEqual({
      sessionId: "sid",
      userId: "web-1",
      sessionKey: "sk",
      config: { agent: "tutor" },
    });
    expect(asked[2]?.body).toEqual({ sessionId: "sid", sessionKey: "sk", reason: "user_requested" });
    expect(asked[3]?.headers["x-session-key"]).toBe("sk");
    reply = { status: 200, headers: { "Content-Type": "text/event-stream" }, body: STREAM };
    const told = [];
    for await (const event of api.events("1-0", never)) told.push(`${event.id} ${event.name}`);
    expect(told).toEqual(["2-0 agent.joined", "3-0 turn.completed"]);
    expect(asked[4]?.headers).toMatchObject({ "x-session-key": "sk", "last-event-id": "1-0" });
  });

  it("show the session's key also where the start made the session", async () => {
    const api = new SessionApi("pk", "sid", "web-1");
    answer({ success: true, status: "dispatching", sessionKey: "sk", token: "t", url: "ws://h" });
    expect(await api.start({ agent: null, voice: null }, true)).toEqual({
      place: null,
      grant: { token: "t", url: "ws://h" },
    });
    answer({ token: "u", url: "ws://h", sessionId: "sid", room: "r" });
    expect(await api.token(never)).toEqual({ token: "u", url: "ws://h" });
    await api.end("user_requested");
    expect(asked.map((each) => each.body)).toEqual([
      { sessionId: "sid", userId: "web-1", withToken: true },
      { sessionId: "sid", userId: "web-1", sessionKey: "sk" },
      { sessionId: "sid", sessionKey: "sk", reason: "user_requested" },
    ]);
  });

  it("send no key, no config and no session key where there is none", async () => {
    const api = new SessionApi(null, "sid", "web-1");
    answer({ token: "t", url: "ws://h" });
    await api.token(never);
    answer({ success: true });
    await api.start({ agent: null, voice: null }, false);
    expect(asked[1]?.headers.authorization).toBeUndefined();
    expect(asked[1]?.body).toEqual({ sessionId: "sid", userId: "web-1" });
  });

  it("turn a problem document into its status, code, detail and waiting time", async () => {
    answer({ code: "capacity_exhausted", detail: "Full.", status: 503, success: false }, 503, {
      "Content-Type": "application/problem+json",
      "Retry-After": "7",
    });
    const error = await new SessionApi(null, "s", "u").token(never).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 503, code: "capacity_exhausted", detail: "Full.", retryAfterS: 7 });
  });

  it("take an answer that is not the service's for no answer", async () => {
    reply = { status: 200, headers: { "Content-Type": "text/html" }, body: "<h1>Sign in to the Wi-Fi</h1>" };
    await expect(talkPage(null)).rejects.toBeInstanceOf(UnreachableError);
    reply = { status: 502, headers: { "Content-Type": "text/html" }, body: "<h1>Bad gateway</h1>" };
    await expect(talkPage(null)).rejects.toMatchObject({ status: 502, code: null, detail: null });
    answer({ url: "ws://h" });
    await expect(new SessionApi(null, "s", "u").token(never)).rejects.toBeInstanceOf(UnreachableError);
  });
});
