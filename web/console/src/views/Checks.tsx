/** What the service thinks of its surroundings, and what to do about it. */

import type { ReactNode } from "react";
import type { CheckAnswer, ChecksAnswer } from "../api/types";
import { useConsole, useLoaded, useNow } from "../live/hooks";
import { Loading, Sentence, Trouble } from "../parts/small";
import { moment } from "../state/format";

const WORD: Readonly<Record<CheckAnswer["status"], string>> = { ok: "fine", warn: "look here", fail: "broken" };
const GRAVITY: Readonly<Record<CheckAnswer["status"], number>> = { fail: 0, warn: 1, ok: 2 };

export function Checks(): ReactNode {
  const { client } = useConsole();
  const now = useNow(30);
  const answer = useLoaded("checks", (signal) => client.get<ChecksAnswer>("/api/checks", {}, signal));
  const checks = answer.value?.checks.toSorted((a, b) => GRAVITY[a.status] - GRAVITY[b.status]) ?? [];
  const wrong = checks.filter((check) => check.status !== "ok").length;
  return (
    <div className="page">
      <div className="page-head">
        <h1>Checks</h1>
        <button type="button" className="button" onClick={answer.again}>
          Check again
        </button>
      </div>
      {answer.error !== null && <Trouble error={answer.error} again={answer.again} />}
      {answer.loading && <Loading what="the surroundings" />}
      {answer.value !== null && (
        <p className="faint" role="status">
          {wrong === 0 ? "All is fine" : `${wrong} of ${checks.length} want a look`}, as of{" "}
          {moment(answer.value.at, now)}. The workers' own view is {" "}<code>python -m assistant doctor</code>.
        </p>
      )}
      <ul className="checks">
        {checks.map((check) => (
          <li key={`${check.name} ${check.says}`} data-status={check.status}>
            <span className="check-word">{WORD[check.status]}</span>
            <b>{check.name}</b>
            <p>
              <Sentence text={check.says} />
            </p>
            {check.remedy !== null && <p className="remedy"><Sentence text={check.remedy} /></p>}
          </li>
        ))}
      </ul>
    </div>
  );
}
