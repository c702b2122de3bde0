/** Events, rows and answers as the service gives them, for tests. */

import type { SessionEvent } from "../src/api/events";
import type { FiguresPoint, ItemAnswer, SessionAnswer, SessionSummary, Spread } from "../src/api/types";

export const event = (
  name: string,
  at: number,
  data: Record<string, unknown> = {},
  sessionId = "s-1",
): SessionEvent => ({ sessionId, name, at, data });

export const summary = (changes: Partial<SessionSummary> = {}): SessionSummary => ({
  sessionId: "s-1",
  userId: "ada",
  status: "active",
  reason: null,
  agent: "assistant",
  talking: null,
  attempt: 1,
  created: 100,
  queued: 100,
  active: 101,
  ended: null,
  ...changes,
});

export const item = (changes: Partial<ItemAnswer> = {}): ItemAnswer => ({
  id: "i-1",
  role: "assistant",
  text: "Hello.",
  interrupted: false,
  at: 102,
  startedAt: 102,
  endedAt: 103,
  attempt: 1,
  tool: null,
  ...changes,
});

export const session = (timeline: SessionAnswer["timeline"] = []): SessionAnswer => ({
  sessionId: "s-1",
  userId: "ada",
  status: "active",
  reason: null,
  detail: null,
  agent: "assistant",
  room: "r-s-1",
  taskId: "t",
  attempt: 1,
  position: null,
  estimatedWaitS: null,
  maxDurationS: 1800,
  times: {
    created: 100,
    queued: 100,
    seeking: 100,
    dispatched: 100,
    accepted: 100,
    claimed: 100,
    joined: 101,
    active: 101,
    userJoined: 101,
    userLeft: null,
    ending: null,
    ended: null,
  },
  timeline,
  verdict: null,
  muted: [],
});

export const NEVER: Spread = { count: 0, p50: null, p90: null, p99: null };

export const point = (changes: Partial<FiguresPoint> = {}): FiguresPoint => ({
  at: 0,
  started: 0,
  active: 0,
  ended: 0,
  over: {},
  failed: {},
  turns: 0,
  interrupted: 0,
  slots: 0,
  waiting: 0,
  joining: NEVER,
  latencies: {},
  cost: null,
  ...changes,
});
