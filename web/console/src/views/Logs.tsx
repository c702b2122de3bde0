/** What the jobs of a session have logged. */

import { type ReactNode, useEffect, useRef } from "react";
import type { LogLine, LogsAnswer, SessionAnswer } from "../api/types";
import { useConsole, useLoaded } from "../live/hooks";
import { Keep } from "../parts/Keep";
import { Empty, Loading, Trouble } from "../parts/small";
import { clock } from "../state/format";
import { isOver } from "../state/rows";
import { logLineOf } from "../state/text";

/** A line is stored within a second. */
const LOOK_AGAIN_MS = 2000;
const TRY_AGAIN_MS = 1000;
const MOST_TRIES = 10;

export function Logs({ session }: { readonly session: SessionAnswer }): ReactNode {
  const console = useConsole();
  const id = session.sessionId;
  const logs = useLoaded(id, (signal) => console.client.get<LogsAnswer>(`/api/sessions/${id}/logs`, {}, signal));
  const { again } = logs;
  useEffect(
    () =>
      console.listen((event) => {
        // A job's last lines are there when its process is gone.
        if (event.sessionId === id && (event.name === "report.ready" || event.name === "agent.lost")) again();
      }),
    [console, id, again],
  );
  const over = isOver(session.status);
  const { value, error } = logs;
  useEffect(() => {
    if (over || (value === null && error === null)) return;
    const timer = setTimeout(again, LOOK_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [over, again, value, error]);
  const missing = over && value?.lines.length === 0;
  const tries = useRef(0);
  useEffect(() => {
    // The process is gone a moment after its last word, and nothing tells.
    if (!missing || tries.current >= MOST_TRIES) return;
    tries.current += 1;
    const timer = setTimeout(again, TRY_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [missing, again, value]);
  if (error !== null) return <Trouble error={error} again={again} />;
  if (value === null) return <Loading what="the logs" />;
  const { lines } = value;
  if (lines.length === 0) {
    if (over) return <Empty title="No line is kept" />;
    return <Empty title="Nothing yet">What the session's jobs log comes here within seconds.</Empty>;
  }
  const since = session.times.active ?? session.times.created;
  return (
    <div className="logs">
      <Keep what="log" file={`${id}.log`} text={() => lines.map(logLineOf).join("\n")} />
      <ol>
        {lines.map((line, n) => (
          // Nothing is ever put between them.
          <Line key={n} line={line} since={since} />
        ))}
      </ol>
    </div>
  );
}

function Line({ line, since }: { readonly line: LogLine; readonly since: number }): ReactNode {
  return (
    <li className="log-line" data-level={line.level}>
      <span className="said-at number">{clock(Math.max(line.at - since, 0))}</span>
      <b>{line.event}</b>
      {line.level !== "info" && <span className="log-level">{line.level}</span>}
      <span className="stage-facts">
        {Object.entries({ attempt: line.attempt, ...line.fields }).map(([name, value]) => (
          <span key={name}>
            {name} {String(value)}
          </span>
        ))}
      </span>
    </li>
  );
}
