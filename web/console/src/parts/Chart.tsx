/** A chart over time, drawn by uPlot in the page's own colours. */

import { type ReactNode, useEffect, useRef, useState, useSyncExternalStore } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  readonly label: string;
  /** A custom property of the stylesheet. */
  readonly color: `--${string}`;
  readonly values: readonly (number | null)[];
  readonly kind?: "line" | "area" | "bars" | "limit";
}

interface Props {
  readonly title: string;
  /** Stands in the title's place, when what is shown can be chosen. */
  readonly choice?: ReactNode;
  /** What the chart shows now, for who does not see it. */
  readonly summary: string;
  /** Unix seconds, where each step begins. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly show: (value: number) => string;
  /** Whether values are counts, so that there is nothing between 1 and 2. */
  readonly whole?: boolean;
}

const HEIGHT = 170;
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const onScheme = (listener: () => void): (() => void) => {
  darkness.addEventListener("change", listener);
  return () => darkness.removeEventListener("change", listener);
};

const BARS = uPlot.paths.bars?.({ size: [0.72, 18], radius: 0.15 });

function colour(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

function series(element: Element, line: Line): uPlot.Series {
  const stroke = colour(element, line.color);
  const common = { label: line.label, stroke, width: 1.75, points: { show: false }, spanGaps: false };
  if (line.kind === "bars") return { ...common, width: 0, fill: stroke, ...(BARS && { paths: BARS }) };
  if (line.kind === "area") return { ...common, fill: `${stroke}22` };
  if (line.kind === "limit") return { ...common, width: 1.25, dash: [4, 4] };
  // A lone step between steps without a value is a point, or it would not be seen.
  return { ...common, points: { show: true, size: 4, fill: stroke, filter: loners } };
}

const loners: uPlot.Series.Points.Filter = (plot, index) => {
  const values = plot.data[index] ?? [];
  const alone = (n: number): boolean =>
    values[n] !== null && (values[n - 1] ?? null) === null && (values[n + 1] ?? null) === null;
  return Array.from(values, (_, n) => n).filter(alone);
};

function options(element: Element, props: Props, onHover: (n: number | null) => void): uPlot.Options {
  const ink = colour(element, "--ink-faint");
  const axis = {
    stroke: ink,
    font: `12px ${getComputedStyle(element).fontFamily}`,
    grid: { stroke: colour(element, "--rule"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    // At the right a time may stand under the very end of the axis.
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { y: { range: (_, _min, max) => [0, max > 0 ? max * 1.12 : 1] } },
    series: [{}, ...props.lines.map((line) => series(element, line))],
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 64, values: (_, splits) => splits.map(hour) },
      {
        ...axis,
        size: 52,
        ...(props.whole && { incrs: COUNTS }),
        values: (_, splits) => splits.map(props.show),
      },
    ],
    hooks: { setCursor: [(plot) => onHover(plot.cursor.idx ?? null)] },
  };
}

const HOUR = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const hour = (at: number): string => HOUR.format(new Date(at * 1000));

const dataOf = (props: Props): uPlot.AlignedData => [
  [...props.times],
  ...props.lines.map((line) => [...line.values]),
];

export function Chart(props: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const dark = useSyncExternalStore(onScheme, () => darkness.matches);
  const shape = props.lines.map((line) => `${line.label} ${line.kind ?? ""}`).join("|");
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(options(element, latest.current, setHovered), dataOf(latest.current), element);
    plot.current = made;
    const watch = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [dark, shape]);

  useEffect(() => {
    plot.current?.setData(dataOf(props));
  });

  const n = hovered ?? newest(props);
  const at = props.times[n];
  return (
    <figure className="chart">
      <figcaption>
        {props.choice ?? <h2>{props.title}</h2>}
        <p className="chart-legend">
          {props.lines.map((line) => (
            <span key={line.label} className="key" data-kind={line.kind ?? "line"}>
              <i style={{ background: `var(${line.color})` }} aria-hidden="true" />
              {line.label} <b>{shownValue(line.values[n], props.show)}</b>
            </span>
          ))}
          <span className="chart-at">{at === undefined || n === props.times.length - 1 ? "now" : HOUR.format(new Date(at * 1000))}</span>
        </p>
      </figcaption>
      <div ref={box} className="chart-box" role="img" aria-label={`${props.title}. ${props.summary}`} />
    </figure>
  );
}

/** The newest step with anything to tell; counts tell something at every step. */
function newest({ times, lines, whole }: Props): number {
  if (whole) return times.length - 1;
  const n = times.findLastIndex((_, step) => lines.some((line) => (line.values[step] ?? null) !== null));
  return n < 0 ? times.length - 1 : n;
}

const shownValue = (value: number | null | undefined, show: (value: number) => string): string =>
  value === null || value === undefined ? "–" : show(value);
