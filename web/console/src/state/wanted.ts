/** Which sessions a list shows, here and as a query to the service. Pure. */

import type { Query } from "../api/client";
import type { Status } from "../api/types";
import { before as newestFirst, type Row } from "./rows";
import type { Sessions } from "./sessions";

export type Group = "live" | "over" | "failed" | "all";

export interface Wanted {
  readonly group: Group;
  readonly agent: string | null;
  /** The begin of a session's id, or a user's whole id. */
  readonly search: string;
}

export const LIVE: readonly Status[] = ["created", "queued", "dispatching", "active", "ending"];
const STATUSES: Readonly<Record<Group, readonly Status[]>> = {
  live: LIVE,
  over: ["ended", "failed"],
  failed: ["failed"],
  all: [],
};
/** The longest page that the service gives. */
export const PAGE = 200;

/** `before`: only what was made earlier, Unix seconds; Infinity: all. */
export const queryOf = (wanted: Wanted, cursor: string | null, before: number): Query => ({
  status: STATUSES[wanted.group],
  agent: wanted.agent,
  search: wanted.search === "" ? null : wanted.search,
  createdBefore: before === Infinity ? null : before.toFixed(3),
  limit: PAGE,
  cursor,
});

export function matches(row: Row, wanted: Wanted): boolean {
  const statuses = STATUSES[wanted.group];
  if (statuses.length > 0 && !statuses.includes(row.status)) return false;
  if (wanted.agent !== null && row.agent !== wanted.agent) return false;
  const { search } = wanted;
  return search === "" || row.id.startsWith(search) || row.userId === search;
}

/** Whether the list is of sessions that are over, which are loaded page by page. */
export const isPaged = (wanted: Wanted): boolean => wanted.group !== "live";

/** What is shown, newest first. Of sessions that are over, those back to the horizon: older ones may
 * be known by chance, from another list, and would show with gaps between them. */
export function shown(state: Sessions, wanted: Wanted): Row[] {
  const live = [...state.live.values()].filter((row) => matches(row, wanted)).sort(newestFirst);
  if (!isPaged(wanted)) return live;
  const found: Row[] = [];
  let next = 0;
  for (const id of state.order) {
    const row = state.past.get(id);
    if (row === undefined) continue;
    if (row.created < state.horizon) break;
    if (!matches(row, wanted)) continue;
    for (let one = live[next]; one !== undefined && newestFirst(one, row) < 0; one = live[next]) {
      found.push(one);
      next += 1;
    }
    found.push(row);
  }
  return [...found, ...live.slice(next)];
}
