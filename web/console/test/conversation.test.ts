import { describe, expect, it } from "vitest";
import { type Action, type Conversation, EMPTY, growing, reduce, turnsByItem } from "../src/state/conversation";
import { waitOf } from "../src/state/latency";
import { event, item, session } from "./world";

const told = (...events: Parameters<typeof event>[]): Action[] =>
  events.map((each) => ({ type: "event", event: event(...each) }));
const after = (...batches: Action[][]): Conversation =>
  batches.reduce<Conversation>((state, batch) => reduce(state, batch), EMPTY);

const TURN = {
  attempt: 1,
  turn: 1,
  interrupted: false,
  transcription_delay_s: 0.2,
  end_of_turn_delay_s: 0.5,
  llm_ttft_s: 0.3,
  tts_ttfb_s: 0.1,
  e2e_latency_s: 1.0,
};

describe("a session as it is told", () => {
  it("keeps once what both the record and the stream tell", () => {
    const timeline = [
      { id: "1-0", name: "session.created", at: 100, data: {} },
      { id: "2-0", name: "agent.unseen", at: 104, data: { attempt: 1 } },
      { id: "3-0", name: "agent.claimed", at: 101, data: { attempt: 1, pid: 7 } },
    ];
    const state = after(
      [{ type: "session", session: session(timeline) }],
      told(["session.created", 100], ["agent.left", 104, { attempt: 1 }], ["user.left", 105]),
    );
    expect(state.entries.map((entry) => entry.name)).toEqual([
      "session.created",
      "agent.claimed",
      "agent.left",
      "user.left",
    ]);
  });

  it("keeps the stored item, which is longer than the event's, whichever came first", () => {
    const stored: Action = { type: "items", items: [item({ text: "All of it." })], dropped: 3 };
    const heard = told(["conversation.item", 102, { id: "i-1", role: "assistant", text: "All", cut: true }]);
    for (const state of [after([stored], heard), after(heard, [stored])]) {
      expect(state.items.map((each) => each.text)).toEqual(["All of it."]);
      expect(state.dropped).toBe(3);
    }
  });

  it("reads a tool's use, and orders by when things were said", () => {
    const state = after(
      told(
        ["conversation.item", 120, { id: "b", role: "assistant", text: "Sunny.", started_at: 110 }],
        [
          "conversation.item",
          105,
          { id: "t", role: "tool", text: "", tool: "weather", arguments: "{}", output: "boom", is_error: true, started_at: 105, ended_at: 106 },
        ],
        ["conversation.item", 104, { id: "a", role: "user", text: "Weather?", started_at: 103 }],
        ["conversation.item", 104, { role: "user" }],
      ),
    );
    expect(state.items.map((each) => each.id)).toEqual(["a", "t", "b"]);
    expect(state.items[1]?.tool).toMatchObject({ name: "weather", output: "boom", isError: true });
  });

  it("gives each turn to the answer that completed it, and none to a greeting", () => {
    const state = after(
      told(
        ["conversation.item", 100, { id: "greeting", role: "assistant", text: "Hello.", attempt: 1 }],
        ["conversation.item", 103, { id: "q1", role: "user", text: "Time?", attempt: 1 }],
        ["conversation.item", 104, { id: "a1", role: "assistant", text: "Nine.", attempt: 1 }],
        ["turn.completed", 106, TURN],
        ["conversation.item", 108, { id: "a2", role: "assistant", text: "Why…", attempt: 1 }],
        ["turn.completed", 112, { ...TURN, turn: 2, e2e_latency_s: 2 }],
        ["turn.completed", 112, { ...TURN, turn: 2, e2e_latency_s: 2 }],
      ),
    );
    const turns = turnsByItem(state);
    expect([...turns].map(([id, turn]) => [id, turn.turn])).toEqual([["a1", 1], ["a2", 2]]);
    expect(state.turns).toHaveLength(2);
  });

  it("counts the turns of each attempt by themselves", () => {
    const state = after(
      told(
        ["conversation.item", 104, { id: "a1", role: "assistant", text: "One.", attempt: 1 }],
        ["turn.completed", 106, TURN],
        ["conversation.item", 204, { id: "b1", role: "assistant", text: "Two.", attempt: 2 }],
        ["turn.completed", 206, { ...TURN, attempt: 2 }],
      ),
    );
    expect([...turnsByItem(state)].map(([id, turn]) => [id, turn.attempt])).toEqual([["a1", 1], ["b1", 2]]);
  });
});

