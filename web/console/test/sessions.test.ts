import { describe, expect, it } from "vitest";
import { type Action, NONE, places, reduce, type Sessions, unnamed } from "../src/state/sessions";
import { shown } from "../src/state/wanted";
import { event, summary } from "./world";

const told = (...events: Parameters<typeof event>[]): Action[] =>
  events.map((each) => ({ type: "event", event: event(...each) }));
const page = (asked: number, ...sessions: ReturnType<typeof summary>[]): Action => ({ type: "page", sessions, asked });
const after = (...batches: Action[][]): Sessions => batches.reduce<Sessions>((state, batch) => reduce(state, batch), NONE);
const row = (state: Sessions, id = "s-1") => state.rows.get(id);

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
    expect(unnamed(listening).map((each) => each.id)).toEqual(["s-1"]);
    expect(unnamed(reduce(listening, [page(listening.heard, summary())]))).toEqual([]);
  });

  it("orders newest first, and by id what came together, as the service does", () => {
    const state = after([
      page(0, summary({ sessionId: "a", created: 5 }), summary({ sessionId: "b", created: 5 }), summary({ sessionId: "c", created: 7 })),
    ]);
    expect(state.order).toEqual(["c", "b", "a"]);
  });

  it("forgets what was erased, and everything when the stream has a gap", () => {
    const state = after([page(0, summary(), summary({ sessionId: "s-2" }))], [{ type: "erased", id: "s-1" }]);
    expect(state.order).toEqual(["s-2"]);
    expect(reduce(state, [{ type: "cleared" }]).order).toEqual([]);
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
  expect([...places(state.rows.values())]).toEqual([["early", 1], ["late", 2]]);
});

describe("what a list shows", () => {
  const state = after([
    page(
      0,
      summary({ sessionId: "live-1", created: 1 }),
      summary({ sessionId: "old-1", status: "ended", created: 2 }),
      summary({ sessionId: "new-1", status: "failed", created: 9, agent: "concierge", userId: "bob" }),
    ),
  ]);
  const ids = (group: "live" | "over" | "failed" | "all", horizon = -Infinity, search = "", agent: string | null = null) =>
    shown(state, { group, agent, search }, horizon).map((each) => each.id);

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

it("takes a thousand events of ten thousand sessions within a few frames", () => {
  const many = Array.from({ length: 10_000 }, (_, n) => summary({ sessionId: `s-${n}`, created: n }));
  const state = after([page(0, ...many)]);
  const events = Array.from({ length: 1000 }, (_, n): Action => ({
    type: "event",
    event: event("session.ending", 20_000 + n, { reason: "user_left" }, `s-${n * 10}`),
  }));
  const begin = performance.now();
  const next = reduce(state, events);
  expect(performance.now() - begin).toBeLessThan(250);
  expect(next.order).toBe(state.order);
  expect(next.rows.get("s-9990")?.status).toBe("ending");
});
