"""The outbox, and the queues of deliveries that it feeds, in Redis.

Whoever changes a session appends its events to the outbox in the same atomic step, if the outbox
exists; `open` makes it. `fan_out` turns its entries into deliveries, one for each endpoint that
wants the event. Deliveries to one endpoint about one session form a queue, of which only the first
is attempted; so they arrive in order. Times are Unix seconds.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from assistant.sessions.store import keys
from assistant.sessions.store.client import script, translated
from assistant.sessions.store.delivery import (
    Attempt,
    Claim,
    DeliveryStatus,
    NewDelivery,
    decode_log,
    encode_log,
)

# Events are kept for endpoints this long while no replica of the service runs.
OUTBOX_KEEP_S = 86_400
# Longer than the attempts take, so that a dead letter can be replayed after a weekend.
DELIVERY_KEEP_S = 4 * 86_400
FAN_OUT_ENTRIES = 100  # One atomic step stays below some milliseconds.
MAX_WAITING_PER_SESSION = 1000
# At about 1 kB each, 20 MB an endpoint; beyond it deliveries are dead at once, to be replayed.
MAX_WAITING = 20_000
MAX_LISTED = 5000  # done, and dead, of one endpoint; older ones are dropped
# More than wait for a session, unless it has over 20 endpoints.
MAX_PER_SESSION = 20 * MAX_WAITING_PER_SESSION


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An event that is to become deliveries; `event_id` names it in `assistant:events`."""

    id: str
    session: str
    event_id: str
    name: str
    data: dict[str, Any]


class Outbox:
    """Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._fan = redis.register_script(script("outbox_fan.lua"))
        self._claim = redis.register_script(script("outbox_claim.lua"))
        self._settle = redis.register_script(script("outbox_settle.lua"))

    async def open(self) -> None:
        """Have events written to the outbox for OUTBOX_KEEP_S from now."""
        with translated():
            try:
                # The only command that makes an empty stream; the group is not used.
                await self._redis.xgroup_create(keys.OUTBOX, "readers", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
            await self._redis.expire(keys.OUTBOX, OUTBOX_KEEP_S)

    async def waiting(self) -> list[OutboxEntry]:
        """The oldest entries that are not deliveries yet."""
        with translated():
            rows = cast(
                "list[tuple[str, dict[str, str]]]",
                await self._redis.xrange(keys.OUTBOX, count=FAN_OUT_ENTRIES),
            )
        return [
            OutboxEntry(
                id=entry_id,
                session=row["session"],
                event_id=row["event"],
                name=row["name"],
                data=json.loads(row["data"]),
            )
            for entry_id, row in rows
        ]

    async def fan_out(
        self, entries: Iterable[tuple[str, Sequence[NewDelivery]]]
    ) -> tuple[int, int]:
        """Replace entries, given by id and in order, by deliveries, unless another replica did.

        Returns how many deliveries were made, and how many of them are dead for want of room.
        """
        wanted = [
            {"id": entry_id, "deliveries": [_encoded(delivery) for delivery in deliveries]}
            for entry_id, deliveries in entries
        ]
        with translated():
            made, dead = await self._fan(
                keys=[keys.OUTBOX],
                args=[
                    json.dumps(wanted),
                    self._clock(),
                    MAX_WAITING_PER_SESSION,
                    MAX_WAITING,
                    DELIVERY_KEEP_S,
                    MAX_LISTED,
                    keys.delivery(""),
                    MAX_PER_SESSION,
                    keys.ENDPOINTS,
                ],
            )
        return int(made), int(dead)

    async def claim(self, endpoint: str, limit: int, hold_s: float) -> list[Claim]:
        """Up to `limit` deliveries that are due, each handed to this caller alone for `hold_s`."""
        now = self._clock()
        with translated():
            rows: list[list[str]] = await self._claim(
                keys=[
                    keys.endpoint_due(endpoint),
                    keys.endpoint_deliveries(endpoint, DeliveryStatus.PENDING),
                ],
                args=[
                    now,
                    now + hold_s,
                    limit,
                    keys.endpoint_queue(endpoint, ""),
                    keys.delivery(""),
                ],
            )
        return [
            Claim(
                id=delivery_id,
                endpoint=endpoint,
                session=session,
                event=event,
                body=body,
                since=float(since),
                attempts=int(attempts),
                log=decode_log(log),
                until=now + hold_s,
            )
            for session, delivery_id, event, body, since, attempts, log in rows
        ]

    async def delivered(self, claim: Claim, attempt: Attempt) -> None:
        await self._settled(claim, attempt, DeliveryStatus.DELIVERED, 0.0)

    async def give_up(self, claim: Claim, attempt: Attempt) -> None:
        await self._settled(claim, attempt, DeliveryStatus.DEAD, 0.0)

    async def retry_at(self, claim: Claim, attempt: Attempt, at: float) -> None:
        await self._settled(claim, attempt, DeliveryStatus.PENDING, at)

    async def release(self, claim: Claim) -> None:
        """Hand a claim back without an attempt."""
        await self._settled(claim, None, DeliveryStatus.PENDING, self._clock())

    async def _settled(
        self, claim: Claim, attempt: Attempt | None, status: DeliveryStatus, next_at: float
    ) -> None:
        # Of no use while it waits; any place does.
        end = DeliveryStatus.DEAD if status is DeliveryStatus.PENDING else status
        with translated():
            await self._settle(
                keys=[
                    keys.delivery(claim.id),
                    keys.endpoint_due(claim.endpoint),
                    keys.endpoint_queue(claim.endpoint, claim.session),
                    keys.endpoint_deliveries(claim.endpoint, DeliveryStatus.PENDING),
                    keys.endpoint_deliveries(claim.endpoint, end),
                    keys.DELIVERIES,
                ],
                args=[
                    claim.id,
                    claim.session,
                    claim.until,
                    status,
                    next_at,
                    claim.attempts + (attempt is not None),
                    encode_log(claim.log, attempt),
                    self._clock(),
                    DELIVERY_KEEP_S,
                    MAX_LISTED,
                    keys.delivery(""),
                ],
            )


def _encoded(delivery: NewDelivery) -> dict[str, Any]:
    endpoint, session = delivery.endpoint, delivery.session
    return {
        "id": delivery.id,
        "endpoint": endpoint,
        "session": session,
        "event": delivery.event,
        "body": delivery.body,
        "score": str(delivery.score),
        "keys": {
            "record": keys.delivery(delivery.id),
            "queue": keys.endpoint_queue(endpoint, session),
            "due": keys.endpoint_due(endpoint),
            "pending": keys.endpoint_deliveries(endpoint, DeliveryStatus.PENDING),
            "dead": keys.endpoint_deliveries(endpoint, DeliveryStatus.DEAD),
            "session": keys.session_deliveries(session),
        },
    }
