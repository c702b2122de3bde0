import { describe, expect, it } from "vitest";
import type { Overview, WorkerAnswer } from "../src/api/types";
import { crew, lagging, stateOf } from "../src/state/fleet";

const worker = (changes: Partial<WorkerAnswer> = {}): WorkerAnswer => ({
  id: "w",
  host: "voice-1",
  pid: 1,
  jobs: 0,
  maxJobs: 2,
  warm: 1,
  standby: 0,
  load: 0,
  draining: false,
  registered: true,
  version: "1",
  startedAt: 0,
  catalog: "ours",
  beatAgeS: 0.5,
  sessions: [],
  ...changes,
});

const standing = (...workers: WorkerAnswer[]): Overview => ({
  at: 0,
  agents: {},
  sessions: { created: 0, queued: 0, dispatching: 0, active: 0, ending: 0 },
  slots: { used: 0, limit: 24 },
  queue: { waiting: 0, limit: 200, estimatedWaitS: null },
  pool: { warm: 0, standby: 0, jobs: 0, maxJobs: 0, free: 0 },
  catalog: { digest: "ours", since: 0 },
  redis: { latencyS: 0, usedMemoryBytes: null, connectedClients: null, version: null },
  workers,
});

describe("the workers, in words", () => {
  it("says of each what it does, the worst first", () => {
    expect(stateOf(worker()).text).toBe("takes jobs");
    expect(stateOf(worker({ jobs: 2 }))).toEqual({ status: "queued", text: "full" });
    expect(stateOf(worker({ registered: false, jobs: 2 })).text).toBe("not registered");
    expect(stateOf(worker({ draining: true, registered: false })).text).toBe("drains");
    expect(stateOf(worker({ draining: true, beatAgeS: 3.2 })).text).toBe("silent for 0:03");
  });

  it("says whether somebody should look", () => {
    expect(crew(standing())).toEqual({ text: "no worker is there", bad: true });
    expect(crew(standing(worker()))).toEqual({ text: "1 worker, MAX_BOTS 24", bad: false });
    const away = worker({ registered: false });
    const leaving = worker({ draining: true });
    expect(crew(standing(worker(), away, leaving))).toEqual({ text: "3 workers, 1 in trouble", bad: true });
    expect(crew(standing(worker(), leaving))).toEqual({ text: "2 workers, 1 draining", bad: false });
    expect(crew(standing(leaving)).bad).toBe(true);
  });

  it("names those with another agents.yaml, and not those that do not say", () => {
    const other = worker({ host: "voice-2", catalog: "older" });
    const silent = worker({ host: "voice-3", catalog: null });
    expect(lagging(standing(worker(), other, silent)).map((each) => each.host)).toEqual(["voice-2"]);
  });
});
