/** The workers as they stand, in words. Pure. */

import type { Overview, WorkerAnswer } from "../api/types";
import { clock, count } from "./format";

/** A beat comes every second; without one for 4 s a worker is gone. */
const LATE_S = 3;

export interface WorkerState {
  readonly status: "active" | "queued" | "failed";
  readonly text: string;
}

export function stateOf(worker: WorkerAnswer): WorkerState {
  if (worker.beatAgeS > LATE_S) return { status: "failed", text: `silent for ${clock(worker.beatAgeS)}` };
  if (worker.draining) return { status: "queued", text: "drains" };
  if (!worker.registered) return { status: "failed", text: "not registered" };
  if (worker.jobs >= worker.maxJobs) return { status: "queued", text: "full" };
  return { status: "active", text: "takes jobs" };
}

/** Who carries the sessions; `bad`: somebody should look at the workers. */
export function crew({ workers, slots }: Overview): { readonly text: string; readonly bad: boolean } {
  if (workers.length === 0) return { text: "no worker is there", bad: true };
  const all = workers.length === 1 ? "1 worker" : `${count(workers.length)} workers`;
  const failed = workers.filter((worker) => stateOf(worker).status === "failed").length;
  if (failed > 0) return { text: `${all}, ${count(failed)} in trouble`, bad: true };
  const leaving = workers.filter((worker) => worker.draining).length;
  if (leaving > 0) return { text: `${all}, ${count(leaving)} draining`, bad: leaving === workers.length };
  return { text: `${all}, MAX_BOTS ${count(slots.limit)}`, bad: false };
}

/** Workers that have another agents.yaml than the service gives its sessions. */
export const lagging = ({ workers, catalog }: Overview): readonly WorkerAnswer[] =>
  workers.filter((worker) => worker.catalog !== null && worker.catalog !== undefined && worker.catalog !== catalog.digest);
