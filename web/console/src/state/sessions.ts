/** All sessions that the console knows of: those that live, and of those that are over what a list
 * shows; kept up to date by events. Pure. */

import type { SessionEvent } from "../api/events";
import type { SessionSummary } from "../api/types";
import { after, before, fresh, isOfList, isOver, merged, type Row } from "./rows";

export interface Sessions {
  /** All sessions that are not over, in no order. */
  readonly live: ReadonlyMap<string, Row>;
  /** Sessions that are over: what a list shows of them, and the latest. */
  readonly past: ReadonlyMap<string, Row>;
  /** The ids of `past`, newest first. */
  readonly order: readonly string[];
  /** How far back `past` has all that the open list wants, Unix seconds; -Infinity: to its end. */
  readonly horizon: number;
  /** Past sessions that are kept; more only while a list asks for more. */
  readonly room: number;
  /** Sessions that only events have told of: who their user is must be asked for. */
  readonly nameless: ReadonlySet<string>;
  /** Counts batches of events, so that a page that was asked for earlier is known to be older. */
  readonly heard: number;
}

/** From where to where a page of a list reaches, Unix seconds, newest first. */
export interface Reach {
  readonly from: number;
  readonly to: number;
}

export type Action =
  | { readonly type: "event"; readonly event: SessionEvent }
  /** `asked`: `heard` when the page was asked for. `list`: what of the open list it is; absent: it is
   * none of its pages. */
  | {
      readonly type: "page";
      readonly sessions: readonly SessionSummary[];
      readonly asked: number;
      readonly list?: Reach;
    }
  /** A list begins, of which nothing was loaded. */
  | { readonly type: "listing" }
  | { readonly type: "erased"; readonly id: string }
  | { readonly type: "cleared" };

/** Past sessions that are kept when no list wants more. */
export const KEPT_PAST = 1000;
/** They are forgotten this many at once, so that the end of a list does not move with each. */
export const FORGOTTEN_AT_ONCE = 500;
/** Events of a session may come this much after its end, and must find it over. */
const LATE_S = 60;

export const NONE: Sessions = {
  live: new Map(),
  past: new Map(),
  order: [],
  horizon: Infinity,
  room: KEPT_PAST,
  nameless: new Set(),
  heard: 0,
};

export const rowOf = (state: Sessions, id: string): Row | undefined => state.live.get(id) ?? state.past.get(id);

/** A batch of actions at work: what they touch is copied once, whatever it is. */
class Draft {
  readonly live: Map<string, Row>;
  #past: Map<string, Row> | null = null;
  #nameless: Set<string> | null = null;
  /** Past rows that are new or moved, by id; null: that one is gone. */
  readonly #moved = new Map<string, Row | null>();
  #horizon: number;
  #room: number;
  changed = false;

  constructor(private readonly state: Sessions) {
    this.live = new Map(state.live);
    this.#horizon = state.horizon;
    this.#room = state.room;
  }