describe("what a wait was made of", () => {
  const turn = (changes: Record<string, unknown> = {}) =>
    after(told(["turn.completed", 1, { ...TURN, ...changes }])).turns[0]!;
  const parts = (changes: Record<string, unknown> = {}) =>
    waitOf(turn(changes)).segments.map(({ part, seconds }) => [part, Math.round(seconds * 1000)]);

  it("takes the transcription out of the end of turn, and names what is left", () => {
    expect(parts()).toEqual([
      ["transcription", 200],
      ["endOfTurn", 300],
      ["llm", 300],
      ["tts", 100],
      ["other", 100],
    ]);
  });

  it("says how much ran at the same time when the parts are longer than the whole", () => {
    const wait = waitOf(turn({ e2e_latency_s: 0.7 }));
    expect(wait.segments.some(({ part }) => part === "other")).toBe(false);
    expect(wait.overlapS).toBeCloseTo(0.2);
  });

  it("shows what was measured, and nothing for what was not", () => {
    expect(parts({ transcription_delay_s: null, llm_ttft_s: null, e2e_latency_s: null })).toEqual([
      ["endOfTurn", 500],
      ["tts", 100],
    ]);
    expect(waitOf(turn({ e2e_latency_s: null })).totalS).toBeNull();
  });

  it("is never negative, though the transcript came after the decision", () => {
    expect(parts({ transcription_delay_s: 0.8, end_of_turn_delay_s: 0.5 })[0]).toEqual(["transcription", 500]);
  });
});

describe("words while they are spoken", () => {
  const words = (id: string, role: string, text: string, item: string | null = null): Parameters<typeof event> => [
    "conversation.partial",
    101,
    { id, role, text, attempt: 1, ...(item === null ? {} : { item }) },
  ];
  const texts = (state: Conversation): string[] => growing(state).map((line) => line.text);

  it("grow in one line a side, and leave everything else as it is", () => {
    const before = after(told(["conversation.item", 100, { id: "i-0", role: "user", text: "Hello." }]));
    const state = reduce(before, told(words("u-2", "user", "What"), words("a-1", "assistant", "Wel"), words("u-2", "user", "What is")));
    expect(texts(state)).toEqual(["What is", "Wel"]);
    expect(state.items).toBe(before.items);
  });

  it("give way to the item that they became, in whichever order both come", () => {
    const item = told(["conversation.item", 102, { id: "i-1", role: "user", text: "What is it?" }]);
    const last = told(words("u-1", "user", "What is it", "i-1"));
    const line = told(words("u-1", "user", "What is"));
    for (const state of [after(line, item), after(line, item, line), after(line, item, last), after(line, last, item)]) {
      expect(texts(state)).toEqual([]);
      expect(texts(reduce(state, told(words("u-2", "user", "And"))))).toEqual(["And"]);
    }
    expect(texts(after(line, last))).toEqual(["What is it"]);
  });

  it("stay when another line's item comes, and go when nothing became of them", () => {
    const next = after(told(words("a-1", "assistant", "One", "i-1"), words("a-2", "assistant", "Two", "i-2")));
    const state = reduce(next, told(["conversation.item", 102, { id: "i-1", role: "assistant", text: "One" }]));
    expect(texts(state)).toEqual(["Two"]);
    expect(texts(reduce(state, told(words("a-2", "assistant", ""))))).toEqual([]);
    expect(texts(reduce(state, told(words("a-1", "assistant", ""))))).toEqual(["Two"]);
    expect(texts(reduce(state, told(["agent.lost", 103, { attempt: 1 }])))).toEqual([]);
  });
});
