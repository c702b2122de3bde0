/** The workers: what each of them does, and whether it may. */

import { type ReactNode, useState } from "react";
import type { Overview, WorkerAnswer } from "../api/types";
import { useNow } from "../live/hooks";
import { Empty, Pill } from "../parts/small";
import { lagging, stateOf } from "../state/fleet";
import { duration, moment } from "../state/format";
import { format, sessionRoute } from "../state/route";

/** Of the section; the overview begins with a link to it. */
export const FLEET = "fleet";

export function Fleet({ overview }: { readonly overview: Overview }): ReactNode {
  const now = useNow(10);
  const behind = lagging(overview);
  const versions = new Set(overview.workers.map((worker) => worker.version));
  return (
    <section className="fleet" id={FLEET} tabIndex={-1}>
      <h2>Workers</h2>
      {versions.size > 1 && <p className="note">They run {versions.size} versions: {[...versions].sort().join(", ")}.</p>}
      {behind.length > 0 && (
        <p className="note">
          {behind.length === 1 ? `${behind[0]!.host} has` : `${behind.length} of them have`} another agents.yaml than the
          service, which gives its sessions {overview.catalog.digest}: SIGHUP has a worker read it again.
        </p>
      )}
      {overview.workers.length === 0 ? (
        <Empty title="No worker is there">
          Start one with the service's REDIS_URL, LIVEKIT_URL and ASSISTANT_AGENT_NAME: python -m assistant start
        </Empty>
      ) : (
        <div className="scroll-x" tabIndex={0} role="region" aria-label="Workers">
          <table className="workers">
            <thead>
              <tr>
                <th scope="col">Worker</th>
                <th scope="col">State</th>
                <th scope="col">Jobs</th>
                <th scope="col" className="number">Warm</th>
                <th scope="col" className="number">Load</th>
                <th scope="col" className="number">Beat</th>
                <th scope="col">Version</th>
                <th scope="col" className="number">Since</th>
              </tr>
            </thead>
            <tbody>
              {overview.workers.map((worker) => (
                <WorkerRow key={worker.id} worker={worker} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function WorkerRow({ worker, now }: { readonly worker: WorkerAnswer; readonly now: number }): ReactNode {
  const [open, setOpen] = useState(false);
  const state = stateOf(worker);
  const sessions = worker.sessions ?? [];
  return (
    <>
      <tr>
        <th scope="row">
          <button
            type="button"
            className="disclose"
            aria-expanded={open}
            disabled={sessions.length === 0}
            onClick={() => setOpen(!open)}
          >
            {worker.host} <span className="faint number">pid {worker.pid}</span>
          </button>
        </th>
        <td>
          <Pill status={state.status} text={state.text} />
        </td>
        <td>
          <span className="gauge" aria-hidden="true">
            <i style={{ width: `${(worker.jobs / Math.max(worker.maxJobs, 1)) * 100}%` }} />
          </span>{" "}
          <span className="number">
            {worker.jobs} of {worker.maxJobs}
          </span>
        </td>
        <td className="number">{worker.warm}</td>
        <td className="number">{worker.load.toFixed(2)}</td>
        <td className="number">{duration(worker.beatAgeS)}</td>
        <td className="mono">{worker.version}</td>
        <td className="number">{moment(worker.startedAt, now)}</td>
      </tr>
      {open && (
        <tr>
          <td colSpan={8} className="worker-sessions">
            {sessions.map((each) => (
              <a key={each.sessionId} className="mono" href={format(sessionRoute(each.sessionId))}>
                {each.sessionId}
              </a>
            ))}
          </td>
        </tr>
      )}
    </>
  );
}
