/** What the agent's language model makes of a conversation. */

import type { ReactNode } from "react";
import type { ReportAnswer } from "../api/types";
import { Facts } from "../parts/small";

const MET = { true: "met", false: "not met", null: "not told" } as const;

export function Outcome({ report }: { readonly report: ReportAnswer }): ReactNode {
  const { outcome, outcomeMissing } = report;
  if (outcome === null) {
    return outcomeMissing === null ? null : (
      <section>
        <h3>Outcome</h3>
        <p className="faint">Unknown: {outcomeMissing}.</p>
      </section>
    );
  }
  const missing = Object.entries(outcome.missing);
  return (
    <section>
      <h3>Outcome</h3>
      {outcome.summary !== null && <p className="summary">{outcome.summary}</p>}
      {outcome.criteria.length > 0 && (
        <ul className="criteria">
          {outcome.criteria.map((each) => {
            const met = String(each.met) as keyof typeof MET;
            return (
              <li key={each.criterion} data-met={met}>
                <b>{each.criterion}</b> <span className="verdict-word">{MET[met]}</span>
                <p className="faint">{each.reason}</p>
              </li>
            );
          })}
        </ul>
      )}
      {outcome.extracted !== null && (
        <Facts of={Object.entries(outcome.extracted).map(([name, value]) => [name, shown(value)])} />
      )}
      {missing.map(([part, reason]) => (
        <p key={part} className="faint">
          {part}: {reason}
        </p>
      ))}
    </section>
  );
}

const shown = (value: unknown): string =>
  value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value);
