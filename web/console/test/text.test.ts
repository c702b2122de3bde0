import { describe, expect, it } from "vitest";
import { EMPTY, reduce, talkingOf } from "../src/state/conversation";
import { logLineOf, logOf, transcriptOf } from "../src/state/text";
import { item, session } from "./world";

const entry = (name: string, at: number, data: Record<string, unknown> = {}) => ({ id: `${at}`, name, at, data });

const state = reduce(EMPTY, [
  {
    type: "session",
    session: session([
      entry("session.created", 100),
      entry("agent.lost", 103, { attempt: 1, detail: 'it said "no"\nand left', reason: null }),
      entry("turn.completed", 102.5, { attempt: 1, turn: 1, e2e_latency_s: 0.5 }),
    ]),
  },
]);

describe("a session as text", () => {
  it("is a log of one line an event, whatever the facts hold", () => {
    expect(logOf(state).split("\n")).toEqual([
      "1970-01-01T00:01:40.000Z session.created",
      "1970-01-01T00:01:42.500Z turn.completed attempt=1 turn=1 interrupted=false e2eLatencyS=0.5",
      '1970-01-01T00:01:43.000Z agent.lost attempt=1 detail="it said \\"no\\"\\nand left"',
    ]);
  });

  it("is a job's log of one line a record, whatever its fields hold", () => {
    const line = { attempt: 2, at: 100, level: "error", event: "job.failed", fields: { why: "a\nb", n: 1, of: null } };
    expect(logLineOf(line)).toBe('1970-01-01T00:01:40.000Z error job.failed attempt=2 why="a\\nb" n=1');
  });

  it("is a transcript of one line an item, with tools and what cut it short", () => {
    const tool = { name: "look_up", callId: "c", arguments: "{}", output: "none", isError: false };
    const items = [
      item({ id: "a", text: "Hello.", interrupted: true }),
      item({ id: "t", role: "tool", text: "", startedAt: 107, tool }),
      item({ id: "u", role: "user", text: "Hi.", startedAt: 111 }),
    ];
    expect(transcriptOf(items, 101).split("\n")).toEqual([
      "[0:01] Agent: Hello. [interrupted]",
      "[0:06] Tool: look_up({}) -> none",
      "[0:10] User: Hi.",
    ]);
  });
});

describe("the agent that has the conversation", () => {
  it("is whom it began with, and after handovers whom it was given to last", () => {
    expect(talkingOf(state)).toBe("assistant");
    const given = [entry("agent.transferred", 110, { agent: "a" }), entry("agent.transferred", 120, { agent: "b" })];
    expect(talkingOf(reduce(state, [{ type: "session", session: session(given) }]))).toBe("b");
  });
});
