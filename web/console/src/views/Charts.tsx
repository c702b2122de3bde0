/** What happened lately, over time. */

import { type ReactNode, useMemo, useState } from "react";
import { count, duration, words } from "../state/format";
import { type Figures, LATENCIES, type Latency, overall, ranking, spreadOf, sum, total } from "../state/figures";
import { Chart, type Line } from "../parts/Chart";
import { Empty } from "../parts/small";

interface Props {
  readonly figures: Figures;
  /** MAX_BOTS; null: not known yet. */
  readonly limit: number | null;
}

const whole = (value: number): string => count(Math.round(value));

export function Charts({ figures, limit }: Props): ReactNode {
  const [latency, setLatency] = useState<Latency>("e2e_latency");
  const times = useMemo(() => figures.steps.map((step) => step.counted.at), [figures]);
  return (
    <div className="charts">
      <Capacity figures={figures} times={times} limit={limit} />
      <Starts figures={figures} times={times} />
      <Spread title={`Latency: ${labelOf(latency)}`} choice={<Choice value={latency} onChange={setLatency} />} figures={figures} times={times} of={latency} />
      <Spread title="Until an agent is in the room" figures={figures} times={times} of="joining" />
      <Reasons title="Why starts failed" figures={figures} of="failed" none="No start failed." />
      <Reasons title="How sessions ended" figures={figures} of="over" none="No session ended." />
    </div>
  );
}

interface PartProps {
  readonly figures: Figures;
  readonly times: readonly number[];
}

const labelOf = (latency: Latency): string => LATENCIES.find(({ name }) => name === latency)?.label ?? latency;

interface ChoiceProps {
  readonly value: Latency;
  readonly onChange: (value: Latency) => void;
}

function Choice({ value, onChange }: ChoiceProps): ReactNode {
  return (
    <h2 className="chart-choice">
      <select
        aria-label="Which latency of turns"
        value={value}
        onChange={(event) => onChange(event.target.value as Latency)}
      >
        {LATENCIES.map(({ name, label }) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
    </h2>
  );
}

function Capacity({ figures, times, limit }: PartProps & { readonly limit: number | null }): ReactNode {
  const lines = useMemo((): Line[] => {
    const used = figures.steps.map((step) => step.counted.slots);
    const waiting = figures.steps.map((step) => step.counted.waiting);
    // A limit far above what is used would flatten everything else.
    const near = limit !== null && Math.max(...used, ...waiting) > limit / 4;
    return [
      { label: "slots in use", color: "--chart-a", kind: "area", values: used },
      { label: "in the queue", color: "--chart-b", values: waiting },
      ...(near ? [{ label: "limit", color: "--chart-c", kind: "limit", values: used.map(() => limit) } as const] : []),
    ];
  }, [figures, limit]);
  const last = figures.steps.at(-1)?.counted;
  return (
    <Chart
      title="Capacity"
      summary={`${last?.slots ?? 0} slots in use and ${last?.waiting ?? 0} sessions in the queue now.`}
      times={times}
      lines={lines}
      show={whole}
      whole
    />
  );
}

function Starts({ figures, times }: PartProps): ReactNode {
  const lines = useMemo(
    (): Line[] => [
      { label: "started", color: "--chart-a", kind: "bars", values: figures.steps.map((s) => s.counted.started) },
      { label: "failed", color: "--chart-bad", kind: "bars", values: figures.steps.map((s) => sum(s.counted.failed)) },
    ],
    [figures],
  );
  const started = total(figures, (point) => point.started);
  const failed = total(figures, (point) => sum(point.failed));
  return (
    <Chart
      title="Starts"
      summary={`${started} sessions asked for an agent in this time, ${failed} failed.`}
      times={times}
      lines={lines}
      show={whole}
      whole
    />
  );
}

interface SpreadProps extends PartProps {
  readonly title: string;
  readonly choice?: ReactNode;
  readonly of: Latency | "joining";
}

function Spread({ title, choice, figures, times, of }: SpreadProps): ReactNode {
  const lines = useMemo((): Line[] => {
    const spreads = figures.steps.map((step) => spreadOf(step, of));
    return [
      { label: "p50", color: "--chart-a", values: spreads.map((each) => each.p50) },
      { label: "p90", color: "--chart-b", values: spreads.map((each) => each.p90) },
      { label: "p99", color: "--chart-c", values: spreads.map((each) => each.p99) },
    ];
  }, [figures, of]);
  const all = overall(figures, of);
  const summary = `${all.count} measured; half within ${duration(all.p50)}, 99 of 100 within ${duration(all.p99)}.`;
  return <Chart title={title} choice={choice} summary={summary} times={times} lines={lines} show={duration} />;
}

interface ReasonsProps {
  readonly title: string;
  readonly figures: Figures;
  readonly of: "failed" | "over";
  readonly none: string;
}

function Reasons({ title, figures, of, none }: ReasonsProps): ReactNode {
  const reasons = ranking(figures, (point) => point[of]);
  const most = reasons[0]?.[1] ?? 1;
  return (
    <section className="reasons" data-of={of}>
      <h2>{title}</h2>
      {reasons.length === 0 ? (
        <Empty title={none} />
      ) : (
        <ul>
          {reasons.map(([reason, times]) => (
            <li key={reason}>
              <span>{words(reason)}</span>
              <span className="reason-bar" aria-hidden="true">
                <i style={{ width: `${(times / most) * 100}%` }} />
              </span>
              <b className="number">{count(times)}</b>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
