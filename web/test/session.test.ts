import { describe, expect, it } from "vitest";
import { attended, conclusion, type Event, IDLE, live, next, type State } from "../src/session";

const after = (...events: Event[]): State => events.reduce(next, IDLE);
const START: Event = { type: "start", microphone: true };
const CONNECTED: Event = { type: "connected" };
const agent = (state: string | null, at = 1000): Event => ({ type: "agent", state, at });

describe("the state of a conversation", () => {
  it("goes from the click to the agent's own states", () => {
    expect(after(START).phase).toBe("connecting");
    expect(after(START, CONNECTED).phase).toBe("waiting");
    for (const word of ["listening", "thinking", "speaking"] as const) {
      expect(after(START, CONNECTED, agent(word)).phase).toBe(word);
    }
    expect(after(START, CONNECTED, agent("idle")).phase).toBe("listening");
  });

  it("waits while an agent in the room is not ready, also when it came before us", () => {
    expect(after(START, CONNECTED, agent("initializing")).phase).toBe("waiting");
    expect(after(START, agent("initializing")).phase).toBe("waiting");
    expect(after(START, agent(null)).phase).toBe("waiting");
  });

  it("does not go back to waiting when the room opens after the agent spoke", () => {
    expect(after(START, agent("speaking"), CONNECTED).phase).toBe("speaking");
  });

  it("keeps the phase through a broken connection and tells it apart", () => {
    const broken = after(START, CONNECTED, agent("speaking"), { type: "reconnecting" });
    expect(broken).toMatchObject({ phase: "speaking", reconnecting: true });
    expect(next(broken, { type: "reconnected" })).toMatchObject({ phase: "speaking", reconnecting: false });
  });

  it("waits again when the agent is lost, and takes the next one", () => {
    const lost = after(START, CONNECTED, agent("listening"), { type: "agentLeft" });
    expect(lost).toMatchObject({ phase: "waiting", agentLost: true });
    expect(next(lost, agent("listening", 9000))).toMatchObject({
      phase: "listening",
      agentLost: false,
      since: 1000,
    });
  });

  it("tells the line only while nobody serves", () => {
    const place = { position: 2, waitS: 30 };
    const placed: Event = { type: "placed", place };
    const waiting = after(START, CONNECTED, placed);
    expect(waiting.place).toEqual(place);
    expect(next(waiting, { type: "placed", place: { ...place } })).toBe(waiting);
    expect(next(waiting, { type: "placed", place: null }).place).toBeNull();
    expect(next(waiting, agent("listening")).place).toBeNull();
    expect(after(START, CONNECTED, agent("listening"), placed).place).toBeNull();
  });

  it("measures from the agent's coming; a conversation without one has no length", () => {
    const ended: Event = { type: "ended", reason: "user_requested", at: 63_000 };
    expect(after(START, CONNECTED, agent("listening", 3000), ended).lasted).toBe(60);
    expect(after(START, CONNECTED, ended).lasted).toBeNull();
  });

  it("takes nothing after its end but a new start, which begins afresh", () => {
    const ended = after(START, CONNECTED, agent("speaking"), { type: "ended", reason: null, at: 2 });
    for (const late of [agent("speaking"), CONNECTED, { type: "reconnecting" } as const]) {
      expect(next(ended, late)).toBe(ended);
    }
    expect(next(ended, { type: "start", microphone: false })).toEqual({
      ...IDLE,
      phase: "connecting",
      microphone: false,
    });
  });

  it("ignores a second start while one is running", () => {
    const running = after(START, CONNECTED);
    expect(next(running, START)).toBe(running);
  });

  it("ends by the service's word, and takes its own leaving for a lost connection", () => {
    const said = (status: string, reason: string | null): Event | null =>
      conclusion({ status, reason, detail: "why" }, 7);
    for (const status of ["queued", "dispatching", "active"]) expect(said(status, null)).toBeNull();
    expect(said("ended", "max_duration")).toEqual({ type: "ended", reason: "max_duration", at: 7 });
    expect(said("ended", "user_left")).toEqual({ type: "failed", problem: { kind: "lost" }, at: 7 });
    const problem = { kind: "failed", reason: "queue_timeout", detail: "why" };
    expect(said("failed", "queue_timeout")).toEqual({ type: "failed", problem, at: 7 });
  });

  it("says when it lives and when somebody attends", () => {
    expect(live(IDLE)).toBe(false);
    expect(live(after(START))).toBe(true);
    expect(attended(after(START, CONNECTED))).toBe(false);
    expect(attended(after(START, CONNECTED, agent("thinking")))).toBe(true);
    const failed = after(START, { type: "failed", problem: { kind: "lost" }, at: 1 });
    expect(live(failed)).toBe(false);
    expect(failed.problem).toEqual({ kind: "lost" });
  });
});
