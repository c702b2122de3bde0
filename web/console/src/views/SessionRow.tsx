/** A session in the list: one line of a table, or two lines beside an open one. */

import { memo, type ReactNode } from "react";
import { Pill } from "../parts/small";
import { clock, moment, NOTHING, words } from "../state/format";
import { agentOf, isOver, type Row } from "../state/rows";

interface Props {
  readonly row: Row;
  readonly wide: boolean;
  /** In the queue, from 1; null: it does not wait. */
  readonly place: number | null;
  /** Unix seconds; 0 for what is over. */
  readonly now: number;
}

/** How long it took, or has taken so far; null: no agent was there yet. */
function lasted(row: Row, now: number): number | null {
  const since = row.active ?? (isOver(row.status) ? null : (row.queued ?? row.created));
  if (since === null) return null;
  return (isOver(row.status) ? (row.ended ?? since) : now) - since;
}

function why(row: Row, place: number | null): string {
  if (place !== null) return `at place ${place} in the queue`;
  if (row.reason !== null) return words(row.reason);
  return row.attempt > 1 ? `attempt ${row.attempt}` : "";
}

export const SessionRow = memo(function SessionRow({ row, wide, place, now }: Props): ReactNode {
  const seconds = lasted(row, now);
  const took = seconds === null ? NOTHING : clock(seconds);
  const began = moment(row.created, now || Date.now() / 1000);
  if (!wide) {
    return (
      <div className="row row-narrow">
        <Pill status={row.status} />
        <span className="number">{took}</span>
        <span className="mono ellipsis">{row.id}</span>
        <span className="faint ellipsis">{why(row, place) || (agentOf(row) ?? "")}</span>
      </div>
    );
  }
  return (
    <div className="row row-wide">
      <Pill status={row.status} />
      <span className="mono ellipsis">{row.id}</span>
      <span className="ellipsis">{agentOf(row) ?? NOTHING}</span>
      <span className="ellipsis">{row.userId ?? NOTHING}</span>
      <span className="faint ellipsis">{why(row, place)}</span>
      <span className="number">{began}</span>
      <span className="number">{took}</span>
    </div>
  );
});
