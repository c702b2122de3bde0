"""Deliveries looked up, and delivered once more."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from assistant.sessions.store import keys
from assistant.sessions.store.client import script, translated
from assistant.sessions.store.delivery import (
    Delivery,
    DeliveryStatus,
    Page,
    decode,
    score_at,
    time_of,
)
from assistant.sessions.store.outbox import DELIVERY_KEEP_S

# Deliveries of one event stand at the same place: one for each endpoint.
MAX_AT_ONE_PLACE = 32
CURSOR = re.compile(r"\d{1,17}:[A-Za-z0-9_-]{1,64}\.\d{1,17}-\d{1,17}")


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint does: deliveries of lately that were given up, those that wait, and for how
    long the oldest has waited; None: none waits.
    """

    dead: int
    pending: int
    waited_s: float | None


class DeliveryLog:
    """Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._replay = redis.register_script(script("outbox_replay.lua"))

    async def get(self, delivery_id: str) -> Delivery | None:
        """The delivery; None: there is none, or it is not kept any more."""
        with translated():
            found = cast("dict[str, str]", await self._redis.hgetall(keys.delivery(delivery_id)))
        return decode(delivery_id, found) if found else None

    async def replay(self, delivery: Delivery) -> bool:
        """Deliver once more, with the same body and id; False: it is not kept any more.

        It goes behind whatever waits in its session. One that waits for its next attempt is
        attempted now.
        """
        endpoint = delivery.endpoint
        with translated():
            found = await self._replay(
                keys=[
                    keys.delivery(delivery.id),
                    keys.endpoint_due(endpoint),
                    keys.endpoint_queue(endpoint, delivery.session),
                    keys.endpoint_deliveries(endpoint, DeliveryStatus.PENDING),
                    keys.endpoint_deliveries(endpoint, DeliveryStatus.DEAD),
                    keys.endpoint_deliveries(endpoint, DeliveryStatus.DELIVERED),
                ],
                args=[delivery.id, delivery.session, self._clock(), DELIVERY_KEEP_S],
            )
        return bool(found)

    async def standing(self, endpoint: str, *, since_s: float) -> Standing:
        """How the endpoint does; of dead deliveries, those of events of the last `since_s`."""
        now = self._clock()
        dead = keys.endpoint_deliveries(endpoint, DeliveryStatus.DEAD)
        pending = keys.endpoint_deliveries(endpoint, DeliveryStatus.PENDING)
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zcount(dead, score_at(now - since_s), "+inf")
                pipe.zcard(pending)
                pipe.zrange(pending, 0, 0, withscores=True)
                given_up, waiting, oldest = await pipe.execute()
        waited_s = max(now - time_of(oldest[0][1]), 0.0) if oldest else None
        return Standing(given_up, waiting, waited_s)

    async def find(
        self,
        endpoints: Sequence[str],
        *,
        status: DeliveryStatus | None,
        session_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        """Deliveries to these endpoints, newest event first; those of one session, to any.

        `status` None: all. `cursor`: of the page before, matching CURSOR; None: the first page.
        A page may be short and still have a next one.
        """
        if session_id is not None:
            indexes = [keys.session_deliveries(session_id)]
        else:
            statuses = list(DeliveryStatus) if status is None else [status]
            indexes = [keys.endpoint_deliveries(e, s) for e in endpoints for s in statuses]
        ids, after = await self._ids(indexes, cursor, limit)
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for delivery_id in ids:
                    pipe.hgetall(keys.delivery(delivery_id))
                rows: list[dict[str, str]] = await pipe.execute()
        found = [decode(one, row) for one, row in zip(ids, rows, strict=True) if row]
        kept = [
            delivery
            for delivery in found
            if delivery.endpoint in endpoints and status in {None, delivery.status}
        ]
        return Page(kept, after)

    async def _ids(
        self, indexes: Sequence[str], cursor: str | None, limit: int
    ) -> tuple[list[str], str | None]:
        """The next ids, newest first, and the cursor for those after them."""
        place, _, last = (cursor or "").partition(":")
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for index in indexes:
                    pipe.zrange(
                        index,
                        place or "+inf",
                        "-inf",
                        desc=True,
                        byscore=True,
                        offset=0,
                        num=limit + MAX_AT_ONE_PLACE + 1,
                        withscores=True,
                    )
                rows: list[list[tuple[str, float]]] = await pipe.execute()
        ordered = sorted({(int(score), one) for row in rows for one, score in row}, reverse=True)
        if place:
            ordered = [pair for pair in ordered if pair < (int(place), last)]
        chosen = ordered[:limit]
        after = f"{chosen[-1][0]}:{chosen[-1][1]}" if len(ordered) > limit else None
        return [one for _, one in chosen], after
