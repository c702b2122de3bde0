/** Which sessions a list shows, here and as a query to the service. Pure. */

import type { Query } from "../api/client";
import type { Status } from "../api/types";
import { isOver, type Row, type Sessions } from "./sessions";

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

export const queryOf = (wanted: Wanted, cursor: string | null): Query => ({
  status: STATUSES[wanted.group],
  agent: wanted.agent,
  search: wanted.search === "" ? null : wanted.search,
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

/** What is shown, newest first. Of sessions that are over, those back to `horizon` (Unix s): older
 * ones may be known by chance, from another list, and would show with gaps between them. */
export function shown(state: Sessions, wanted: Wanted, horizon: number): Row[] {
  const found: Row[] = [];
  for (const id of state.order) {
    const row = state.rows.get(id);
    if (row === undefined || !matches(row, wanted)) continue;
    if (isOver(row.status) && row.created < horizon) continue;
    found.push(row);
  }
  return found;
}

/** How many of each group are known; what is over is known only as far as it was loaded. */
export function liveCount(state: Sessions): number {
  let count = 0;
  for (const row of state.rows.values()) if (!isOver(row.status)) count += 1;
  return count;
}
