/** One session as a list shows it: what a page of the list says of it, and what events change. Pure. */

import { numberOf, type SessionEvent, textOf } from "../api/events";
import type { SessionSummary, Status } from "../api/types";

export interface Row {
  readonly id: string;
  /** Null: only an event has told of it so far. */
  readonly userId: string | null;
  /** Whom it was started with. */
  readonly agent: string | null;
  /** Whom it was given to since; null: to nobody that was told of. */
  readonly talking: string | null;
  readonly status: Status;
  readonly reason: string | null;
  readonly attempt: number;
  readonly created: number;
  readonly queued: number | null;
  readonly active: number | null;
  readonly ended: number | null;
  /** `heard` of the state when an event last changed it; 0: none has. */
  readonly heard: number;
}

const OVER: ReadonlySet<string> = new Set(["ended", "failed"]);
export const isOver = (status: string): boolean => OVER.has(status);

const TRANSFERRED = "agent.transferred";

/** What an event makes of a session's status; other events leave it as it is. */
const STATUS: Readonly<Record<string, Status>> = {
  "session.created": "created",
  "session.queued": "queued",
  "session.admitted": "dispatching",
  "session.dispatched": "dispatching",
  "agent.lost": "dispatching",
  "agent.joined": "active",
  "session.active": "active",
  "session.ending": "ending",
  "session.ended": "ended",
  "session.failed": "failed",
};

/** Whether such an event tells of a session that a list shows, also if nothing else did yet. */
export const isOfList = (event: SessionEvent): boolean => STATUS[event.name] !== undefined;

export const fresh = (event: SessionEvent): Row => ({
  id: event.sessionId,
  userId: null,
  agent: null,
  talking: null,
  status: "created",
  reason: null,
  attempt: 0,
  created: event.at,
  queued: null,
  active: null,
  ended: null,
  heard: 0,
});

/** The row after an event; the same object if it changes nothing that a list shows. */
export function after(row: Row, event: SessionEvent, heard: number): Row {
  if (event.name === TRANSFERRED && !isOver(row.status)) {
    return { ...row, heard, talking: textOf(event, "agent") ?? row.talking };
  }
  const status = STATUS[event.name];
  // Events of a session come in order; what follows its end (a late webhook) does not revive it.
  if (status === undefined || isOver(row.status)) return row;
  if (row.status === "ending" && !isOver(status)) return row;
  return {
    ...row,
    status,
    heard,
    reason: textOf(event, "reason") ?? (isOver(status) ? row.reason : null),
    attempt: Math.max(row.attempt, numberOf(event, "attempt") ?? 0),
    agent: event.name === "session.queued" ? (textOf(event, "agent") ?? row.agent) : row.agent,
    queued: event.name === "session.queued" ? event.at : row.queued,
    active: event.name === "session.active" ? (row.active ?? event.at) : row.active,
    ended: isOver(status) ? event.at : row.ended,
  };
}

/** A row of a page; what events told after the page was asked for stands. */
export function merged(known: Row | undefined, summary: SessionSummary, asked: number): Row {
  const row: Row = {
    id: summary.sessionId,
    userId: summary.userId,
    agent: summary.agent,
    talking: summary.talking ?? known?.talking ?? null,
    status: summary.status,
    reason: summary.reason,
    attempt: summary.attempt,
    created: summary.created,
    queued: summary.queued,
    active: summary.active,
    ended: summary.ended,
    heard: known?.heard ?? 0,
  };
  if (known === undefined || known.heard <= asked) return row;
  return { ...known, userId: row.userId, agent: known.agent ?? row.agent, created: row.created };
}

/** Who has the conversation, or had it last. */
export const agentOf = (row: Row): string | null => row.talking ?? row.agent;

/** Newest first; of one moment by id, as the service does. */
export const before = (a: Row, b: Row): number => b.created - a.created || (a.id < b.id ? 1 : -1);
