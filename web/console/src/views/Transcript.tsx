/** What was said and done, with what each answer's wait was made of. */

import { memo, type ReactNode, useLayoutEffect, useMemo, useRef } from "react";
import type { ItemAnswer } from "../api/types";
import { type Conversation, growing, type Line, type Turn, turnsByItem } from "../state/conversation";
import { clock, duration } from "../state/format";
import { PARTS, waitOf } from "../state/latency";
import { transcriptOf } from "../state/text";
import { Keep } from "../parts/Keep";
import { Empty } from "../parts/small";

/** Whoever reads near the end wants to go on doing so. */
const NEAR_END_PX = 120;
/** How long a second is; a wait that would be longer than its line is drawn as that. */
const REM_PER_S = 12;
const LONGEST_REM = 30;

interface Props {
  readonly conversation: Conversation;
  readonly live: boolean;
}

export function Transcript({ conversation, live }: Props): ReactNode {
  const end = useRef<HTMLDivElement>(null);
  const near = useRef(true);
  const { items, dropped } = conversation;
  const turns = useMemo(() => turnsByItem(conversation), [conversation]);
  const lines = live ? growing(conversation) : [];
  const since = conversation.session?.times.active ?? items[0]?.at ?? 0;

  useLayoutEffect(() => {
    const panel = end.current?.closest(".panel");
    if (!(panel instanceof HTMLElement) || !live) return;
    const watch = (): void => {
      near.current = panel.scrollHeight - panel.scrollTop - panel.clientHeight < NEAR_END_PX;
    };
    panel.addEventListener("scroll", watch, { passive: true });
    return () => panel.removeEventListener("scroll", watch);
  }, [live]);
  useLayoutEffect(() => {
    if (live && near.current) end.current?.scrollIntoView({ block: "nearest" });
  }, [items, conversation.lines, live]);

  if (items.length === 0 && lines.length === 0) {
    if (!live) return <Empty title="Nothing was said" />;
    return <Empty title="Nothing was said yet">Words appear here as they are spoken.</Empty>;
  }
  return (
    <div className="transcript" role={live ? "log" : undefined} aria-label="What was said">
      <div className="transcript-head">
        <Legend />
        <Keep
          what="transcript"
          file={`${conversation.session?.sessionId ?? "session"}.txt`}
          text={() => transcriptOf(items, since)}
        />
      </div>
      {dropped > 0 && <p className="faint">{dropped} older items are not kept any more.</p>}
      {items.map((item) => (
        <Item key={item.id} item={item} turn={turns.get(item.id) ?? null} since={since} />
      ))}
      {lines.map((line) => (
        <Growing key={line.id} line={line} since={since} />
      ))}
      <div ref={end} />
    </div>
  );
}

/** What somebody is saying; it is read out when it is said. */
function Growing({ line, since }: { readonly line: Line; readonly since: number }): ReactNode {
  return (
    <div className="said" data-who={line.role} data-growing="true" aria-live="off">
      <span className="said-at number">{clock(line.at - since)}</span>
      <div>
        <span className="said-who">{WHO[line.role] ?? line.role}</span>
        <p className="said-words">{line.text}</p>
      </div>
    </div>
  );
}

function Legend(): ReactNode {
  return (
    <ul className="legend" aria-label="Parts of the wait for an answer">
      {PARTS.map(({ part, label }) => (
        <li key={part} className="key" data-part={part}>
          <i aria-hidden="true" />
          {label}
        </li>
      ))}
    </ul>
  );
}

interface ItemProps {
  readonly item: ItemAnswer;
  readonly turn: Turn | null;
  readonly since: number;
}

const WHO: Readonly<Record<string, string>> = { user: "User", assistant: "Agent" };

const Item = memo(function Item({ item, turn, since }: ItemProps): ReactNode {
  const at = clock((item.startedAt ?? item.at) - since);
  if (item.tool !== null) return <Tool item={item} at={at} />;
  return (
    <div className="said" data-who={item.role}>
      <span className="said-at number">{at}</span>
      <div>
        <span className="said-who">{WHO[item.role] ?? item.role}</span>
        <p className="said-words">{item.text}</p>
        {item.interrupted && <p className="said-note">Interrupted; this is what was heard of it.</p>}
        {turn !== null && <WaitBar turn={turn} />}
      </div>
    </div>
  );
});

function Tool({ item, at }: { readonly item: ItemAnswer; readonly at: string }): ReactNode {
  const { tool } = item;
  if (tool === null) return null;
  return (
    <div className="said" data-who="tool" data-error={tool.isError}>
      <span className="said-at number">{at}</span>
      <details>
        <summary>
          <span className="mono">{tool.name}</span>
          {tool.isError ? " failed" : ""}
          {item.startedAt !== null && item.endedAt !== null && (
            <span className="faint number"> {duration(item.endedAt - item.startedAt)}</span>
          )}
        </summary>
        <pre>{tool.arguments}</pre>
        <pre>{tool.output === "" ? "(no output)" : tool.output}</pre>
      </details>
    </div>
  );
}

const LABELS = new Map(PARTS.map(({ part, label }) => [part, label]));

/** The parts of one wait, side by side; told in words for who does not see them. */
export function WaitBar({ turn }: { readonly turn: Turn }): ReactNode {
  const wait = waitOf(turn);
  if (wait.segments.length === 0) return null;
  const known = wait.segments.reduce((sum, segment) => sum + segment.seconds, 0);
  const scale = Math.min(REM_PER_S, LONGEST_REM / known);
  const told = wait.segments.map(({ part, seconds }) => `${LABELS.get(part) ?? part} ${duration(seconds)}`);
  const overlap = wait.overlapS > 0 ? `, of which ${duration(wait.overlapS)} at the same time` : "";
  return (
    <div className="wait">
      <span className="wait-bar" role="img" aria-label={`${told.join(", ")}${overlap}`} title={told.join(" · ")}>
        {wait.segments.map(({ part, seconds }) => (
          <i key={part} data-part={part} style={{ width: `${seconds * scale}rem` }} />
        ))}
      </span>
      {wait.totalS !== null && <b className="wait-total number">{duration(wait.totalS)}</b>}
      <span className="wait-sum number" aria-hidden="true">
        {wait.segments.map(({ seconds }) => seconds.toFixed(2)).join(" + ")}
        {wait.overlapS > 0 && ` − ${wait.overlapS.toFixed(2)} at the same time`}
      </span>
    </div>
  );
}
