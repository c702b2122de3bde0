/** The list of sessions, and beside it the one that is chosen. */

import { type ReactNode, useDeferredValue, useEffect, useMemo, useState } from "react";
import { go, goQuietly, useConsole, useLoaded, useNow, useStore } from "../live/hooks";
import { usePages } from "../live/usePages";
import { useWide } from "../live/useWide";
import type { AgentsAnswer } from "../api/types";
import { Empty, Loading, Segmented, Trouble } from "../parts/small";
import { VirtualList } from "../parts/VirtualList";
import { type Tab, sessionRoute } from "../state/route";
import { isOver, type Row } from "../state/rows";
import { places } from "../state/sessions";
import { type Group, isPaged, shown, type Wanted } from "../state/wanted";
import { Session } from "./Session";
import { SessionRow } from "./SessionRow";

const GROUPS: readonly { readonly value: Group; readonly label: string }[] = [
  { value: "live", label: "Live" },
  { value: "over", label: "Past" },
  { value: "failed", label: "Failed" },
  { value: "all", label: "All" },
];
const ROW = { wide: 38, narrow: 60 };
const TYPING_MS = 250;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches("input, select, textarea");

/** `/` looks for a session, Escape closes the one that is open. */
function useShortcuts(open: boolean): void {
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/" && !isTyping(event.target)) {
        event.preventDefault();
        document.querySelector<HTMLInputElement>(".filters input")?.focus();
      } else if (event.key === "Escape" && open && !isTyping(event.target)) {
        go(sessionRoute(null));
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [open]);
}

export function Sessions({ id, tab }: { readonly id: string | null; readonly tab: Tab }): ReactNode {
  useShortcuts(id !== null);
  return (
    <div className="sessions" data-chosen={id !== null}>
      <h1 className="unseen">Sessions</h1>
      <SessionList chosen={id} tab={tab} />
      {id !== null && <Session key={id} id={id} tab={tab} />}
    </div>
  );
}

function SessionList({ chosen, tab }: { readonly chosen: string | null; readonly tab: Tab }): ReactNode {
  const console = useConsole();
  const [wanted, setWanted] = useState<Wanted>({ group: "live", agent: null, search: "" });
  const wide = useWide() && chosen === null;
  const choose = (id: string, byKey: boolean): void => {
    // Moving with the arrows must not fill the history; the first choice is worth a way back.
    const quietly = byKey && chosen !== null;
    (quietly ? goQuietly : go)(sessionRoute(id, tab));
  };
  const trouble = useStore(console.trouble);
  return (
    <section className="sessions-list" aria-label="Sessions">
      <Filters wanted={wanted} onChange={setWanted} />
      {trouble !== null && <Trouble error={trouble} again={() => void console.list()} />}
      {wide && <Heads />}
      <Rows wanted={wanted} chosen={chosen} wide={wide} onChoose={choose} />
    </section>
  );
}

function Heads(): ReactNode {
  return (
    <div className="row row-wide row-heads" aria-hidden="true">
      <span>State</span>
      <span>Session</span>
      <span>Agent</span>
      <span>User</span>
      <span>Why</span>
      <span className="number">Began</span>
      <span className="number">Took</span>
    </div>
  );
}

interface FilterProps {
  readonly wanted: Wanted;
  readonly onChange: (wanted: Wanted) => void;
}

function Filters({ wanted, onChange }: FilterProps): ReactNode {
  const { client } = useConsole();
  const agents = useLoaded("agents", (signal) => client.get<AgentsAnswer>("/api/agents", {}, signal));
  const [search, setSearch] = useState(wanted.search);
  useEffect(() => {
    if (search === wanted.search) return;
    const timer = setTimeout(() => onChange({ ...wanted, search: search.trim() }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [search, wanted, onChange]);
  return (
    <div className="filters" role="search">
      <Segmented
        label="Which sessions"
        choices={GROUPS}
        value={wanted.group}
        onChange={(group) => onChange({ ...wanted, group })}
      />
      <select
        aria-label="Agent"
        value={wanted.agent ?? ""}
        onChange={(event) => onChange({ ...wanted, agent: event.target.value || null })}
      >
        <option value="">All agents</option>
        {agents.value?.agents.map((agent) => (
          <option key={agent.name} value={agent.name}>
            {agent.title}
          </option>
        ))}
      </select>
      <input
        type="search"
        aria-label="Begin of a session's id, or a user's id"
        placeholder="Find by id"
        maxLength={128}
        value={search}
        onChange={(event) => setSearch(event.target.value)}
      />
    </div>
  );
}

interface RowsProps {
  readonly wanted: Wanted;
  readonly chosen: string | null;
  readonly wide: boolean;
  readonly onChoose: (id: string, byKey: boolean) => void;
}

function Rows({ wanted, chosen, wide, onChoose }: RowsProps): ReactNode {
  const console = useConsole();
  const state = useStore(console.sessions);
  const listed = useStore(console.listed);
  const pages = usePages(wanted);
  const rows = useMemo(() => shown(state, wanted), [state, wanted]);
  const waiting = useMemo(() => places(state), [state]);
  const now = useNow(1);
  const settled = useDeferredValue(rows);
  const { horizon } = state;
  const reading = isPaged(wanted) ? horizon === Infinity : !listed;
  if (settled.length === 0) {
    if (pages.error !== null) return <Trouble error={pages.error} again={pages.more} />;
    return reading ? <Loading what="the sessions" /> : <Nothing wanted={wanted} />;
  }
  return (
    <>
      <VirtualList<Row>
        label="Sessions, newest first"
        items={settled}
        rowHeight={wide ? ROW.wide : ROW.narrow}
        idOf={(row) => row.id}
        selected={chosen}
        onSelect={onChoose}
        onEnd={pages.more}
        render={(row) => (
          <SessionRow
            row={row}
            wide={wide}
            place={waiting.get(row.id) ?? null}
            // What is over does not change any more, and is not drawn again.
            now={isOver(row.status) ? 0 : now}
          />
        )}
      />
      <p className="list-foot" role="status">
        {settled.length.toLocaleString("en-US")} {settled.length === 1 ? "session" : "sessions"}
        {!isPaged(wanted) || horizon === -Infinity ? "" : ", and older ones below"}
      </p>
    </>
  );
}

function Nothing({ wanted }: { readonly wanted: Wanted }): ReactNode {
  if (wanted.search !== "") return <Empty title="No session matches">Look for the first letters of a session's id, or for a user's whole id.</Empty>;
  switch (wanted.group) {
    case "live":
      return <Empty title="Nobody is talking">A session appears here the moment it is made.</Empty>;
    case "failed":
      return <Empty title="No session failed">Sessions that never got an agent would be here.</Empty>;
    default:
      return <Empty title="Nothing yet">Conversations stay here for as long as their records are kept.</Empty>;
  }
}
