import { describe, expect, it } from "vitest";
import type { Entry } from "../src/state/conversation";
import { attemptsOf, spansOf } from "../src/state/stages";

const entry = (name: string, at: number, data: Record<string, unknown> = {}): Entry => ({ name, at, data });

const LOST_ONCE = [
  entry("session.created", 0),
  entry("session.queued", 1, { agent: "assistant", task_id: "t" }),
  entry("session.admitted", 2),
  entry("session.dispatched", 2.5, { attempt: 1 }),
  entry("agent.accepted", 3, { attempt: 1, worker: "w-1" }),
  entry("agent.lost", 13, { attempt: 1, detail: "its worker vanished", reason: null }),
  entry("session.dispatched", 13.5, { attempt: 2 }),
  entry("agent.joined", 14.5, { attempt: 2 }),
  entry("user.joined", 20),
];

describe("stages of a timeline", () => {
  const attempts = attemptsOf(LOST_ONCE);

  it("puts each stage into its attempt, named or under way", () => {
    expect(attempts.map(({ attempt, stages }) => [attempt, stages.map((stage) => stage.name)])).toEqual([
      [0, ["session.created", "session.queued"]],
      [1, ["session.admitted", "session.dispatched", "agent.accepted", "agent.lost"]],
      [2, ["session.dispatched", "agent.joined", "user.joined"]],
    ]);
  });

  it("says after how long, and until the agent was there", () => {
    expect(attempts[1]?.stages.map((stage) => stage.afterS)).toEqual([1, 0.5, 0.5, 10]);
    expect(attempts.map((attempt) => attempt.joinedAfterS)).toEqual([null, null, 1]);
  });

  it("tells facts, but neither what is unknown nor what the heading says", () => {
    expect(attempts[1]?.stages.at(-1)).toMatchObject({ bad: true, facts: [["detail", "its worker vanished"]] });
    expect(attempts[0]?.stages[1]?.facts).toEqual([["agent", "assistant"]]);
  });

  it("tells a command that was not carried out from one that was", () => {
    const told = attemptsOf([
      entry("control.settled", 1, { id: "c-1", kind: "say", outcome: "applied" }),
      entry("control.settled", 2, { id: "c-2", kind: "say", outcome: "dropped" }),
    ]);
    expect(told[0]?.stages.map(({ says, bad }) => [says, bad])).toEqual([
      ["It was carried out", false],
      ["It was not carried out", true],
    ]);
  });

  it("draws bars end to end, and none for what is not on the way in", () => {
    const [, first, second] = attempts;
    expect(first && spansOf(first)).toEqual([
      { fromS: 0, lengthS: 0 },
      { fromS: 0, lengthS: 0.5 },
      { fromS: 0.5, lengthS: 0.5 },
      { fromS: 1, lengthS: 10 },
    ]);
    expect(second && spansOf(second)).toEqual([{ fromS: 0, lengthS: 0 }, { fromS: 0, lengthS: 1 }, null]);
  });

  it("is empty for an empty timeline, and never goes back in time", () => {
    expect(attemptsOf([])).toEqual([]);
    expect(attemptsOf([entry("a", 5), entry("b", 4)])[0]?.stages[1]?.afterS).toBe(0);
  });
});
