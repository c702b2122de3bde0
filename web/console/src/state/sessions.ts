/** All sessions that the console knows of: pages of the list, kept up to date by events. Pure. */

import { numberOf, type SessionEvent, textOf } from "../api/events";
import type { SessionSummary, Status } from "../api/types";

export interface Row {
  readonly id: string;
  /** Null: only an event has told of it so far. */
  readonly userId: string | null;
  readonly agent: string | null;
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

export interface Sessions {
  readonly rows: ReadonlyMap<string, Row>;
  /** Newest first. */
  readonly order: readonly string[];
  /** Counts batches of events, so that a page that was asked for earlier is known to be older. */
  readonly heard: number;
}

export type Action =
  | { readonly type: "event"; readonly event: SessionEvent }
  /** `asked`: `heard` when the page was asked for. */
  | { readonly type: "page"; readonly sessions: readonly SessionSummary[]; readonly asked: number }
  | { readonly type: "erased"; readonly id: string }
  | { readonly type: "cleared" };

export const NONE: Sessions = { rows: new Map(), order: [], heard: 0 };

const OVER: ReadonlySet<string> = new Set(["ended", "failed"]);
export const isOver = (status: string): boolean => OVER.has(status);

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

const fresh = (event: SessionEvent): Row => ({
  id: event.sessionId,
  userId: null,
  agent: null,
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
function merged(known: Row | undefined, summary: SessionSummary, asked: number): Row {
  const row: Row = {
    id: summary.sessionId,
    userId: summary.userId,
    agent: summary.agent,
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

/** Newest first; of one moment by id, as the service does. */
const before = (a: Row, b: Row): number => b.created - a.created || (a.id < b.id ? 1 : -1);

function ordered(rows: ReadonlyMap<string, Row>): string[] {
  return [...rows.values()].sort(before).map((row) => row.id);
}

export function reduce(state: Sessions, actions: readonly Action[]): Sessions {
  const rows = new Map(state.rows);
  const heard = state.heard + 1;
  let moved = false;
  let changed = false;
  const put = (row: Row): void => {
    const known = rows.get(row.id);
    if (known === row) return;
    moved ||= known === undefined || known.created !== row.created;
    changed = true;
    rows.set(row.id, row);
  };
  for (const action of actions) {
    if (action.type === "event") {
      const known = rows.get(action.event.sessionId);
      // Of a session that is over and was never listed there is nothing to show.
      if (known === undefined && STATUS[action.event.name] === undefined) continue;
      put(after(known ?? fresh(action.event), action.event, heard));
    } else if (action.type === "page") {
      for (const each of action.sessions) put(merged(rows.get(each.sessionId), each, action.asked));
    } else if (action.type === "erased") {
      changed = rows.delete(action.id) || changed;
      moved = true;
    } else {
      rows.clear();
      changed = moved = true;
    }
  }
  if (!changed) return state;
  return { rows, order: moved ? ordered(rows) : state.order, heard };
}

/** Sessions that only events have told of: who their user is must be asked for. */
export const unnamed = (state: Sessions): Row[] =>
  [...state.rows.values()].filter((row) => row.userId === null);

/** The place of each waiting session in the queue, from 1: first come, first served. */
export function places(rows: Iterable<Row>): ReadonlyMap<string, number> {
  const waiting = [...rows].filter((row) => row.status === "queued");
  waiting.sort((a, b) => (a.queued ?? a.created) - (b.queued ?? b.created));
  return new Map(waiting.map((row, n) => [row.id, n + 1]));
}
