import { describe, expect, it } from "vitest";
import { agentOf } from "../src/state/rows";
import { type Action, FORGOTTEN_AT_ONCE, KEPT_PAST, NONE, places, reduce, rowOf, type Sessions } from "../src/state/sessions";
import { type Group, shown, type Wanted } from "../src/state/wanted";
import { event, summary } from "./world";

const told = (...events: Parameters<typeof event>[]): Action[] =>
  events.map((each) => ({ type: "event", event: event(...each) }));
const page = (asked: number, ...sessions: ReturnType<typeof summary>[]): Action => ({ type: "page", sessions, asked });
const after = (...batches: Action[][]): Sessions => batches.reduce<Sessions>((state, batch) => reduce(state, batch), NONE);
const row = (state: Sessions, id = "s-1") => rowOf(state, id);
/** A page of the open list, which is complete with it. */
const whole = (...sessions: ReturnType<typeof summary>[]): Action[] => [
  { type: "listing" },
  { type: "page", sessions, asked: 0, list: { from: Infinity, to: -Infinity } },
];
const ALL: Wanted = { group: "all", agent: null, search: "" };
const idsOf = (state: Sessions, wanted: Wanted = ALL): string[] => shown(state, wanted).map((each) => each.id);

describe("events make and change rows", () => {
  it("follows a session from its making to its end", () => {
    const state = after(
      told(["session.created", 1], ["session.queued", 2, { agent: "concierge" }], ["session.admitted", 3]),
      told(["session.dispatched", 3, { attempt: 1 }], ["agent.joined", 4, { attempt: 1 }], ["session.active", 4]),
      told(["session.ending", 9, { reason: "user_left" }], ["session.ended", 10, { reason: "user_left" }]),
    );
    expect(row(state)).toMatchObject({
      status: "ended",
      agent: "concierge",
      attempt: 1,
      reason: "user_left",
      queued: 2,
      active: 4,
      ended: 10,
    });
  });

  it("goes back to dispatching when an agent is lost, and keeps when the first one came", () => {
    const state = after(
      told(["session.created", 1], ["session.active", 4], ["agent.lost", 6, { attempt: 1 }]),
      told(["session.dispatched", 7, { attempt: 2 }]),
    );
    expect(row(state)).toMatchObject({ status: "dispatching", attempt: 2, active: 4 });
  });

  it("revives nothing that is over or ending", () => {
    const ended = after(told(["session.created", 1], ["session.ended", 2, { reason: "user_left" }], ["agent.joined", 3]));
    expect(row(ended)?.status).toBe("ended");
    const ending = after(told(["session.created", 1], ["session.ending", 2], ["agent.joined", 3]));
    expect(row(ending)?.status).toBe("ending");
  });

  it("tells who has the conversation, by event or by page", () => {
    const state = after(
      told(["session.queued", 2, { agent: "assistant" }], ["session.active", 3]),
      told(["agent.transferred", 4, { agent: "concierge", attempt: 1 }]),
      [page(9, summary({ agent: "assistant" }))],
    );
    expect(row(state)).toMatchObject({ agent: "assistant", status: "active" });
    expect(agentOf(row(state)!)).toBe("concierge");
    // A filter is about whom a session was started with, here as in the service.
    expect(idsOf(state, { ...ALL, group: "live", agent: "assistant" })).toEqual(["s-1"]);
    expect(agentOf(row(after([page(0, summary({ talking: "storyteller" }))]))!)).toBe("storyteller");
    const over = after(told(["session.queued", 2, { agent: "assistant" }], ["session.ended", 3], ["agent.transferred", 4, { agent: "x" }]));
    expect(agentOf(row(over)!)).toBe("assistant");
  });

  it("is the same state after events that a list does not show", () => {
    const before = after(told(["session.created", 1]));
    expect(reduce(before, told(["turn.completed", 2], ["report.ready", 3, {}, "unknown"]))).toBe(before);
  });
});

