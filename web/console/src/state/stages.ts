/** A session's timeline as stages: what happened, in which attempt, and after how long. Pure. */

import type { Entry } from "./conversation";

const SAYS: Readonly<Record<string, string>> = {
  "session.created": "The record was made",
  "session.queued": "An agent was asked for",
  "session.admitted": "It got a slot",
  "session.dispatched": "LiveKit was asked for an agent",
  "agent.received": "A worker was offered the job",
  "agent.accepted": "A worker accepted the job",
  "agent.launched": "A job process got the job",
  "agent.claimed": "The job process claimed the attempt",
  "agent.joined": "The agent is in the room",
  "agent.spoke": "The agent was heard",
  "agent.left": "LiveKit no longer lists the agent",
  "agent.lost": "The attempt came to nothing",
  "agent.transferred": "Another agent has the conversation",
  "user.joined": "The user is in the room",
  "user.left": "The user left",
  "session.active": "The conversation runs",
  "session.ending": "Its end began",
  "session.ended": "Everybody is gone",
  "session.failed": "No agent could be brought",
  "provider.failed": "A vendor did not do its part",
  "provider.recovered": "The vendor answers again",
  dead_air: "The caller waited in silence",
  "recording.stored": "The recording is stored",
  "recording.failed": "The recording could not be stored",
  "report.ready": "The report is complete",
  "operator.listening": "An operator listens in",
  "control.requested": "A command was given",
  "control.settled": "It was carried out",
};

const BAD: ReadonlySet<string> = new Set([
  "agent.left",
  "agent.lost",
  "session.failed",
  "provider.failed",
  "dead_air",
  "recording.failed",
]);

export interface Stage {
  readonly name: string;
  readonly says: string;
  readonly at: number;
  /** Seconds since the stage before, of whatever attempt; null: it is the first. */
  readonly afterS: number | null;
  readonly facts: readonly (readonly [string, string])[];
  readonly bad: boolean;
}

export interface Attempt {
  /** 0: before an agent was sought. */
  readonly attempt: number;
  readonly stages: readonly Stage[];
  /** Seconds from its first stage until its agent was in the room; null: it never was. */
  readonly joinedAfterS: number | null;
}

/** Told elsewhere, or of use to programs alone. */
const UNTOLD: ReadonlySet<string> = new Set(["attempt", "task_id", "id"]);

const factsOf = (data: Entry["data"]): [string, string][] =>
  Object.entries(data).flatMap(([name, value]) => {
    if (UNTOLD.has(name) || value === null || value === undefined) return [];
    return [[name, typeof value === "object" ? JSON.stringify(value) : String(value)]];
  });

/** A command that came to nothing is told as that. */
const wasLost = ({ name, data }: Entry): boolean =>
  name === "control.settled" && data["outcome"] !== undefined && data["outcome"] !== "applied";

const saysOf = (entry: Entry): string =>
  wasLost(entry) ? "It was not carried out" : (SAYS[entry.name] ?? entry.name);

/** The stages by attempt. A stage that names no attempt belongs to the one that was under way. */
export function attemptsOf(entries: readonly Entry[]): Attempt[] {
  const byAttempt = new Map<number, Stage[]>();
  let attempt = 0;
  let before: number | null = null;
  for (const entry of entries) {
    const { name, at, data } = entry;
    const named = typeof data["attempt"] === "number" ? data["attempt"] : null;
    if (name === "session.admitted") attempt += 1;
    else if (named !== null) attempt = Math.max(attempt, named);
    const stage: Stage = {
      name,
      says: saysOf(entry),
      at,
      afterS: before === null ? null : Math.max(at - before, 0),
      facts: factsOf(data),
      bad: BAD.has(name) || wasLost(entry),
    };
    const key = named ?? attempt;
    byAttempt.set(key, [...(byAttempt.get(key) ?? []), stage]);
    before = at;
    if (name === "agent.lost") attempt += 1;
  }
  return [...byAttempt]
    .sort(([a], [b]) => a - b)
    .map(([number, stages]) => ({ attempt: number, stages, joinedAfterS: joinedAfter(stages) }));
}

function joinedAfter(stages: readonly Stage[]): number | null {
  const joined = stages.find((stage) => stage.name === "agent.joined");
  const first = stages[0];
  return joined === undefined || first === undefined ? null : joined.at - first.at;
}

/** Whether the stage is on the way to the first word: those are worth a bar. */
const ON_THE_WAY: ReadonlySet<string> = new Set([
  "session.admitted",
  "session.dispatched",
  "agent.received",
  "agent.accepted",
  "agent.launched",
  "agent.claimed",
  "agent.joined",
  "session.active",
  "agent.spoke",
  "agent.lost",
  "session.failed",
]);

export interface Span {
  /** Seconds from the attempt's first stage. */
  readonly fromS: number;
  readonly lengthS: number;
}

/** The bar of each stage, from the one before it in the attempt; null: it gets none. */
export function spansOf(attempt: Attempt): (Span | null)[] {
  const first = attempt.stages[0];
  if (first === undefined) return [];
  let before = first.at;
  return attempt.stages.map((stage) => {
    if (!ON_THE_WAY.has(stage.name)) return null;
    const span = { fromS: before - first.at, lengthS: Math.max(stage.at - before, 0) };
    before = Math.max(before, stage.at);
    return span;
  });
}
