/** One session: what it is, why it is so, and everything that is known of it. */

import { type KeyboardEvent, lazy, type ReactNode, Suspense, useRef, useState } from "react";
import type { SessionAnswer } from "../api/types";
import { go, goQuietly, useNow } from "../live/hooks";
import { useSession } from "../live/useSession";
import { Copyable, Loading, Pill, Sentence, Trouble } from "../parts/small";
import { clock, moment, NOTHING } from "../state/format";
import { type Conversation, talkingOf } from "../state/conversation";
import { type Tab, sessionRoute } from "../state/route";
import { isOver } from "../state/rows";
import { Controls } from "./Controls";
import { EndButton, EraseButton } from "./EndButton";
import { Logs } from "./Logs";
import { Report } from "./Report";
import { Timeline } from "./Timeline";
import { Transcript } from "./Transcript";
import { Webhooks } from "./Webhooks";

// LiveKit's client is most of what this loads; few sessions are listened to.
const Listen = lazy(() => import("./Listen"));

const TABS: readonly { readonly tab: Tab; readonly label: string }[] = [
  { tab: "conversation", label: "Conversation" },
  { tab: "timeline", label: "Timeline" },
  { tab: "report", label: "Report" },
  { tab: "logs", label: "Logs" },
  { tab: "webhooks", label: "Webhooks" },
];

export function Session({ id, tab }: { readonly id: string; readonly tab: Tab }): ReactNode {
  const { conversation, error, again } = useSession(id);
  const { session } = conversation;
  return (
    <section className="session" aria-label={`Session ${id}`}>
      <a className="back" href="#/sessions">
        All sessions
      </a>
      {error !== null && session === null && <Trouble error={error} again={again} />}
      {error === null && session === null && <Loading what="the session" />}
      {session !== null && (
        <>
          <Head session={session} talking={talkingOf(conversation)}>
            {error !== null && <Trouble error={error} again={again} />}
          </Head>
          <Tabs id={id} tab={tab} />
          <div className="panel" role="tabpanel" id="panel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
            <Panel tab={tab} conversation={conversation} session={session} />
          </div>
          {!isOver(session.status) && <Controls session={session} hidden={tab !== "conversation"} />}
        </>
      )}
    </section>
  );
}

interface PanelProps {
  readonly tab: Tab;
  readonly conversation: Conversation;
  readonly session: SessionAnswer;
}

function Panel({ tab, conversation, session }: PanelProps): ReactNode {
  switch (tab) {
    case "conversation":
      return <Transcript conversation={conversation} live={!isOver(session.status)} />;
    case "timeline":
      return <Timeline conversation={conversation} />;
    case "report":
      return <Report session={session} conversation={conversation} />;
    case "logs":
      return <Logs session={session} />;
    case "webhooks":
      return <Webhooks sessionId={session.sessionId} />;
  }
}

interface HeadProps {
  readonly session: SessionAnswer;
  /** The agent that has the conversation now, or had it last. */
  readonly talking: string | null;
  /** What is wrong with what is shown. */
  readonly children: ReactNode;
}

function Head({ session, talking, children }: HeadProps): ReactNode {
  const over = isOver(session.status);
  const now = useNow(1, !over);
  const [listening, setListening] = useState(false);
  const { times, verdict } = session;
  const since = times.active ?? times.queued ?? times.created;
  const lasted = (over ? (times.ended ?? since) : now) - since;
  return (
    <header className="session-head">
      <div className="session-title">
        <h2>
          <Copyable text={session.sessionId} label="the session's id" />
        </h2>
        <Pill status={session.status} />
        <span className="number">{times.active === null && over ? NOTHING : clock(lasted)}</span>
      </div>
      <p className="session-facts">
        <span>
          {talking ?? session.agent}
          {talking !== null && talking !== session.agent && `, after ${session.agent}`}
        </span>
        <span>with {session.userId}</span>
        <span>{moment(times.created, now)}</span>
        {session.attempt > 1 && <span>attempt {session.attempt}</span>}
      </p>
      {verdict && (
        <p className="verdict" data-failure={verdict.isFailure}>
          <Sentence text={verdict.sentence} />
        </p>
      )}
      {!over && (
        <div className="session-actions">
          <button
            type="button"
            className="button"
            aria-pressed={listening}
            disabled={session.status !== "active" && !listening}
            onClick={() => setListening(!listening)}
          >
            {listening ? "Stop listening" : "Listen in"}
          </button>
          <EndButton sessionId={session.sessionId} />
        </div>
      )}
      {over && (
        <div className="session-actions">
          <EraseButton sessionId={session.sessionId} />
        </div>
      )}
      {children}
      {listening && !over && (
        <Suspense fallback={<Loading what="LiveKit's client" />}>
          <Listen sessionId={session.sessionId} />
        </Suspense>
      )}
    </header>
  );
}

function Tabs({ id, tab }: { readonly id: string; readonly tab: Tab }): ReactNode {
  const list = useRef<HTMLDivElement>(null);
  const onKey = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    const n = TABS.findIndex((each) => each.tab === tab);
    const next = TABS[(n + step + TABS.length) % TABS.length];
    if (next === undefined) return;
    event.preventDefault();
    goQuietly(sessionRoute(id, next.tab));
    list.current?.querySelector<HTMLElement>(`#tab-${next.tab}`)?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label="Of this session" ref={list} onKeyDown={onKey}>
      {TABS.map((each) => (
        <button
          key={each.tab}
          id={`tab-${each.tab}`}
          type="button"
          role="tab"
          aria-selected={each.tab === tab}
          aria-controls={each.tab === tab ? "panel" : undefined}
          tabIndex={each.tab === tab ? 0 : -1}
          onClick={() => go(sessionRoute(id, each.tab))}
        >
          {each.label}
        </button>
      ))}
    </div>
  );
}