describe("pages and events together", () => {
  it("lets what was heard after a page was asked for stand, and takes the rest of the page", () => {
    const listening = after(told(["session.created", 100]));
    const asked = listening.heard;
    const state = reduce(reduce(listening, told(["session.failed", 105, { reason: "queue_timeout" }])), [
      page(asked, summary({ status: "queued", active: null })),
    ]);
    expect(row(state)).toMatchObject({ status: "failed", reason: "queue_timeout", userId: "ada", agent: "assistant" });
  });

  it("takes a page that was asked for after the event", () => {
    const listening = after(told(["session.created", 100]));
    expect(row(reduce(listening, [page(listening.heard, summary())]))?.status).toBe("active");
  });

  it("knows whose user must still be asked for", () => {
    const listening = after(told(["session.created", 100]));
    expect([...listening.nameless]).toEqual(["s-1"]);
    expect(reduce(listening, [page(listening.heard, summary())]).nameless.size).toBe(0);
    expect(reduce(listening, [{ type: "erased", id: "s-1" }]).nameless.size).toBe(0);
  });

  it("orders newest first, and by id what came together, as the service does", () => {
    const ended = (sessionId: string, created: number) => summary({ sessionId, created, status: "ended", ended: created });
    const first = after(whole(ended("a", 5), summary({ sessionId: "b", created: 5 }), ended("c", 7), ended("e", 1)));
    expect(idsOf(first)).toEqual(["c", "b", "a", "e"]);
    const next = reduce(first, [page(first.heard, ended("d", 6), ended("f", 0)), ...told(["session.ended", 9, {}, "b"])]);
    expect(idsOf(next)).toEqual(["c", "d", "b", "a", "e", "f"]);
    expect(next.order).toEqual(["c", "d", "b", "a", "e", "f"]);
  });

  it("lets a page say that what was taken to be over is not", () => {
    const state = after(whole(summary({ status: "ended", ended: 5 })), [page(9, summary())]);
    expect([state.live.size, state.past.size, state.order.length]).toEqual([1, 0, 0]);
  });

  it("forgets what was erased, and everything when the stream has a gap", () => {
    const past = summary({ sessionId: "s-3", created: 1, status: "ended", ended: 2 });
    const state = after(whole(summary(), summary({ sessionId: "s-2" }), past), [{ type: "erased", id: "s-1" }]);
    expect(idsOf(state)).toEqual(["s-2", "s-3"]);
    expect(idsOf(reduce(state, [{ type: "erased", id: "s-3" }]))).toEqual(["s-2"]);
    const cleared = reduce(state, [{ type: "cleared" }]);
    expect([idsOf(cleared), cleared.order, cleared.horizon, cleared.past.size]).toEqual([[], [], Infinity, 0]);
  });
});

it("numbers the queue in the order of asking", () => {
  const state = after([
    page(
      0,
      summary({ sessionId: "late", status: "queued", queued: 9 }),
      summary({ sessionId: "early", status: "queued", queued: 3 }),
      summary({ sessionId: "runs" }),
    ),
  ]);
  expect([...places(state)]).toEqual([["early", 1], ["late", 2]]);
});

describe("what a list shows", () => {
  const state = after(
    whole(
      summary({ sessionId: "live-1", created: 1 }),
      summary({ sessionId: "old-1", status: "ended", created: 2 }),
      summary({ sessionId: "new-1", status: "failed", created: 9, agent: "concierge", userId: "bob" }),
    ),
  );
  const ids = (group: Group, horizon = -Infinity, search = "", agent: string | null = null) =>
    idsOf({ ...state, horizon }, { group, agent, search });

  it("groups by state", () => {
    expect(ids("live")).toEqual(["live-1"]);
    expect(ids("over")).toEqual(["new-1", "old-1"]);
    expect(ids("failed")).toEqual(["new-1"]);
    expect(ids("all")).toEqual(["new-1", "old-1", "live-1"]);
  });

  it("leaves out what is over and older than was loaded, but nothing that lives", () => {
    expect(ids("all", 5)).toEqual(["new-1", "live-1"]);
  });

  it("finds by the begin of an id, by a whole user id, and by agent", () => {
    expect(ids("all", -Infinity, "old")).toEqual(["old-1"]);
    expect(ids("all", -Infinity, "bob")).toEqual(["new-1"]);
    expect(ids("all", -Infinity, "bo")).toEqual([]);
    expect(ids("all", -Infinity, "", "concierge")).toEqual(["new-1"]);
  });
});

