"""Jobs that stand by: who asks LiveKit for them, and which of them a start takes.

Sources: src/assistant/worker/process/standbys.py, src/assistant/sessions/store/standby_settle.lua,
src/token_service/standby_keeper.py. Their constants are imported.
"""

import random
from collections.abc import Iterator, Sequence
from math import floor

from bench.scale.livekit import LiveKit
from bench.scale.loop import Loop, Process
from bench.scale.model import Taking
from bench.scale.worker import Worker

from assistant.sessions.store.standby import ASK_S, FRESH_S, RENEW_S, WORD_S
from assistant.sessions.store.workers import BEAT_TTL_S
from token_service.standby_keeper import LOOK_S, MOST_AT_ONCE

# LiveKit's answer to a request for a room; one is waited for before the next is made.
ANSWER_S = 0.003


def take(workers: Sequence[Worker], taking: Taking, now: float) -> Worker | None:
    """The worker whose job that stood by a start gets, with one fewer then; None: none waits.

    A job that has not said for `WORD_S` that it waits gets none, and after `FRESH_S` only if there
    is no other; one of a frozen worker may get one before that.
    """
    found = max(_waiting(workers, taking, now), key=lambda one: one[0], default=None)
    if found is None:
        return None
    _, worker, since = found
    worker.standbys.taken(since)
    return worker


def _waiting(
    workers: Sequence[Worker], taking: Taking, now: float
) -> Iterator[tuple[tuple[bool, float], Worker, float]]:
    """Each that waits: what it is preferred by, its worker, and since when it waits."""
    for worker in workers:
        until = now if worker.frozen_at is None else worker.frozen_at
        for since in worker.standbys.since:
            heard_at = since + floor((until - since) / RENEW_S) * RENEW_S
            if since > until or heard_at + WORD_S <= now:
                continue
            is_fresh = heard_at + FRESH_S > now
            if taking == "longest there":
                yield (is_fresh, -since), worker, since
            elif taking == "spoke last":
                yield (is_fresh, heard_at), worker, since
            else:
                yield (is_fresh, worker.fleet.max_jobs - worker.held), worker, since


class Keeper:
    """The replicas' half: they look at the beats, and one at a time asks LiveKit."""

    def __init__(
        self, loop: Loop, livekit: LiveKit, workers: Sequence[Worker], rng: random.Random
    ) -> None:
        self.loop = loop
        self.livekit = livekit
        self.workers = workers
        self.rng = rng
        self._asked_until = 0.0

    def run(self) -> Process:
        """One replica."""
        yield self.rng.uniform(0, LOOK_S)
        while True:
            for _ in range(self._missing()):
                self.loop.spawn(self.livekit.stand_by(self.livekit.choose_node()))
                yield ANSWER_S
            yield LOOK_S

    def _missing(self) -> int:
        """How many this replica is to ask for now."""
        now = self.loop.now
        wanted = sum(
            worker.standbys.wanted_told
            for worker in self.workers
            if not worker.draining and worker.standbys.beat_at + BEAT_TTL_S > now
        )
        if not wanted or now < self._asked_until:
            return 0
        self._asked_until = now + ASK_S
        return min(wanted, MOST_AT_ONCE)
