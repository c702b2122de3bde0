/** The handful of numbers that say whether all is well. */

import type { ReactNode } from "react";
import type { Overview } from "../api/types";
import { crew } from "../state/fleet";
import { count, duration, money } from "../state/format";
import { type Figures, overall, sum, total } from "../state/figures";

interface NumberProps {
  readonly label: string;
  readonly value: string;
  readonly note: string;
  /** Leads to what the note speaks of. */
  readonly onNote?: () => void;
  readonly bad?: boolean;
  /** From 0 to 1: how full it is; absent: it has no bound. */
  readonly full?: number;
}

function Number({ label, value, note, onNote, bad = false, full }: NumberProps): ReactNode {
  return (
    <div className="number-tile" data-bad={bad}>
      <dt>{label}</dt>
      <dd>
        <span className="number-value">{value}</span>
        {full !== undefined && (
          <span className="gauge" aria-hidden="true">
            <i style={{ width: `${Math.min(Math.max(full, 0), 1) * 100}%` }} />
          </span>
        )}
        {onNote === undefined ? (
          <span className="number-note">{note}</span>
        ) : (
          <button type="button" className="number-note number-link" onClick={onNote}>
            {note}
          </button>
        )}
      </dd>
    </div>
  );
}

interface NumbersProps {
  readonly overview: Overview;
  readonly figures: Figures;
  /** Leads to the workers. */
  readonly toFleet: () => void;
}

export function Numbers({ overview, figures, toFleet }: NumbersProps): ReactNode {
  const { sessions, slots, queue, pool } = overview;
  const failed = total(figures, (point) => sum(point.failed));
  const started = total(figures, (point) => point.started);
  const answer = overall(figures, "e2e_latency");
  const joining = overall(figures, "joining");
  const cost = figures.currency === null ? null : total(figures, (point) => point.cost ?? 0);
  const room = Math.min(slots.limit, pool.maxJobs);
  const workers = crew(overview);
  return (
    <dl className="numbers">
      <Number
        label="Talking now"
        value={count(sessions.active)}
        note={`${sessions.dispatching} joining, ${sessions.ending} ending`}
      />
      <Number
        label="Slots in use"
        value={`${count(slots.used)} of ${count(room)}`}
        note={workers.text}
        onNote={toFleet}
        full={room === 0 ? 0 : slots.used / room}
        bad={room === 0 || workers.bad}
      />
      <Number
        label="In the queue"
        value={count(queue.waiting)}
        note={queue.estimatedWaitS === null ? `room for ${count(queue.limit)}` : `about ${duration(queue.estimatedWaitS)} to wait`}
        bad={queue.waiting > 0 && queue.estimatedWaitS === null}
      />
      <Number
        label="Answers begin after"
        value={duration(answer.p50)}
        note={answer.count === 0 ? "no turns yet" : `p90 ${duration(answer.p90)}, p99 ${duration(answer.p99)}`}
      />
      <Number
        label="Agents join after"
        value={duration(joining.p50)}
        note={joining.count === 0 ? "none joined yet" : `p90 ${duration(joining.p90)}, p99 ${duration(joining.p99)}`}
      />
      <Number
        label="Starts that failed"
        value={count(failed)}
        note={`of ${count(started)}`}
        bad={failed > 0}
      />
      {cost !== null && <Number label="Cost" value={money(cost, figures.currency)} note="of what has a price" />}
    </dl>
  );
}
