/** What came of a session: its outcome, figures, cost and sound. */

import { type ReactNode, useEffect, useRef } from "react";
import type { ReportAnswer, SessionAnswer } from "../api/types";
import type { Conversation } from "../state/conversation";
import { bytes, count, duration, money } from "../state/format";
import { useConsole, useLoaded } from "../live/hooks";
import { Empty, Facts, Loading, Trouble } from "../parts/small";
import { isOver } from "../state/rows";
import { Outcome } from "./Outcome";
import { Recording } from "./Recording";

interface Props {
  readonly session: SessionAnswer;
  readonly conversation: Conversation;
}

export function Report({ session, conversation }: Props): ReactNode {
  const console = useConsole();
  const id = session.sessionId;
  const report = useLoaded(id, (signal) =>
    console.client.get<ReportAnswer>(`/api/sessions/${id}/report`, {}, signal),
  );
  const { again } = report;
  // What the report says changes with each turn, and once more when it is ready. What is there stays
  // until then: a recording in it may be playing.
  const state = `${session.status} ${conversation.turns.length}`;
  const read = useRef(state);
  useEffect(() => {
    if (read.current === state) return;
    read.current = state;
    again();
  }, [state, again]);
  useEffect(
    () => console.listen((event) => {
      if (event.sessionId === id && (event.name === "report.ready" || event.name === "recording.stored")) again();
    }),
    [console, id, again],
  );
  const trouble = report.error !== null && <Trouble error={report.error} again={again} />;
  if (report.value === null) return trouble || <Loading what="the report" />;
  return (
    <>
      {trouble}
      <Read report={report.value} conversation={conversation} />
    </>
  );
}

function Read({ report, conversation }: { readonly report: ReportAnswer; readonly conversation: Conversation }): ReactNode {
  return (
    <div className="report">
      {!report.ready && (
        <p className="note" role="status">
          {isOver(report.status) ? "The report is being made." : "So far: the conversation is not over."}
        </p>
      )}
      <Outcome report={report} />
      <Recording report={report} items={conversation.items} />
      <section>
        <h3>Course</h3>
        <Facts
          of={[
            ["Lasted", duration(report.durationS)],
            ["Turns", `${report.turns.count}, ${report.turns.interrupted} interrupted`],
            ["Said", `${report.userMessages} by the user, ${report.agentMessages} by the agent`],
            ["Attempts", String(report.attempts)],
            ["Tools used", String(report.toolCalls.length)],
          ]}
        />
      </section>
      <Latencies report={report} />
      <Usage report={report} />
      <Sdk report={report} />
    </div>
  );
}

const NAMES: readonly (readonly [string, string])[] = [
  ["e2e_latency_s", "Answer begins"],
  ["transcription_delay_s", "Transcription"],
  ["end_of_turn_delay_s", "End of turn"],
  ["llm_ttft_s", "Model's first token"],
  ["tts_ttfb_s", "Voice's first sound"],
];

function Latencies({ report }: { readonly report: ReportAnswer }): ReactNode {
  const known = NAMES.flatMap(([name, label]) => {
    const found = report.turns.latencies[name];
    return found === undefined ? [] : [{ label, found }];
  });
  if (known.length === 0) return null;
  return (
    <section>
      <h3>Latency</h3>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Latency by part">
        <table>
          <thead>
            <tr>
              <th scope="col">Part</th>
              {["p50", "p90", "p99", "max"].map((name) => (
                <th key={name} scope="col" className="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {known.map(({ label, found }) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                {[found.p50, found.p90, found.p99, found.max].map((seconds, n) => (
                  <td key={n} className="number">
                    {duration(seconds)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Usage({ report }: { readonly report: ReportAnswer }): ReactNode {
  const { usage } = report;
  if (usage.models.length === 0) return null;
  return (
    <section>
      <h3>Usage</h3>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Usage by model">
        <table>
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" className="number">Tokens in</th>
              <th scope="col" className="number">Tokens out</th>
              <th scope="col" className="number">Speech</th>
              <th scope="col" className="number">Characters</th>
              <th scope="col" className="number">Cost</th>
            </tr>
          </thead>
          <tbody>
            {usage.models.map((model) => (
              <tr key={`${model.kind} ${model.provider} ${model.model}`}>
                <th scope="row">
                  {model.provider} <span className="mono">{model.model}</span>
                </th>
                <td className="number">{count(model.inputTokens)}</td>
                <td className="number">{count(model.outputTokens)}</td>
                <td className="number">{duration(model.audioS)}</td>
                <td className="number">{count(model.characters)}</td>
                <td className="number">{money(model.cost, usage.currency)}</td>
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row" colSpan={5}>
                All together
              </th>
              <td className="number">{money(usage.cost, usage.currency)}</td>
            </tr>
          </tfoot>
        </table>
      </div>
    </section>
  );
}

function Sdk({ report }: { readonly report: ReportAnswer }): ReactNode {
  const attempts = Object.entries(report.sdk);
  if (attempts.length === 0) return <Empty title="No report of LiveKit's SDK" />;
  return (
    <section>
      <h3>LiveKit's own report</h3>
      {attempts.map(([attempt, told]) => {
        const text = JSON.stringify(told, null, 2);
        return (
          <details key={attempt}>
            <summary>
              Attempt {attempt} <span className="faint">{bytes(text.length)}</span>
            </summary>
            <pre>{text}</pre>
          </details>
        );
      })}
    </section>
  );
}