  get(id: string): Row | undefined {
    return this.live.get(id) ?? (this.#past ?? this.state.past).get(id);
  }

  put(row: Row): void {
    const known = this.get(row.id);
    if (known === row) return;
    // A page may say that what was taken to be over is not.
    if (known !== undefined && isOver(known.status) && !isOver(row.status)) this.delete(row.id);
    this.changed = true;
    this.#name(row.id, row.userId === null);
    if (!isOver(row.status)) {
      this.live.set(row.id, row);
      return;
    }
    this.live.delete(row.id);
    this.#own().set(row.id, row);
    if (known === undefined || !isOver(known.status) || known.created !== row.created) this.#moved.set(row.id, row);
  }

  delete(id: string): void {
    if (this.get(id) === undefined) return;
    this.changed = true;
    this.#name(id, false);
    this.live.delete(id);
    if (this.#own().delete(id)) this.#moved.set(id, null);
  }

  clear(): void {
    this.changed = true;
    this.live.clear();
    for (const id of (this.#past ?? this.state.past).keys()) this.#moved.set(id, null);
    this.#past = new Map();
    this.#nameless = new Set();
    this.unlist();
  }

  /** A page of the open list was put, and is kept. */
  reach({ from, to }: Reach): void {
    this.changed = true;
    this.#room = Math.max(this.#room, (this.#past ?? this.state.past).size);
    // What it goes on from may have been forgotten meanwhile: then there is a gap above it.
    if (this.#horizon <= from) this.#horizon = to;
  }

  unlist(): void {
    this.changed = true;
    this.#room = KEPT_PAST;
    this.#horizon = Infinity;
  }

  /** The state after the batch, when the oldest that no list asked for may be forgotten. `now`: when
   * the latest event happened, Unix seconds; 0: there was none. */
  done(heard: number, now: number): Sessions {
    let order = this.#moved.size === 0 ? this.state.order : this.#reordered();
    if (now > 0 && order.length > this.#room + FORGOTTEN_AT_ONCE) order = this.#forget(order, now);
    return {
      live: this.live,
      past: this.#past ?? this.state.past,
      order,
      horizon: this.#horizon,
      room: this.#room,
      nameless: this.#nameless ?? this.state.nameless,
      heard,
    };
  }

  /** Those that moved are sorted into the others, which are sorted already. */
  #reordered(): string[] {
    const past = this.#own();
    const added = [...this.#moved.values()].filter((row) => row !== null).sort(before);
    const order: string[] = [];
    let next = 0;
    for (const id of this.state.order) {
      if (this.#moved.has(id)) continue;
      const row = past.get(id);
      if (row === undefined) continue;
      for (let one = added[next]; one !== undefined && before(one, row) < 0; one = added[next]) {
        order.push(one.id);
        next += 1;
      }
      order.push(id);
    }
    for (const one of added.slice(next)) order.push(one.id);
    return order;
  }

  #forget(order: readonly string[], now: number): string[] {
    const past = this.#own();
    const kept = order.slice(0, this.#room);
    const oldest = past.get(kept.at(-1) ?? "");
    for (const id of order.slice(this.#room)) {
      const row = past.get(id);
      if (row?.ended != null && row.ended > now - LATE_S) {
        kept.push(id);
        continue;
      }
      past.delete(id);
      this.#name(id, false);
    }
    if (oldest !== undefined) this.#horizon = Math.max(this.#horizon, oldest.created);
    return kept;
  }

  #own(): Map<string, Row> {
    this.#past ??= new Map(this.state.past);
    return this.#past;
  }

  #name(id: string, isNameless: boolean): void {
    if ((this.#nameless ?? this.state.nameless).has(id) === isNameless) return;
    this.#nameless ??= new Set(this.state.nameless);
    if (isNameless) this.#nameless.add(id);
    else this.#nameless.delete(id);
  }
}

export function reduce(state: Sessions, actions: readonly Action[]): Sessions {
  const draft = new Draft(state);
  const heard = state.heard + 1;
  let now = 0;
  for (const action of actions) {
    if (action.type === "event") {
      const { event } = action;
      now = Math.max(now, event.at);
      const known = draft.get(event.sessionId);
      // Of a session that is over and was never listed there is nothing to show.
      if (known === undefined && !isOfList(event)) continue;
      draft.put(after(known ?? fresh(event), event, heard));
    } else if (action.type === "page") {
      for (const each of action.sessions) draft.put(merged(draft.get(each.sessionId), each, action.asked));
      if (action.list !== undefined) draft.reach(action.list);
    } else if (action.type === "listing") {
      draft.unlist();
    } else if (action.type === "erased") {
      draft.delete(action.id);
    } else {
      draft.clear();
    }
  }
  return draft.changed ? draft.done(heard, now) : state;
}

/** The place of each waiting session in the queue, from 1: first come, first served. */
export function places(state: Sessions): ReadonlyMap<string, number> {
  const waiting = [...state.live.values()].filter((row) => row.status === "queued");
  waiting.sort((a, b) => (a.queued ?? a.created) - (b.queued ?? b.created));
  return new Map(waiting.map((row, n) => [row.id, n + 1]));
}
