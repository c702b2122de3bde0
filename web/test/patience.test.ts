import { describe, expect, it } from "vitest";
import { Patience } from "../src/patience";
import type { Problem } from "../src/session";

const START_TIMEOUT_S = 30;
const OUT: Problem = { kind: "unreachable" };
const LINE = { position: 3, waitS: 40 };

/** Asks each second of `[from, to)`, in seconds, as the page does; the first verdict and when. */
function ask(
  patience: Patience,
  from: number,
  to: number,
  asked: (nowMs: number) => void,
): { problem: Problem; atS: number } | null {
  for (let second = from; second < to; second += 1) {
    asked(second * 1000);
    const problem = patience.exhausted(second * 1000);
    if (problem !== null) return { problem, atS: second };
  }
  return null;
}

describe("how long an agent is waited for", () => {
  it("is over soon after the service's own verdict was due", () => {
    const patience = new Patience(START_TIMEOUT_S, 0);
    const verdict = ask(patience, 1, 100, (now) => patience.answered(null, now));
    expect(verdict).toEqual({ problem: { kind: "late", afterS: 36 }, atS: 36 });
  });

  it("begins when the line has come to its end, and has a bound in it", () => {
    const patience = new Patience(START_TIMEOUT_S, 0);
    expect(ask(patience, 1, 300, (now) => patience.answered(LINE, now))).toBeNull();
    expect(ask(patience, 300, 400, (now) => patience.answered(null, now))?.atS).toBe(335);
    const endless = new Patience(START_TIMEOUT_S, 0);
    expect(ask(endless, 1, 2000, (now) => endless.answered(LINE, now))).toEqual({
      problem: { kind: "late", afterS: 901 },
      atS: 901,
    });
  });

  it("is not used up while the service cannot be asked, in line or not", () => {
    for (const place of [LINE, null]) {
      const patience = new Patience(START_TIMEOUT_S, 0);
      expect(ask(patience, 1, 20, (now) => patience.answered(place, now))).toBeNull();
      expect(ask(patience, 20, 80, (now) => patience.unanswered(OUT, now))).toBeNull();
      expect(ask(patience, 80, 110, (now) => patience.answered(null, now))).toBeNull();
    }
  });

  it("ends with the service's trouble when that does not pass", () => {
    const gone: Problem = { kind: "refused", status: 404, code: null, detail: null, retryAfterS: null };
    const patience = new Patience(START_TIMEOUT_S, 0);
    patience.answered(LINE, 1000);
    const verdict = ask(patience, 2, 2000, (now) => patience.unanswered(gone, now));
    expect(verdict).toEqual({ problem: gone, atS: 92 });
  });
});
