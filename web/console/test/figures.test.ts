import { describe, expect, it } from "vitest";
import type { FiguresAnswer } from "../src/api/types";
import { type Action, type Figures, NOTHING, overall, ranking, reduce, spreadOf, sum, together, total } from "../src/state/figures";
import { counting as oneMore, type Histogram, weights } from "../src/state/histogram";
import { event, NEVER, point } from "./world";

const about = (seconds: number): unknown => expect.closeTo(seconds, seconds < 1 ? 2 : 1);
const histogram = (values: readonly number[]): Histogram =>
  values.reduce<Histogram | undefined>(oneMore, undefined) as Histogram;

const answer = (to: number, points: FiguresAnswer["points"], step = 60): FiguresAnswer => ({
  from: points[0]?.at ?? 0,
  to,
  step,
  currency: null,
  points,
});
const counted = (to: number, ...points: FiguresAnswer["points"]): Action => ({
  type: "counted",
  answer: answer(to, points),
  windowS: 180,
});
const told = (name: string, at: number, data: Record<string, unknown> = {}, queuedAt: number | null = null): Action => ({
  type: "event",
  event: event(name, at, data),
  queuedAt,
});
const after = (...actions: Action[]): Figures => reduce(NOTHING, actions);
const BEGUN = counted(90, point({ at: 0, started: 5 }), point({ at: 60, started: 2 }));

describe("figures in steps", () => {
  it("adds what happens to the step in which it does", () => {
    const figures = after(
      BEGUN,
      told("session.queued", 95),
      told("session.failed", 100, { reason: "queue_timeout" }),
      told("session.ended", 101, { reason: "user_left" }),
      told("session.active", 102, {}, 100),
      told("turn.completed", 103, { interrupted: true, e2e_latency_s: 0.8 }),
      told("conversation.item", 104),
    );
    const last = figures.steps.at(-1)!;
    expect(last.counted).toMatchObject({
      at: 60,
      started: 3,
      active: 1,
      ended: 1,
      failed: { queue_timeout: 1 },
      over: { user_left: 1 },
      turns: 1,
      interrupted: 1,
    });
    expect(spreadOf(last, "joining")).toMatchObject({ count: 1, p50: about(2) });
    expect(spreadOf(last, "e2e_latency")).toMatchObject({ count: 1, p99: about(0.8) });
    expect(spreadOf(last, "llm_ttft")).toEqual(NEVER);
  });

  it("does not count again what the service has counted", () => {
    expect(after(BEGUN, told("session.queued", 90)).steps.at(-1)?.counted.started).toBe(2);
  });

  it("begins new steps, empty ones between them, and drops what left the window", () => {
    const figures = after(BEGUN, { type: "now", at: 130, slots: 4, waiting: 1 }, told("session.queued", 250));
    expect(figures.steps.map(({ counted: { at, started, slots } }) => [at, started, slots])).toEqual([
      [120, 0, 4],
      [180, 0, 4],
      [240, 1, 4],
    ]);
  });

  it("ignores what is told before anything was counted, or of a time that is not shown", () => {
    expect(after(told("session.queued", 95))).toBe(NOTHING);
    const figures = after(counted(90, point({ at: 60 })), told("session.queued", 95));
    expect(total(figures, (each) => each.started)).toBe(1);
  });

  it("works a step's spread out once for as long as the step stays as it is", () => {
    const figures = after(BEGUN, told("turn.completed", 95, { e2e_latency_s: 1 }), told("session.queued", 125));
    const next = reduce(figures, [told("turn.completed", 126, { e2e_latency_s: 2 })]);
    const spreads = (of: Figures) => of.steps.map((step) => spreadOf(step, "e2e_latency"));
    expect(spreads(next)[1]).toBe(spreads(figures)[1]);
    expect(spreads(next)[2]).toMatchObject({ count: 1 });
  });

  it("takes the service's word for steps that are over, and keeps what was told of later ones", () => {
    const figures = after(
      BEGUN,
      told("session.queued", 95),
      told("session.queued", 125),
      counted(122, point({ at: 0, started: 5 }), point({ at: 60, started: 9 })),
    );
    expect(figures.steps.map((step) => step.counted.started)).toEqual([5, 9, 1]);
  });

  it("ranks reasons over the whole time", () => {
    const figures = after(
      counted(90, point({ at: 0, failed: { a: 1, b: 1 } }), point({ at: 60, failed: { b: 4 } })),
    );
    expect(ranking(figures, (each) => each.failed)).toEqual([["b", 5], ["a", 1]]);
    expect(total(figures, (each) => sum(each.failed))).toBe(6);
  });
});

describe("percentiles", () => {
  it("are by nearest rank, within a hundredth", () => {
    const values = Array.from({ length: 1000 }, (_, n) => (n + 1) / 100);
    const spread = together(NEVER, histogram(values));
    expect(spread.count).toBe(1000);
    for (const [name, exact] of [["p50", 5], ["p90", 9], ["p99", 9.9]] as const) {
      expect(Math.abs((spread[name] ?? 0) / exact - 1)).toBeLessThan(0.01);
    }
  });

  it("are the service's own where nothing was told since", () => {
    const spread = { count: 9, p50: 0.5, p90: 0.8, p99: 1 };
    expect(together(spread, undefined)).toBe(spread);
  });

  it("move with what is told beside many counted ones, but not to it", () => {
    const spread = together({ count: 98, p50: 0.5, p90: 0.8, p99: 1 }, histogram([9, 9]));
    expect(spread).toEqual({ count: 100, p50: 0.5, p90: 0.8, p99: about(9) });
  });

  it("keep as much of a million values as of a hundred, and what is out of bounds at the bounds", () => {
    let all = histogram([0, 0.0001, 1e9]);
    const size = all.byteLength;
    const once = weights(all);
    expect(once.map(([, times]) => times)).toEqual([2, 1]);
    expect(once[0]?.[0]).toBeLessThanOrEqual(0.001);
    expect(once.at(-1)?.[0]).toBeGreaterThan(3500);
    for (let n = 0; n < 10_000; n += 1) all = oneMore(all, 0.2 + (n % 500) / 100);
    expect(all.byteLength).toBe(size);
    expect(weights(all).length).toBeLessThan(400);
  });

  it("weigh each step by how much it measured", () => {
    const busy = point({ at: 0, latencies: { e2e_latency: { count: 99, p50: 0.4, p90: 0.5, p99: 0.6 } } });
    const lone = point({ at: 60, latencies: { e2e_latency: { count: 1, p50: 7, p90: 7, p99: 7 } } });
    expect(overall(after(counted(90, busy, lone)), "e2e_latency")).toMatchObject({ count: 100, p50: 0.4, p90: 0.5 });
    expect(overall(after(counted(90, point())), "e2e_latency")).toEqual(NEVER);
  });
});
