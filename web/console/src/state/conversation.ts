/** One session as it is told: a first look at what is stored, and the events since. Pure. */

import { numberOf, type SessionEvent, textOf } from "../api/events";
import type { ItemAnswer, SessionAnswer, TimelineEntry } from "../api/types";

export interface Turn {
  readonly attempt: number;
  readonly turn: number;
  readonly at: number;
  readonly interrupted: boolean;
  readonly transcriptionDelayS: number | null;
  readonly endOfTurnDelayS: number | null;
  readonly llmTtftS: number | null;
  readonly ttsTtfbS: number | null;
  readonly e2eLatencyS: number | null;
}

export interface Entry {
  readonly name: string;
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Conversation {
  readonly session: SessionAnswer | null;
  /** What happened, oldest first, without what was said. */
  readonly entries: readonly Entry[];
  readonly turns: readonly Turn[];
  /** What was said and done, oldest first. */
  readonly items: readonly ItemAnswer[];
  /** Items that are not kept any more. */
  readonly dropped: number;
  /** What either side is saying; at most one line each. */
  readonly lines: readonly Line[];
}

/** Words while they are spoken, until the item comes that they became. */
export interface Line {
  readonly id: string;
  readonly role: string;
  readonly text: string;
  readonly at: number;
  /** The item that it became; null: it grows, or nobody said. */
  readonly item: string | null;
  /** Its item came: whatever is still told of it is late. */
  readonly over: boolean;
}

const PARTIAL = "conversation.partial";
/** Whoever was speaking does so no more. */
const SILENCES: ReadonlySet<string> = new Set(["agent.lost", "session.ended", "session.failed"]);

export type Action =
  | { readonly type: "session"; readonly session: SessionAnswer }
  | { readonly type: "items"; readonly items: readonly ItemAnswer[]; readonly dropped: number }
  | { readonly type: "event"; readonly event: SessionEvent };

export const EMPTY: Conversation = { session: null, entries: [], turns: [], items: [], dropped: 0, lines: [] };

/** Names that the record and the streams give to the same thing. */
const PUBLIC: Readonly<Record<string, string>> = { "agent.unseen": "agent.left" };

const keyOf = (entry: Entry): string => `${entry.name} ${entry.at} ${String(entry.data["attempt"] ?? "")}`;

export const turnOf = (event: SessionEvent): Turn => ({
  attempt: numberOf(event, "attempt") ?? 1,
  turn: numberOf(event, "turn") ?? 0,
  at: event.at,
  interrupted: event.data["interrupted"] === true,
  transcriptionDelayS: numberOf(event, "transcription_delay_s"),
  endOfTurnDelayS: numberOf(event, "end_of_turn_delay_s"),
  llmTtftS: numberOf(event, "llm_ttft_s"),
  ttsTtfbS: numberOf(event, "tts_ttfb_s"),
  e2eLatencyS: numberOf(event, "e2e_latency_s"),
});

/** The item that an event tells of; null: it lacks what an item needs. */
export function itemOf(event: SessionEvent): ItemAnswer | null {
  const id = textOf(event, "id");
  const role = textOf(event, "role");
  if (id === null || role === null) return null;
  const name = textOf(event, "tool");
  return {
    id,
    role,
    text: textOf(event, "text") ?? "",
    interrupted: event.data["interrupted"] === true,
    at: event.at,
    startedAt: numberOf(event, "started_at"),
    endedAt: numberOf(event, "ended_at"),
    attempt: numberOf(event, "attempt"),
    tool:
      name === null
        ? null
        : {
            name,
            callId: "",
            arguments: textOf(event, "arguments") ?? "",
            output: textOf(event, "output") ?? "",
            isError: event.data["is_error"] === true,
          },
  };
}

/** The lines after words were told. */
function spoken(lines: readonly Line[], event: SessionEvent): readonly Line[] {
  const id = textOf(event, "id");
  const role = textOf(event, "role");
  if (id === null || role === null) return lines;
  const before = lines.find((line) => line.role === role);
  const grows = before?.id === id;
  if (grows && before.over) return lines;
  const others = lines.filter((line) => line.role !== role);
  const text = textOf(event, "text") ?? "";
  if (text === "") return grows ? others : lines;
  const item = textOf(event, "item");
  if (grows) return lines.map((line) => (line === before ? { ...line, text, item } : line));
  return [...others, { id, role, text, at: event.at, item, over: false }];
}

const momentOf = (item: ItemAnswer): number => item.startedAt ?? item.at;

class Draft {
  readonly entries: Map<string, Entry>;
  readonly turns: Map<string, Turn>;
  readonly items: Map<string, ItemAnswer>;
  session: SessionAnswer | null;
  dropped: number;
  lines: readonly Line[];

