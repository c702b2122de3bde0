"""What a simulated deployment is: its figures, its size, and what happens to it."""

from dataclasses import dataclass
from typing import Literal

# `jobs`: 0.7 x jobs / max, exact slots. `jobs-full`: the same, and a worker without a slot says so.
# `jobs-at-once`, ours: the same, said at once. `cpu`: the SDK's own, CPU of the last 2.5 s, with no
# slots and a threshold of 0.7.
LoadReport = Literal["jobs", "jobs-full", "jobs-at-once", "cpu"]

# Which agent the request that makes a room names: none, so that LiveKit looks for an unnamed one;
# one that there is not, which is ours; or the room's own, which needs no other dispatch.
Naming = Literal["no agent", "none there is", "its agent"]

# Which of the jobs that stand by a start takes: the one that has waited longest, which is ours; the
# one that spoke last; or one of the worker with most free slots, as if that were known.
Taking = Literal["longest there", "spoke last", "most free"]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What things take; seconds of time, or core-seconds of CPU where the name says so.

    `record_s`: from the request to LiveKit's being asked. `start_cpu_s`: a start, from the job's
    acceptance to the agent in the room; `start_wait_s`: what of it is waiting, not computing.
    `side_cpu_s`: what else computes for a start on the same host, beside it: caller, LiveKit and
    service, where all run on one machine. `refill_cpu_s`, `refill_wait_s`: of a job process.
    `talk_cores`: a conversation. `restart_s`: of a worker, until its pool is warm.
    """

    record_s: float
    start_cpu_s: float
    start_wait_s: float
    side_cpu_s: float = 0.0
    refill_cpu_s: float
    refill_wait_s: float
    talk_cores: float
    restart_s: float


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """`cores` of each worker's host; `other_cores` are taken by whatever else runs on it.

    `pool`: idle processes of a worker, of which `standby` have a job that stands by, and one at
    least has none. `naming`: what the request that makes a room names.
    """

    workers: int
    max_jobs: int
    pool: int
    cores: int
    livekit_nodes: int = 1
    replicas: int = 2
    max_bots: int = 100_000
    load_report: LoadReport = "jobs-at-once"
    naming: Naming = "none there is"
    standby: int = 0
    taking: Taking = "longest there"
    redispatches: bool = True
    #: None: no watchdog; a frozen worker stays.
    watchdog_s: float | None = 5.0
    other_cores: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Course:
    """What comes: `starts_per_s` for `lasts_s`, conversations of `talk_s` on average.

    `sessions` are there already at the beginning. `burst`: so many starts within `burst_within_s`,
    from `event_at_s`; `frozen`: so many workers freeze then; `restart_at_once`: all workers are
    drained and restarted, so many at a time, from then on; with `surge` the next ones begin first.
    Only starts after `warm_up_s` count.
    """

    starts_per_s: float
    lasts_s: float
    talk_s: float
    sessions: int = 0
    warm_up_s: float = 0.0
    event_at_s: float = 0.0
    burst: int = 0
    burst_within_s: float = 1.0
    frozen: int = 0
    restart_at_once: int = 0
    surge: bool = False
    seed: int = 1
