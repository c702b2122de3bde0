/** What happened to a session, attempt by attempt, with a bar for each stage on the way in. */

import { type ReactNode, useMemo } from "react";
import type { Conversation } from "../state/conversation";
import { duration, moment } from "../state/format";
import { type Attempt, attemptsOf, type Span, spansOf, type Stage } from "../state/stages";
import { logOf } from "../state/text";
import { Keep } from "../parts/Keep";
import { Empty } from "../parts/small";

export function Timeline({ conversation }: { readonly conversation: Conversation }): ReactNode {
  const attempts = useMemo(() => attemptsOf(conversation.entries), [conversation.entries]);
  if (attempts.length === 0) return <Empty title="Nothing happened yet" />;
  return (
    <div className="timeline">
      <Keep
        what="events"
        file={`${conversation.session?.sessionId ?? "session"}-events.txt`}
        text={() => logOf(conversation)}
      />
      {attempts.map((attempt) => (
        <AttemptStages key={attempt.attempt} attempt={attempt} />
      ))}
    </div>
  );
}

function titleOf({ attempt, joinedAfterS }: Attempt): string {
  if (attempt === 0) return "Before an agent was sought";
  const joined = joinedAfterS === null ? "" : `, in the room after ${duration(joinedAfterS)}`;
  return `Attempt ${attempt}${joined}`;
}

function AttemptStages({ attempt }: { readonly attempt: Attempt }): ReactNode {
  const spans = spansOf(attempt);
  const longest = Math.max(...spans.map((span) => (span === null ? 0 : span.fromS + span.lengthS)), 0);
  return (
    <section>
      <h3>{titleOf(attempt)}</h3>
      <ol className="stages">
        {attempt.stages.map((stage, n) => (
          <StageRow key={`${stage.name} ${stage.at} ${n}`} stage={stage} span={spans[n] ?? null} longest={longest} />
        ))}
      </ol>
    </section>
  );
}

interface RowProps {
  readonly stage: Stage;
  readonly span: Span | null;
  /** Seconds from the attempt's first stage to the last one with a bar. */
  readonly longest: number;
}

function StageRow({ stage, span, longest }: RowProps): ReactNode {
  return (
    <li className="stage" data-bad={stage.bad}>
      <time className="number faint" dateTime={new Date(stage.at * 1000).toISOString()}>
        {moment(stage.at, stage.at)}
      </time>
      <span className="stage-says">
        {stage.says}
        {stage.facts.length > 0 && (
          <span className="stage-facts">
            {stage.facts.map(([name, value]) => (
              <span key={name}>
                {name} <b className="mono">{value}</b>
              </span>
            ))}
          </span>
        )}
      </span>
      <span className="stage-bar" aria-hidden="true">
        {span !== null && longest > 0 && (
          <i
            style={{
              left: `${(span.fromS / longest) * 100}%`,
              width: `max(2px, ${(span.lengthS / longest) * 100}%)`,
            }}
          />
        )}
      </span>
      <span className="number">{stage.afterS === null ? "" : `+${duration(stage.afterS)}`}</span>
    </li>
  );
}
