/// <reference types="node" />
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Window } from "happy-dom";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import page from "../index.html?raw";

let server: Server;
const waiting: ServerResponse[] = [];
const started: string[] = [];
const ended: string[] = [];

/** A service that takes its time to say what the page may offer, and then starts what it is asked. */
beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      if (request.url === "/api/talk") {
        waiting.push(response);
        return;
      }
      const known = request.url === "/api/session/start" ? started : request.url === "/api/session/end" ? ended : [];
      known.push((JSON.parse(body || "{}") as { sessionId: string }).sessionId);
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ status: "dispatching", token: "t", url: "ws://127.0.0.1:9" }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  (globalThis as unknown as { happyDOM: Window["happyDOM"] }).happyDOM.setURL(`http://127.0.0.1:${port}/`);
  document.body.innerHTML = page.slice(page.indexOf("<main"), page.indexOf("</body>"));
  // What the client looks for to tell whether a browser can make calls at all.
  vi.stubGlobal("RTCPeerConnection", class { addTransceiver(): void {} });
  vi.stubGlobal("AudioContext", class { resume = (): Promise<void> => Promise.resolve(); close = this.resume; });
  await import("../src/main");
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  vi.unstubAllGlobals();
});

const click = (id: string): void => document.getElementById(id)?.click();

it("makes one session for a person who gave up and began anew before the page was ready", async () => {
  // Without a microphone, which this browser has not; the page listens to the button also when it
  // hides it.
  for (const id of ["type-instead", "end", "type-instead", "end", "type-instead"]) click(id);
  await vi.waitFor(() => expect(waiting.length).toBeGreaterThanOrEqual(4));
  for (const response of waiting) {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ key: null, agents: [], startTimeout: 30, url: null }));
  }
  // The last one's start is asked for, and an end of it arrives after any other's start.
  await vi.waitFor(() => expect(started.length).toBeGreaterThan(0));
  click("end");
  await vi.waitFor(() => expect(ended.length).toBeGreaterThan(0));
  expect(started).toHaveLength(1);
  expect(ended).toEqual(started);
});
