/// <reference types="node" />
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Client } from "../src/api/client";
import { Console } from "../src/live/console";
import { FiguresFeed } from "../src/live/useFigures";
import { Pager } from "../src/live/usePages";
import { SessionFeed } from "../src/live/useSession";
import { shown, type Wanted } from "../src/state/wanted";
import type { SessionSummary } from "../src/api/types";
import { figures, listing, Service } from "./service";
import { item, point, session, summary } from "./world";

const PAST: Wanted = { group: "over", agent: null, search: "" };
const EVENTS = "/api/events";
const until = (holds: () => void): Promise<void> => vi.waitFor(holds, { timeout: 15_000, interval: 10 });
const ended = (n: number): SessionSummary => summary({ sessionId: `s-${n}`, created: n, status: "ended", ended: n + 1 });

let service: Service;
let console_: Console;
let stop: () => void;

beforeEach(async () => {
  service = new Service();
  await service.start();
  console_ = new Console(new Client("secret"));
  stop = () => undefined;
});
afterEach(async () => {
  stop();
  await service.stop();
});

const begin = async (): Promise<void> => {
  stop = console_.start();
  await until(() => expect(console_.link.get().state).toBe("live"));
};
const gap = (): void => service.tell(EVENTS, "stream.truncated", { name: "stream.truncated", at: 9 });

describe("lists of sessions that are over", () => {
  let stored: SessionSummary[];
  const seen = (): string[] => shown(console_.sessions.get(), PAST).map((row) => row.id);
  const numbered = (from: number, to: number): string[] => Array.from({ length: from - to + 1 }, (_, n) => `s-${from - n}`);

  beforeEach(() => {
    stored = Array.from({ length: 30 }, (_, n) => ended(30 - n));
    service.answers.set("/api/sessions", listing(() => stored, 10));
  });

  it("are loaded anew after a gap in the stream, to the end and from the beginning", async () => {
    await begin();
    const pager = new Pager(console_, PAST);
    pager.start();
    for (const count of [10, 20, 30]) {
      await until(() => expect(seen()).toHaveLength(count));
      pager.more();
    }
    expect(console_.sessions.get().horizon).toBe(-Infinity);
    stored = [ended(32), ended(31), ...stored];
    gap();
    await until(() => expect(seen()).toEqual(numbered(32, 23)));
    expect(console_.sessions.get().horizon).toBe(23);
    pager.more();
    await until(() => expect(seen()).toEqual(numbered(32, 13)));
    pager.stop();
  });

  it("do not take an answer from before the gap", async () => {
    await begin();
    let answer: (page: unknown) => void = () => undefined;
    service.answers.set("/api/sessions", () => new Promise((resolve) => (answer = resolve)));
    const pager = new Pager(console_, PAST);
    const asked = service.count("/api/sessions");
    pager.start();
    await until(() => expect(service.count("/api/sessions")).toBeGreaterThan(asked));
    const late = answer;
    service.answers.set("/api/sessions", listing(() => stored, 10));
    gap();
    await until(() => expect(seen()).toEqual(numbered(30, 21)));
    late({ sessions: [ended(99)], cursor: null });
    pager.more();
    await until(() => expect(seen()).toEqual(numbered(30, 11)));
    pager.stop();
  });

  it("go on from where they end, once what was loaded has been forgotten", async () => {
    await begin();
    const pager = new Pager(console_, PAST);
    pager.start();
    await until(() => expect(seen()).toHaveLength(10));
    // So much happens that the list's end is let go.
    const later = Array.from({ length: 4000 }, (_, n) => ended(100 + n)).reverse();
    console_.sessions.dispatch(
      ...later.toReversed().flatMap(({ sessionId, created }) =>
        ["session.created", "session.ended"].map((name) => ({
          type: "event" as const,
          event: { sessionId, name, at: created, data: {} },
        })),
      ),
    );
    console_.sessions.flush();
    stored = [...later, ...stored];
    const { horizon } = console_.sessions.get();
    expect(horizon).toBeGreaterThan(1000);
    pager.more();
    await until(() => expect(console_.sessions.get().horizon).toBe(horizon - 9));
    expect(seen()).toEqual(numbered(4099, horizon - 9));
    pager.stop();
  });

  it("can be asked for again when a page did not come, and are when the service is back", async () => {
    await begin();
    service.answers.set("/api/sessions", () => null);
    const pager = new Pager(console_, PAST);
    pager.start();
    await until(() => expect(pager.error.get()).toMatchObject({ status: 503 }));
    service.answers.set("/api/sessions", listing(() => stored, 10));
    service.cut(EVENTS);
    await until(() => expect(seen()).toHaveLength(10));
    await until(() => expect(pager.error.get()).toBeNull());
    pager.stop();
  });
});

