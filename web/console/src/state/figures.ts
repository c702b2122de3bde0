/** Figures in steps of time: what the service counted, and what events have told since. Pure. */

import { numberOf, type SessionEvent, textOf } from "../api/events";
import type { FiguresAnswer, FiguresPoint, Spread } from "../api/types";
import { counting as oneMore, type Histogram, weights } from "./histogram";

export type Latency = "e2e_latency" | "transcription_delay" | "end_of_turn_delay" | "llm_ttft" | "tts_ttfb";

export const LATENCIES: readonly { readonly name: Latency; readonly label: string }[] = [
  { name: "e2e_latency", label: "Answer begins" },
  { name: "transcription_delay", label: "Transcription" },
  { name: "end_of_turn_delay", label: "End of turn" },
  { name: "llm_ttft", label: "Model's first token" },
  { name: "tts_ttfb", label: "Voice's first sound" },
];

/** `name` of a latency, or `joining`: from the start until an agent is in the room. */
type Measured = Latency | "joining";

interface Step {
  readonly counted: FiguresPoint;
  /** What events told of this step after it was counted. */
  readonly told: ReadonlyMap<Measured, Histogram>;
}

export interface Figures {
  readonly stepS: number;
  readonly windowS: number;
  readonly currency: string | null;
  /** Up to when the service counted, Unix seconds: earlier events are in its figures. */
  readonly countedTo: number;
  readonly steps: readonly Step[];
}

export type Action =
  | { readonly type: "counted"; readonly answer: FiguresAnswer; readonly windowS: number }
  /** `queuedAt`: when the event's session asked for an agent, if that is known. */
  | { readonly type: "event"; readonly event: SessionEvent; readonly queuedAt: number | null }
  | { readonly type: "now"; readonly at: number; readonly slots: number; readonly waiting: number };

export const NOTHING: Figures = { stepS: 60, windowS: 3600, currency: null, countedTo: 0, steps: [] };

const NEVER: Spread = { count: 0, p50: null, p90: null, p99: null };

const emptyPoint = (at: number, slots: number, waiting: number): FiguresPoint => ({
  at,
  started: 0,
  active: 0,
  ended: 0,
  over: {},
  failed: {},
  turns: 0,
  interrupted: 0,
  slots,
  waiting,
  joining: NEVER,
  latencies: {},
  cost: null,
});

const plus = (counts: Readonly<Record<string, number>>, name: string): Record<string, number> => ({
  ...counts,
  [name]: (counts[name] ?? 0) + 1,
});

/** The steps up to the one that holds `at`, of which at most a window's are kept. */
function reach(figures: Figures, at: number): Figures {
  const { stepS, windowS } = figures;
  const begin = Math.floor(at / stepS) * stepS;
  const last = figures.steps.at(-1)?.counted;
  if (last === undefined || begin <= last.at) return figures;
  const missing = Math.min(Math.round((begin - last.at) / stepS), Math.ceil(windowS / stepS));
  const added = Array.from({ length: missing }, (_, n) => ({
    counted: emptyPoint(begin - (missing - 1 - n) * stepS, last.slots, last.waiting),
    told: new Map(),
  }));
  const steps = [...figures.steps, ...added].filter((step) => step.counted.at > begin - windowS);
  return { ...figures, steps };
}

type Change = (step: Step) => Step;

function inStep(figures: Figures, at: number, change: Change): Figures {
  const { steps, stepS } = figures;
  const n = steps.findLastIndex((step) => step.counted.at <= at);
  const step = steps[n];
  if (step === undefined || at >= step.counted.at + stepS) return figures;
  return { ...figures, steps: steps.with(n, change(step)) };
}

const counting =
  (change: (point: FiguresPoint) => Partial<FiguresPoint>): Change =>
  (step) => ({ ...step, counted: { ...step.counted, ...change(step.counted) } });

const measured =
  (values: readonly (readonly [Measured, number | null])[]): Change =>
  (step) => {
    const told = new Map(step.told);
    for (const [name, seconds] of values) {
      if (seconds !== null) told.set(name, oneMore(told.get(name), seconds));
    }
    return { ...step, told };
  };

function changesOf(event: SessionEvent, queuedAt: number | null): Change[] {
  const reason = textOf(event, "reason") ?? "unknown";
  switch (event.name) {
    case "session.queued":
      return [counting((point) => ({ started: point.started + 1 }))];
    case "session.active":
      return [
        counting((point) => ({ active: point.active + 1 })),
        measured([["joining", queuedAt === null ? null : Math.max(event.at - queuedAt, 0)]]),
      ];
    case "session.ended":
      return [counting((point) => ({ ended: point.ended + 1, over: plus(point.over, reason) }))];
    case "session.failed":
      return [counting((point) => ({ failed: plus(point.failed, reason) }))];
    case "turn.completed":
      return [
        counting((point) => ({
          turns: point.turns + 1,
          interrupted: point.interrupted + (event.data["interrupted"] === true ? 1 : 0),
        })),
        measured(LATENCIES.map(({ name }) => [name, numberOf(event, `${name}_s`)] as const)),
      ];
    default:
      return [];
  }
}

