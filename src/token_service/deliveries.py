"""Webhooks out: every event to every endpoint that wants it, in order for each session.

Any number of replicas may run this. Each takes what is due; what a dead one had taken becomes due
again by itself. An endpoint has its own places, so that a slow or dead one delays nobody else, and
within it a session that fails waits alone.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.delivery import Attempt, Claim, NewDelivery, webhook_id
from assistant.sessions.store.outbox import FAN_OUT_ENTRIES, Outbox, OutboxEntry
from token_service.endpoints import Endpoint
from token_service.public_events import published
from token_service.sending import Answer, Sender

# Sessions of one endpoint at once, in one replica: kind to a small receiver, and at 20 ms an
# answer 400 deliveries a second.
CONCURRENCY = 8
OPEN_INTERVAL_S = 10.0  # The outbox stays open for hours; this finds one that was flushed.
RELEASE_TIMEOUT_S = 1.0  # A replica that stops does not wait longer to hand its claims back.
RETRY_BASE_S = 0.05
RETRY_MAX_S = 2.0

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a delivery is attempted again.

    After the n-th failure it waits a random part (full jitter) of `base_s` doubled n - 1 times,
    `cap_s` at most. The first failure `give_up_after_s` after its beginning is the last.
    """

    base_s: float = 2.0
    cap_s: float = 3600.0
    give_up_after_s: float = 86_400.0
    #: For the connection and the answer together.
    attempt_timeout_s: float = 10.0
    #: A replica that died gives its claims back after this long.
    claim_s: float = 20.0
    #: How often a replica asks what has become due.
    poll_s: float = 0.25

    def delay_s(self, failures: int, luck: float) -> float:
        """The wait after the n-th failure, n from 1; `luck` from 0 to 1."""
        return luck * min(self.base_s * 2.0 ** min(failures - 1, 60), self.cap_s)


class Deliverer:
    """`run` turns the outbox into deliveries, and delivers."""

    def __init__(
        self,
        outbox: Outbox,
        endpoints: Sequence[Endpoint],
        *,
        allow_internal: bool,
        schedule: Schedule | None = None,
        clock: Callable[[], float] = time.time,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._allow_internal = allow_internal
        self._schedule = schedule or Schedule()
        self._clock = clock
        self._luck = luck
        self._news = {name: asyncio.Event() for name in self._endpoints}

    async def run(self) -> None:
        """Deliver until cancelled; returns at once where there are no endpoints."""
        if not self._endpoints:
            return
        sender = Sender(
            allow_internal=self._allow_internal,
            timeout_s=self._schedule.attempt_timeout_s,
            clock=self._clock,
        )
        async with sender, asyncio.TaskGroup() as group:
            group.create_task(self._fan_out(), name="webhooks fan out")
            for endpoint in self._endpoints.values():
                group.create_task(self._serve(endpoint, sender), name=f"webhooks {endpoint.name}")

    async def _fan_out(self) -> None:
        failures, opened_at = 0, -OPEN_INTERVAL_S
        while True:
            try:
                if time.monotonic() >= opened_at + OPEN_INTERVAL_S:
                    await self._outbox.open()
                    opened_at = time.monotonic()
                entries = await self._outbox.waiting()
                if entries:
                    await self._spread(entries)
                failures = 0
            except StoreUnavailableError as error:
                failures += 1
                _log.warning("outbox.unavailable", failures=failures, error=str(error))
                await asyncio.sleep(_pause_s(failures))
                continue
            if len(entries) < FAN_OUT_ENTRIES:
                await asyncio.sleep(self._schedule.poll_s)

    async def _spread(self, entries: Sequence[OutboxEntry]) -> None:
        spread = [(entry.id, self._deliveries_of(entry)) for entry in entries]
        _, dead = await self._outbox.fan_out(spread)
        if dead:
            _log.error("deliveries.no_room", n=dead)
        for name in {delivery.endpoint for _, made in spread for delivery in made}:
            self._news[name].set()

    def _deliveries_of(self, entry: OutboxEntry) -> list[NewDelivery]:
        event = published(entry.session, entry.name, entry.data)
        if event is None:
            return []
        body = json.dumps(event.posted(), separators=(",", ":"))
        return [
            NewDelivery(endpoint.name, entry.session, entry.event_id, event.name, body)
            for endpoint in self._endpoints.values()
            if endpoint.wants(event.name)
        ]

    async def _serve(self, endpoint: Endpoint, sender: Sender) -> None:
        news, running, failures = self._news[endpoint.name], set[asyncio.Task[None]](), 0
        async with asyncio.TaskGroup() as group:
            while True:
                news.clear()
                free, claims = CONCURRENCY - len(running), []
                try:
                    if free > 0:
                        hold_s = self._schedule.claim_s
                        claims = await self._outbox.claim(endpoint.name, free, hold_s)
                    failures = 0
                except StoreUnavailableError as error:
                    failures += 1
                    _log.warning("deliveries.unavailable", failures=failures, error=str(error))
                    await asyncio.sleep(_pause_s(failures))
                for claim in claims:
                    task = group.create_task(
                        self._attempt(endpoint, sender, claim), name=f"deliver {claim.id}"
                    )
                    running.add(task)
                    task.add_done_callback(running.discard)
                    # It made a place free, and its session's next may be due.
                    task.add_done_callback(lambda _task: news.set())
                if not claims:
                    await _wait(news, self._schedule.poll_s)

    async def _attempt(self, endpoint: Endpoint, sender: Sender, claim: Claim) -> None:
        began_at, began = self._clock(), time.monotonic()
        try:
            answer = await sender.post(endpoint, webhook_id(claim.id), claim.body.encode())
        except asyncio.CancelledError:
            await self._release(claim)
            raise
        except Exception:  # noqa: BLE001 - a fault of ours with one delivery must not stop the rest
            _log.exception("delivery.crashed", delivery=claim.id)
            answer = Answer(None, "fault")
        duration_s = round(time.monotonic() - began, 6)
        attempt = Attempt(began_at, duration_s, answer.status, answer.error)
        try:
            await self._settle(claim, attempt, answer)
        except StoreUnavailableError as error:
            # Its claim runs out, and it is sent again, with the same id.
            _log.warning("delivery.unsettled", delivery=claim.id, error=str(error))

    async def _settle(self, claim: Claim, attempt: Attempt, answer: Answer) -> None:
        if attempt.error is None:
            await self._outbox.delivered(claim, attempt)
            _log.debug("delivery.done", delivery=claim.id, duration_s=attempt.duration_s)
            return
        now, failures = self._clock(), claim.attempts + 1
        about = {"delivery": claim.id, "attempts": failures, "error": attempt.error}
        if now >= claim.since + self._schedule.give_up_after_s:
            await self._outbox.give_up(claim, attempt)
            _log.error("delivery.dead", **about)
            return
        delay_s = self._schedule.delay_s(failures, self._luck())
        await self._outbox.retry_at(claim, attempt, now + max(delay_s, answer.retry_after_s or 0.0))
        _log.warning("delivery.failed", **about)

    async def _release(self, claim: Claim) -> None:
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._outbox.release(claim)
        except (StoreUnavailableError, TimeoutError):
            _log.warning("delivery.kept", delivery=claim.id)


def _pause_s(failures: int) -> float:
    return min(RETRY_BASE_S * 2.0 ** min(failures, 8), RETRY_MAX_S)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
