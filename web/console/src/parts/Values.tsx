/** A tree of values as nested lists of names. */

import type { ReactNode } from "react";

const isTree = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

/** A list of plain values reads as one line. */
const inLine = (value: unknown): boolean => Array.isArray(value) && !value.some(isTree);

const hasBranches = (value: unknown): value is Readonly<Record<string, unknown>> =>
  isTree(value) && Object.keys(value).length > 0 && !inLine(value);

export function Values({ of }: { readonly of: Readonly<Record<string, unknown>> }): ReactNode {
  return (
    <dl className="values">
      {Object.entries(of).map(([name, value]) => (
        <div key={name} data-tree={hasBranches(value)}>
          <dt>{name}</dt>
          <dd>{hasBranches(value) ? <Values of={value} /> : <Leaf value={value} />}</dd>
        </div>
      ))}
    </dl>
  );
}

function Leaf({ value }: { readonly value: unknown }): ReactNode {
  if (value === null) return <span className="faint">not set</span>;
  if (Array.isArray(value) && value.length > 0) return <span className="leaf">{value.join(", ")}</span>;
  if (isTree(value)) return <span className="faint">none</span>;
  return <span className="leaf">{String(value)}</span>;
}