  constructor(state: Conversation) {
    this.session = state.session;
    this.dropped = state.dropped;
    this.lines = state.lines;
    this.entries = new Map(state.entries.map((entry) => [keyOf(entry), entry]));
    this.turns = new Map(state.turns.map((turn) => [`${turn.attempt}/${turn.turn}`, turn]));
    this.items = new Map(state.items.map((item) => [item.id, item]));
  }

  tell(event: SessionEvent): void {
    if (event.name === PARTIAL) {
      this.lines = spoken(this.lines, event);
      return;
    }
    if (event.name === "conversation.item") {
      const item = itemOf(event);
      // What is stored is longer than what an event may hold.
      if (item !== null && !this.items.has(item.id)) {
        this.items.set(item.id, item);
        if (item.tool === null) this.#came(item);
      }
      return;
    }
    if (event.name === "turn.completed") {
      const turn = turnOf(event);
      this.turns.set(`${turn.attempt}/${turn.turn}`, turn);
      return;
    }
    if (SILENCES.has(event.name)) this.lines = [];
    const entry = { name: PUBLIC[event.name] ?? event.name, at: event.at, data: event.data };
    const key = keyOf(entry);
    if (!this.entries.has(key)) this.entries.set(key, entry);
  }

  /** An item's line is over, also one that nobody said to have become it. */
  #came(item: ItemAnswer): void {
    this.lines = this.lines.map((line) =>
      line.role === item.role && (line.item === null || line.item === item.id) ? { ...line, over: true } : line,
    );
  }

  done(): Conversation {
    return {
      session: this.session,
      entries: [...this.entries.values()].sort((a, b) => a.at - b.at),
      turns: [...this.turns.values()].sort((a, b) => a.at - b.at),
      items: [...this.items.values()].sort((a, b) => momentOf(a) - momentOf(b)),
      dropped: this.dropped,
      lines: this.lines,
    };
  }
}

const told = (sessionId: string, entry: TimelineEntry): SessionEvent => ({
  sessionId,
  name: entry.name,
  at: entry.at,
  data: entry.data,
});

export function reduce(state: Conversation, actions: readonly Action[]): Conversation {
  if (actions.every((action) => action.type === "event" && action.event.name === PARTIAL)) {
    // They come often, and change nothing else.
    const lines = actions.reduce((all, action) => (action.type === "event" ? spoken(all, action.event) : all), state.lines);
    return lines === state.lines ? state : { ...state, lines };
  }
  const draft = new Draft(state);
  for (const action of actions) {
    if (action.type === "event") {
      draft.tell(action.event);
    } else if (action.type === "items") {
      draft.dropped = action.dropped;
      for (const item of action.items) draft.items.set(item.id, item);
    } else {
      const { session } = action;
      draft.session = session;
      for (const entry of session.timeline ?? []) draft.tell(told(session.sessionId, entry));
    }
  }
  return draft.done();
}

/** What is being said now, in the order in which it began. */
export function growing({ lines, items }: Conversation): readonly Line[] {
  return lines
    .filter((line) => !line.over && (line.item === null || !items.some((item) => item.id === line.item)))
    .sort((a, b) => a.at - b.at);
}

/** The agent that has the conversation: whom it was given to last, or whom it began with. */
export function talkingOf(state: Conversation): string | null {
  const given = state.entries.findLast((entry) => entry.name === "agent.transferred");
  const name = given?.data["agent"];
  return typeof name === "string" ? name : (state.session?.agent ?? null);
}

/** Which turn each of the agent's items completed: the latest one before the turn was told. */
export function turnsByItem(state: Conversation): ReadonlyMap<string, Turn> {
  const found = new Map<string, Turn>();
  const answers = state.items.filter((item) => item.role === "assistant");
  let next = 0;
  for (const turn of state.turns) {
    let chosen: ItemAnswer | null = null;
    for (; next < answers.length; next += 1) {
      const item = answers[next];
      if (item === undefined || item.at > turn.at) break;
      if (item.attempt === null || item.attempt === turn.attempt) chosen = item;
    }
    if (chosen !== null) found.set(chosen.id, turn);
  }
  return found;
}