it("says why the live sessions could not be listed, and no longer when they were", async () => {
  service.answers.set("/api/sessions", () => null);
  await begin();
  await until(() => expect(console_.trouble.get()).toMatchObject({ status: 503 }));
  service.answers.set("/api/sessions", listing(() => [summary()], 10));
  await console_.list();
  await until(() => expect([console_.trouble.get(), console_.listed.get()]).toEqual([null, true]));
});

describe("figures", () => {
  const PATH = "/api/figures";
  let feed: FiguresFeed;
  const started = (): number | undefined => feed.store.get().steps.at(-1)?.counted.started;

  beforeEach(async () => {
    service.answers.set("/api/sessions", listing(() => [], 10));
    await begin();
    feed = new FiguresFeed(console_, { windowS: 3600, stepS: 60 });
  });
  afterEach(() => feed.stop());

  it("are asked for until they come, and at once when the service is back", async () => {
    service.answers.set(PATH, () => null);
    feed.start();
    await until(() => expect(feed.retry.error.get()).toMatchObject({ status: 503 }));
    await until(() => expect(service.count(PATH)).toBeGreaterThan(1));
    service.answers.set(PATH, () => figures(90, [point({ at: 60, started: 4 })]));
    const before = service.count(PATH);
    service.cut(EVENTS);
    await until(() => expect(started()).toBe(4));
    expect(feed.retry.error.get()).toBeNull();
    expect(service.count(PATH)).toBeGreaterThan(before);
  });

  it("are counted anew after a gap in the stream", async () => {
    service.answers.set(PATH, () => figures(90, [point({ at: 60, started: 4 })]));
    feed.start();
    await until(() => expect(started()).toBe(4));
    service.answers.set(PATH, () => figures(90, [point({ at: 60, started: 7 })]));
    gap();
    await until(() => expect(started()).toBe(7));
  });

  it("are counted anew when a step is over", async () => {
    feed = new FiguresFeed(console_, { windowS: 3600, stepS: 60 }, () => 0.05);
    service.answers.set(PATH, () => figures(119.999, [point({ at: 60, started: service.count(PATH) })]));
    feed.start();
    await until(() => expect(started()).toBeGreaterThan(1));
  });
});

describe("an open session", () => {
  const PATH = "/api/sessions/s-1";
  let feed: SessionFeed;

  beforeEach(async () => {
    service.answers.set("/api/sessions", listing(() => [summary()], 10));
    service.answers.set(PATH, () => session());
    service.answers.set(`${PATH}/transcript`, () => ({ items: [item()], dropped: 0, cursor: null }));
    await begin();
    feed = new SessionFeed(console_, "s-1");
  });
  afterEach(() => feed.stop());

  const isFollowed = (): Promise<void> => until(() => expect(service.hasStream(`${PATH}/events`)).toBe(true));

  it.each([PATH, `${PATH}/transcript`])("is followed although %s failed at first, which is told meanwhile", async (path) => {
    const answer = service.answers.get(path);
    service.answers.set(path, () => null);
    feed.start();
    await until(() => expect(feed.retry.error.get()).toMatchObject({ status: 503 }));
    expect(service.hasStream(`${PATH}/events`)).toBe(false);
    service.answers.set(path, answer!);
    feed.retry.again();
    await isFollowed();
    await until(() => expect(feed.retry.error.get()).toBeNull());
    service.tell(`${PATH}/events`, "turn.completed", { sessionId: "s-1", name: "turn.completed", at: 103, data: { turn: 1 } });
    await until(() => expect(feed.store.get().turns).toHaveLength(1));
    expect(feed.store.get().items).toHaveLength(1);
  });

  it("is looked at again after an event, as often as that takes", async () => {
    feed.start();
    await isFollowed();
    let failures = 0;
    service.answers.set(PATH, () => ((failures += 1) < 3 ? null : { ...session(), attempt: 2 }));
    for (const name of ["agent.lost", "agent.joined", "session.active"]) {
      service.tell(`${PATH}/events`, name, { sessionId: "s-1", name, at: 104, data: {} });
    }
    await until(() => expect(feed.store.get().session?.attempt).toBe(2));
    expect(failures).toBe(3);
  });

  it("reads what was said again after a gap in its stream", async () => {
    feed.start();
    await isFollowed();
    service.answers.set(`${PATH}/transcript`, () => ({ items: [item(), item({ id: "i-2" })], dropped: 0, cursor: null }));
    service.tell(`${PATH}/events`, "stream.truncated", { name: "stream.truncated", at: 9 });
    await until(() => expect(feed.store.get().items).toHaveLength(2));
  });

  it("is asked for no more when it was erased, until somebody wants it", async () => {
    service.answers.delete(PATH);
    feed.start();
    await until(() => expect(feed.retry.error.get()).toMatchObject({ status: 404 }));
    const asked = service.count(PATH);
    feed.retry.again();
    await until(() => expect(service.count(PATH)).toBe(asked + 1));
  });
});
