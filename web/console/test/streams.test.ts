/// <reference types="node" />
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Window } from "happy-dom";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { address, ApiError, Client, UnreachableError } from "../src/api/client";
import { eventOf } from "../src/api/events";
import { follow, type StreamState, waitBefore } from "../src/api/follow";
import { FrameReader } from "../src/api/sse";

describe("frames of a stream", () => {
  const TEXT = 'retry: 1000\n\n: still here\n\nid: 7-0\nevent: session.created\ndata: {"a":\ndata: 1}\n\nid: 8-0\r\ndata: x\r\n\r\n';

  it("are the same however the text was cut", () => {
    const whole = new FrameReader().read(TEXT);
    expect(whole).toEqual([
      { id: "7-0", event: "session.created", data: '{"a":\n1}' },
      { id: "8-0", event: "message", data: "x" },
    ]);
    const reader = new FrameReader();
    expect([...TEXT].flatMap((char) => reader.read(char))).toEqual(whole);
  });

  it("keep the last id for a frame without one", () => {
    const frames = new FrameReader().read("id: 7-0\ndata: a\n\nevent: stream.truncated\ndata: {}\n\n");
    expect(frames.map((frame) => frame.id)).toEqual(["7-0", "7-0"]);
  });

  it("tell where to resume also without an event, once a frame is whole", () => {
    const reader = new FrameReader();
    expect(reader.read("id: 7-0\nretry: 1000\n")).toEqual([]);
    expect(reader.id).toBeNull();
    expect(reader.read("\n: still here\n\n")).toEqual([]);
    expect(reader.id).toBe("7-0");
    reader.read("id: 8-0\ndata: cut off");
    expect(reader.id).toBe("7-0");
  });

  it("refuse a line without an end", () => {
    expect(() => new FrameReader().read("x".repeat(2 ** 20 + 1))).toThrow(RangeError);
  });

  it("are events only if they say what an event says", () => {
    const frame = (data: string) => eventOf({ id: null, event: "x", data });
    expect(frame('{"sessionId":"s","name":"user.left","at":1,"data":null}')).toEqual({
      sessionId: "s",
      name: "user.left",
      at: 1,
      data: {},
    });
    for (const data of ["nonsense", "[]", "null", '{"sessionId":"s","name":"x"}']) expect(frame(data)).toBeNull();
  });
});

describe("against a server", () => {
  let server: Server;
  let asked: IncomingMessage[];
  let replies: ((response: ServerResponse) => void)[];

  beforeEach(async () => {
    asked = [];
    replies = [];
    server = createServer((request, response) => {
      asked.push(request);
      const reply = replies.shift() ?? ((last: ServerResponse) => last.writeHead(204).end());
      reply(response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    (window as unknown as Window).happyDOM.setURL(`http://127.0.0.1:${port}/`);
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const frames = (text: string) => (response: ServerResponse) =>
    void response.writeHead(200, { "Content-Type": "text/event-stream" }).end(text);
  const refusal = (status: number, code: string) => (response: ServerResponse) =>
    void response.writeHead(status, { "Content-Type": "application/problem+json" }).end(JSON.stringify({ code, detail: "no" }));

  const followed = async (client: Client, from: string | null) => {
    const seen: string[] = [];
    const states: StreamState[] = [];
    const listener = {
      frames: (found: readonly { data: string }[]) => void seen.push(...found.map((frame) => frame.data)),
      state: (state: StreamState) => void states.push(state),
    };
    await follow(client, "/api/events", from, listener, new AbortController().signal);
    return { seen, states };
  };

  it("resumes after the last event that came, until there is no more", async () => {
    replies = [frames("id: 1-0\ndata: a\n\nid: 2-0\ndata: b\n\n"), refusal(503, "store_unavailable"), frames("id: 3-0\ndata: c\n\n")];
    const { seen, states } = await followed(new Client("secret"), null);
    expect(seen).toEqual(["a", "b", "c"]);
    expect(asked.map((request) => request.headers["last-event-id"])).toEqual([undefined, "2-0", "2-0", "3-0"]);
    expect(asked.every((request) => request.headers.authorization === "Bearer secret")).toBe(true);
    expect(asked.every((request) => !request.url?.includes("secret"))).toBe(true);
    expect(states.filter((state) => state === "offline")).toHaveLength(3);
    expect(states.at(-1)).toBe("over");
  });

  it("resumes a stream that broke off before its first event, from where it was opened", async () => {
    replies = [frames("id: 4-0\nretry: 1000\n\n: still here\n\n"), frames("id: 5-0\ndata: missed\n\n")];
    const { seen } = await followed(new Client("secret"), null);
    expect(seen).toEqual(["missed"]);
    expect(asked.map((request) => request.headers["last-event-id"])).toEqual([undefined, "4-0", "5-0"]);
  });

  it("stops for good, and says so, when the key is refused", async () => {
    replies = [refusal(401, "unauthenticated")];
    let refused = 0;
    const { states } = await followed(new Client("old", () => (refused += 1)), "5-0");
    expect(states).toEqual(["connecting", "over"]);
    expect([refused, asked.length]).toEqual([1, 1]);
  });

  it("tells a refusal from no answer", async () => {
    replies = [refusal(404, "session_not_found"), (response) => void response.writeHead(200).end("<html>")];
    const client = new Client(null);
    const error = await client.get("/x").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 404, code: "session_not_found", detail: "no", aboutKey: false });
    await expect(client.get("/x")).rejects.toBeInstanceOf(UnreachableError);
    expect(asked.every((request) => request.headers.authorization === undefined)).toBe(true);
  });
});

it("waits longer after each failure, up to a bound, and never in step with others", () => {
  expect([1, 2, 3, 9].map((n) => waitBefore(n, 0.999))).toEqual([
    expect.closeTo(1, 2),
    expect.closeTo(2, 2),
    expect.closeTo(4, 2),
    expect.closeTo(15, 1),
  ]);
  expect(waitBefore(9, 0)).toBe(7.5);
});

it("writes addresses without what is not wanted", () => {
  expect(address("/p", { a: "x y", b: null, c: undefined, d: ["1", "2"], e: 3 })).toBe("/p?a=x+y&d=1&d=2&e=3");
  expect(address("/p")).toBe("/p");
});
