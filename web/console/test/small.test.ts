import { describe, expect, it, vi } from "vitest";
import { bytes, clock, duration, money } from "../src/state/format";
import { format, parse, sessionRoute } from "../src/state/route";
import { atMostEvery, Store } from "../src/state/store";
import { moved } from "../src/parts/VirtualList";

describe("the store", () => {
  const counting = () => {
    const scheduled: (() => void)[] = [];
    const store = new Store<number[], number>([], (state, all) => [...state, ...all], (flush) => void scheduled.push(flush));
    let drawn = 0;
    store.subscribe(() => (drawn += 1));
    return { scheduled, store, drawn: () => drawn };
  };

  it("applies at once what came within a frame, and tells of it once", () => {
    const { scheduled, store, drawn } = counting();
    store.dispatch(1);
    store.dispatch(2, 3);
    expect([store.get(), scheduled.length, drawn()]).toEqual([[], 1, 0]);
    scheduled[0]?.();
    expect([store.get(), drawn()]).toEqual([[1, 2, 3], 1]);
    store.dispatch(4);
    expect(scheduled).toHaveLength(2);
  });

  it("tells nothing when nothing changed", () => {
    const scheduled: (() => void)[] = [];
    const store = new Store<number, number>(1, (state) => state, (flush) => void scheduled.push(flush));
    let drawn = 0;
    store.subscribe(() => (drawn += 1));
    store.dispatch();
    store.dispatch(5);
    scheduled.forEach((flush) => flush());
    expect([scheduled.length, drawn]).toEqual([1, 0]);
  });
});

it("applies at most once in a while what is dear to draw, the first of it at once", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "performance"] });
  try {
    const schedule = atMostEvery(1000, (flush) => void setTimeout(flush, 0));
    const store = new Store<number[], number>([], (state, all) => [...state, ...all], schedule);
    let drawn = 0;
    store.subscribe(() => (drawn += 1));
    store.dispatch(1);
    vi.advanceTimersByTime(1);
    expect(store.get()).toEqual([1]);
    for (let n = 2; n < 100; n += 1) {
      vi.advanceTimersByTime(50);
      store.dispatch(n);
    }
    expect([drawn, store.get().length]).toEqual([5, 80]);
    vi.advanceTimersByTime(1000);
    expect([drawn, store.get().length]).toEqual([6, 99]);
  } finally {
    vi.useRealTimers();
  }
});

describe("places in the console", () => {
  it("are read back as they were written", () => {
    for (const route of [
      { view: "overview" },
      { view: "webhooks" },
      { view: "agents" },
      { view: "checks" },
      sessionRoute(null),
      sessionRoute("call-1"),
      sessionRoute("call-1", "report"),
    ] as const) {
      expect(parse(format(route))).toEqual(route);
    }
  });

  it("are never made of what is no session's id", () => {
    expect(parse("#/sessions/<img>/report")).toEqual(sessionRoute(null, "report"));
    expect(parse("#/sessions/a/nonsense")).toEqual(sessionRoute("a"));
    expect(parse("#/anything")).toEqual({ view: "overview" });
  });
});

describe("keys in a list", () => {
  it("move within its ends", () => {
    expect(moved("ArrowDown", 0, 3, 2)).toBe(1);
    expect(moved("j", 2, 3, 2)).toBe(2);
    expect(moved("k", 0, 3, 2)).toBe(0);
    expect(moved("ArrowDown", -1, 3, 2)).toBe(0);
    expect(moved("End", 0, 3, 2)).toBe(2);
    expect(moved("Home", 2, 3, 2)).toBe(0);
    expect(moved("PageDown", 0, 9, 4)).toBe(4);
    expect(moved("PageUp", 2, 9, 4)).toBe(0);
    expect(moved("x", 0, 3, 2)).toBeNull();
    expect(moved("End", 0, 0, 2)).toBeNull();
  });
});

it("shows numbers as people read them", () => {
  expect([duration(0.424), duration(12.34), duration(245), duration(3723), duration(null)]).toEqual([
    "0.42\u00a0s",
    "12.3\u00a0s",
    "4:05",
    "1:02:03",
    "–",
  ]);
  expect([clock(7), clock(-1), clock(3600)]).toEqual(["0:07", "0:00", "1:00:00"]);
  expect([bytes(999), bytes(243_100), bytes(2_500_000)]).toEqual(["999 B", "243 kB", "2.5 MB"]);
  expect([money(null, "EUR"), money(0.0065, "EUR")]).toEqual(["unknown", "0.0065 EUR"]);
});