export function reduce(figures: Figures, actions: readonly Action[]): Figures {
  return actions.reduce((state, action) => {
    if (action.type === "counted") return counted(state, action.answer, action.windowS);
    if (state.steps.length === 0) return state;
    if (action.type === "now") {
      const { at, slots, waiting } = action;
      return inStep(reach(state, at), at, counting(() => ({ slots, waiting })));
    }
    const { event, queuedAt } = action;
    if (event.at <= state.countedTo) return state;
    const changes = changesOf(event, queuedAt);
    if (changes.length === 0) return state;
    return changes.reduce((next, change) => inStep(next, event.at, change), reach(state, event.at));
  }, figures);
}

/** The service's own count replaces ours; what happened after it is kept where it is of this span. */
function counted(before: Figures, answer: FiguresAnswer, windowS: number): Figures {
  const fresh: Figures = {
    stepS: answer.step,
    windowS,
    currency: answer.currency,
    countedTo: answer.to,
    steps: answer.points.map((point) => ({ counted: point, told: new Map() })),
  };
  const last = fresh.steps.at(-1)?.counted.at ?? 0;
  const later = before.stepS === fresh.stepS ? before.steps.filter((s) => s.counted.at > last) : [];
  return { ...fresh, steps: [...fresh.steps, ...later] };
}

/** How much of a counted spread is taken to lie at each of its percentiles: so much that each of
 * them is in the middle of its share, and a few values more do not push it to the next. */
const SHARES = [
  ["p50", 0.7],
  ["p90", 0.25],
  ["p99", 0.05],
] as const;

/** The value below which `share` of the weights lie. */
function quantile(sorted: readonly (readonly [number, number])[], share: number): number | null {
  const total = sorted.reduce((sum, [, weight]) => sum + weight, 0);
  let passed = 0;
  for (const [value, weight] of sorted) {
    passed += weight;
    if (passed >= total * share - 1e-9) return value;
  }
  return null;
}

/** Counted percentiles and what was told since together. An estimate where both are there: the
 * values behind the percentiles are not known here. */
export function together(counted: Spread, told: Histogram | undefined): Spread {
  if (told === undefined) return counted;
  const known: (readonly [number, number])[] = weights(told);
  const count = known.reduce((sum, [, times]) => sum + times, counted.count);
  for (const [name, share] of SHARES) {
    const value = counted[name];
    if (value !== null && value !== undefined) known.push([value, counted.count * share]);
  }
  known.sort(([a], [b]) => a - b);
  return { count, p50: quantile(known, 0.5), p90: quantile(known, 0.9), p99: quantile(known, 0.99) };
}

const spreads = new WeakMap<Step, Map<Measured, Spread>>();

/** Worked out once for each state of a step: those that are over stay as they are. */
export function spreadOf(step: Step, name: Measured): Spread {
  const known = spreads.get(step) ?? new Map<Measured, Spread>();
  spreads.set(step, known);
  const found =
    known.get(name) ??
    together((name === "joining" ? step.counted.joining : step.counted.latencies[name]) ?? NEVER, step.told.get(name));
  known.set(name, found);
  return found;
}

export const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, value) => total + value, 0);

/** All steps' counts by name, the most frequent first. */
export function ranking(
  figures: Figures,
  of: (point: FiguresPoint) => Readonly<Record<string, number>>,
): [string, number][] {
  const totals = new Map<string, number>();
  for (const { counted } of figures.steps) {
    for (const [name, value] of Object.entries(of(counted))) {
      totals.set(name, (totals.get(name) ?? 0) + value);
    }
  }
  return [...totals].sort(([a, n], [b, m]) => m - n || a.localeCompare(b));
}

export const total = (figures: Figures, of: (point: FiguresPoint) => number): number =>
  figures.steps.reduce((all, step) => all + of(step.counted), 0);

/** The spread over the whole window, estimated from those of its steps. */
export function overall(figures: Figures, name: Measured): Spread {
  const known: (readonly [number, number])[] = [];
  let count = 0;
  for (const step of figures.steps) {
    const spread = spreadOf(step, name);
    count += spread.count;
    for (const [each, share] of SHARES) {
      const value = spread[each];
      if (value !== null && value !== undefined) known.push([value, spread.count * share]);
    }
  }
  known.sort(([a], [b]) => a - b);
  return { count, p50: quantile(known, 0.5), p90: quantile(known, 0.9), p99: quantile(known, 0.99) };
}