describe("what is kept of sessions that are over", () => {
  const LIVE = 500;
  let made = 0;
  /** As many sessions more, of which each ends when LIVE others have begun after it. */
  const days = (state: Sessions, count: number): Sessions => {
    for (const goal = made + count; made < goal; ) {
      const batch = Array.from({ length: Math.min(400, goal - made) }, () => {
        const n = (made += 1);
        const begun = told(["session.created", n, {}, `s-${n}`], ["session.active", n, {}, `s-${n}`]);
        return n <= LIVE ? begun : [...begun, ...told(["session.ended", n, { reason: "user_left" }, `s-${n - LIVE}`])];
      });
      state = reduce(state, batch.flat());
    }
    return state;
  };
  /** What a list shows is what the service has, back to its horizon. */
  const isWithoutGaps = (state: Sessions): void => {
    const numbers = idsOf(state).map((id) => Number(id.slice(2)));
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, n) => made - n));
  };
  const BOUND = KEPT_PAST + FORGOTTEN_AT_ONCE + 400;

  it("does not grow with what happens, whatever is open", () => {
    made = 0;
    let state = NONE;
    for (let n = 0; n < 240; n += 1) {
      state = days(state, 1000);
      expect(state.past.size).toBeLessThanOrEqual(BOUND);
      expect(state.order.length).toBe(state.past.size);
      expect(state.nameless.size).toBeLessThanOrEqual(BOUND + LIVE);
      expect(state.live.size).toBe(Math.min(LIVE, made));
    }
    expect(made).toBe(240_000);
  });

  it("keeps an open list without gaps, and lets it know that it has an end again", () => {
    made = 0;
    const ended = (n: number) => summary({ sessionId: `s-${n}`, created: n, status: "ended", ended: n });
    let state = days(NONE, LIVE);
    state = reduce(state, whole());
    state = days(state, 1000);
    isWithoutGaps(state);
    expect([idsOf(state).length, state.horizon]).toEqual([1500, -Infinity]);
    state = days(state, 3000);
    isWithoutGaps(state);
    expect(state.horizon).toBeGreaterThan(0);
    // Somebody scrolls on: what was forgotten is loaded, and kept for as long as the list is open.
    const from = state.horizon;
    const older = Array.from({ length: from - 1 }, (_, n) => ended(from - 1 - n));
    state = reduce(state, [{ type: "page", sessions: older, asked: state.heard, list: { from, to: -Infinity } }]);
    isWithoutGaps(state);
    expect([idsOf(state).length, state.room]).toEqual([4500, 4000]);
    state = days(state, 400);
    expect(idsOf(state).length).toBe(4900);
    state = days(reduce(state, [{ type: "listing" }]), 400);
    expect(state.past.size).toBeLessThanOrEqual(BOUND);
  });

  it("does not take a page that goes on from what was forgotten meanwhile", () => {
    made = 0;
    let state = days(reduce(NONE, whole()), 1400);
    const from = state.horizon;
    state = days(state, 3000);
    const { horizon } = state;
    const late: Action = { type: "page", sessions: [], asked: 0, list: { from, to: -Infinity } };
    expect(reduce(state, [late]).horizon).toBe(horizon);
    expect(horizon).toBeGreaterThan(from);
  });

  it("finds a session over for a while, though it began long ago", () => {
    made = 0;
    let state = after(told(["session.created", 0.5, {}, "long"], ["session.active", 0.5, {}, "long"]));
    state = days(state, 3000);
    state = reduce(state, told(["session.ended", made, {}, "long"]));
    state = days(state, 20);
    expect(row(reduce(state, told(["agent.joined", made, {}, "long"])), "long")?.status).toBe("ended");
    expect(row(days(state, 3000), "long")).toBeUndefined();
  });
});
