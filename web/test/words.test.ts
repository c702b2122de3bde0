import { describe, expect, it } from "vitest";
import { IDLE, type Phase, type Problem, type State } from "../src/session";
import { durationWords, endWords, figures, problemWords, statusWords, waitWords } from "../src/words";

const refused = (
  status: number,
  code: string | null,
  detail: string | null = null,
  retryAfterS: number | null = null,
): Problem => ({ kind: "refused", status, code, detail, retryAfterS });

const FAILED = [
  "no_worker_registered",
  "all_workers_full",
  "job_not_accepted",
  "job_initialization_failed",
  "agent_did_not_join",
  "livekit_unreachable",
  "queue_timeout",
  "agent_lost",
];
const CODES = [
  "capacity_exhausted",
  "queue_full",
  "no_worker",
  "unauthenticated",
  "forbidden",
  "rate_limited",
  "session_exists",
  "store_unavailable",
  "livekit_unavailable",
  "unknown_agent",
];
const ENDED = [
  "user_requested",
  "user_left",
  "user_never_joined",
  "session_timeout",
  "max_duration",
  "inactivity",
  "room_deleted",
  "agent_ended",
  "error",
];

describe("problems in words", () => {
  it("has a title and an advice of its own for every named reason of a failed start", () => {
    const all = FAILED.map((reason) => problemWords({ kind: "failed", reason, detail: null }));
    expect(new Set(all.map((words) => words.title)).size).toBe(FAILED.length);
    for (const { title, advice } of all) {
      expect(title).not.toBe("The conversation could not start");
      expect(advice).toMatch(/try again|tell whoever/i);
    }
  });

  it("knows every code of the service, and prefers it to the service's own text", () => {
    for (const code of CODES) {
      const words = problemWords(refused(500, code, "internal words"));
      expect(words.title).not.toBe("The server said no");
      expect(words.advice).not.toContain("internal words");
    }
  });

  it("says that the server is full for a bare 503 from a proxy", () => {
    expect(problemWords(refused(503, null)).title).toBe("Every line is taken");
  });

  it("shows the service's own detail for a code that it does not know", () => {
    expect(problemWords(refused(422, "odd_code", "The voice is not offered."))).toEqual({
      title: "The server said no",
      advice: "The voice is not offered.",
    });
    expect(problemWords(refused(418, null)).advice).toContain("418");
  });

  it("tells how long to wait when the service says so", () => {
    expect(problemWords(refused(503, "capacity_exhausted", null, 20)).advice).toContain("20 seconds");
    expect(problemWords(refused(429, "rate_limited", null, 1)).advice).toContain("a second");
    expect(problemWords(refused(429, "rate_limited", null, 120)).advice).toContain("2 minutes");
  });

  it("tells the five troubles of a microphone apart", () => {
    const why = ["refused", "absent", "busy", "insecure", "other"] as const;
    const titles = why.map((each) => problemWords({ kind: "microphone", why: each }).title);
    expect(new Set(titles).size).toBe(why.length);
  });

  it("never shows a code, a number sentinel or an empty line", () => {
    const problems: Problem[] = [
      ...FAILED.map((reason): Problem => ({ kind: "failed", reason, detail: null })),
      { kind: "failed", reason: "new_reason", detail: null },
      ...CODES.map((code) => refused(500, code)),
      { kind: "unreachable" },
      { kind: "media" },
      { kind: "late", afterS: 35 },
      { kind: "lost" },
      { kind: "unsupported" },
      { kind: "unknown" },
    ];
    for (const problem of problems) {
      const { title, advice } = problemWords(problem);
      expect(`${title} ${advice}`).not.toMatch(/_|undefined|null|NaN/);
      expect(title.length * advice.length).toBeGreaterThan(0);
    }
  });
});

describe("endings in words", () => {
  it("knows every close reason, and has words for one that it does not know", () => {
    for (const reason of ENDED) expect(endWords(reason)).not.toBe("The conversation is over.");
    expect(endWords("something_new")).toBe("The conversation is over.");
    expect(endWords(null)).toBe("The conversation is over.");
  });

  it("sums up how long it was, how many turns it had, and how fast the answers came", () => {
    const ended: State = { ...IDLE, phase: "ended", endReason: "inactivity", lasted: 125 };
    expect(figures(ended, 7, 0.8444)).toEqual([
      { name: "Duration", value: "2 min 5 s" },
      { name: "Turns", value: "7" },
      { name: "Typical response", value: "0.84\u00a0s" },
    ]);
    expect(figures(ended, 1, null).map((each) => each.name)).toEqual(["Duration", "Turn"]);
    expect(figures({ ...ended, lasted: null }, 0, null)).toEqual([]);
  });

  it("says lengths as people do", () => {
    expect([0, 48.4, 60, 3599, 3780].map(durationWords)).toEqual([
      "0 s",
      "48 s",
      "1 min 0 s",
      "59 min 59 s",
      "1 h 3 min",
    ]);
  });
});

describe("the status line", () => {
  it("has words for every phase", () => {
    const phases: Phase[] = [
      "idle",
      "connecting",
      "waiting",
      "listening",
      "thinking",
      "speaking",
      "ended",
      "error",
    ];
    const lines = phases.map((phase) => statusWords({ ...IDLE, phase }));
    expect(new Set(lines).size).toBe(phases.length);
  });

  it("tells the special cases: in line, agent lost, muted, typing only, reconnecting", () => {
    const waiting: State = { ...IDLE, phase: "waiting" };
    const inLine = (position: number | null, waitS: number | null): string =>
      statusWords({ ...waiting, place: { position, waitS } });
    expect(inLine(null, null)).toBe("You are in line…");
    expect(inLine(1, 3.2)).toBe("You are next in line: a few seconds");
    expect(inLine(3, 41)).toBe("You are number 3 in line: about 50 seconds");
    expect([20, 95, 100, 200].map(waitWords)).toEqual([
      "about 20 seconds",
      "about 2 minutes",
      "about 2 minutes",
      "about 3 minutes",
    ]);
    expect(statusWords({ ...waiting, agentLost: true })).toContain("dropped out");
    const listening: State = { ...IDLE, phase: "listening" };
    expect(statusWords({ ...listening, muted: true })).toContain("muted");
    expect(statusWords({ ...listening, microphone: false })).toContain("message");
    expect(statusWords({ ...listening, reconnecting: true })).toContain("Reconnecting");
  });
});
