"""What stays of a conversation: its items, what it used, and what its job adds to the report.

`session:{id}:report` has these fields: `usage:{attempt}` (Spent as JSON) and `counted:{attempt}`
(what the totals hold of it), `sdk:{attempt}` (the SDK's own report), `recording:{attempt}`,
`logs:{attempt}` (the last lines of its job), `unfinished:{attempt}` (what it is in the middle of,
see keep.lua), `analysis` (what a language model made of it), `done` and `ready` (the job's last
word came; the report was announced), and of the items `dropped`, `bytes` and `last_item`.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.item import Item
from assistant.sessions.store import codec, keys
from assistant.sessions.store.client import script, translated
from assistant.sessions.store.saves import (
    EVENTS_IN_ALL,
    EVENTS_IN_OUTBOX,
    EVENTS_PER_SESSION,
    MINUTE_KEEP_S,
)
from assistant.sessions.tally import USAGE
from assistant.sessions.usage import Spent

# Two hours of lively talk take about 300 kB; of a longer conversation the end is kept.
ITEMS_PER_SESSION = 1000
ITEM_BYTES_PER_SESSION = 512 * 1024
# Of each text in an event, which is stored three times; the transcript has more.
EVENT_TEXT_CHARS = 2000
SETTLED_AT_ONCE = 100
_KEPT = (EVENTS_PER_SESSION, EVENTS_IN_ALL, EVENTS_IN_OUTBOX)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Items from `first` on, counted from 0 at the conversation's beginning.

    `dropped`: how many of the oldest are not kept any more. `next`: where the next page begins;
    None: there is nothing more.
    """

    items: list[Item]
    first: int
    dropped: int
    next: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What a session's jobs left for its report, by attempt; `analysis`: None, there is none."""

    usage: Mapping[int, Spent] = field(default_factory=dict)
    sdk: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    recordings: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    logs: Mapping[int, list[dict[str, Any]]] = field(default_factory=dict)
    analysis: dict[str, Any] | None = None
    ready: bool = False


class Archive:
    """Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        tell = script("tell.lua")
        keep = script("keep.lua")
        self._keep = redis.register_script(tell + keep + script("item.lua"))
        self._begin = redis.register_script(tell + keep + script("begin.lua"))
        self._recover = redis.register_script(tell + keep + script("recover.lua"))
        self._spend = redis.register_script(script("count.lua") + script("spend.lua"))
        self._finish = redis.register_script(tell + script("finish.lua"))
        self._settle = redis.register_script(tell + script("settle.lua"))

    async def keep(
        self, session_id: str, attempt: int, item: Item, unfinished: Sequence[Item] = ()
    ) -> None:
        """Keep something that was said or done, if the attempt is the current one, and tell it.

        `unfinished`: what it is in the middle of now, as in `begin`.
        """
        name, data = _event(attempt, item)
        with translated():
            await self._keep(
                keys=_item_keys(session_id),
                args=[
                    session_id,
                    attempt,
                    item.id,
                    _as_json(item),
                    ITEMS_PER_SESSION,
                    ITEM_BYTES_PER_SESSION,
                    name,
                    data,
                    *_KEPT,
                    _unfinished(attempt, unfinished),
                ],
            )

    async def begin(self, session_id: str, attempt: int, unfinished: Sequence[Item]) -> None:
        """Write down what the attempt is in the middle of, in place of what it was before.

        The items as they are to be on record if nothing more comes of it.
        """
        with translated():
            await self._begin(
                keys=[keys.session(session_id), keys.session_report(session_id)],
                args=[attempt, _unfinished(attempt, unfinished)],
            )

    async def recover(self, session_id: str, last: int) -> None:
        """Keep what attempts up to `last` were in the middle of; they are over."""
        with translated():
            await self._recover(
                keys=_item_keys(session_id),
                args=[session_id, last, ITEMS_PER_SESSION, ITEM_BYTES_PER_SESSION, *_KEPT],
            )

    async def items(self, session_id: str) -> list[Item]:
        """Everything that is kept of the conversation, oldest first."""
        with translated():
            stored = await self._range(session_id, 0, -1)
        return _items(stored)

    async def page(self, session_id: str, *, first: int, limit: int) -> Page:
        """Up to `limit` items from `first` on, counted from 0 at the conversation's beginning."""
        key = keys.session_report(session_id)
        with translated():
            dropped = int(cast("str | None", await self._redis.hget(key, "dropped")) or 0)
            first = max(first, dropped)
            stored = await self._range(session_id, first - dropped, first - dropped + limit)
        more = len(stored) > limit
        return Page(
            items=_items(stored[:limit]),
            first=first,
            dropped=dropped,
            next=first + limit if more else None,
        )

    async def spend(self, session_id: str, attempt: int, spent: Spent) -> None:
        """Write down what the attempt's agent has used so far, in place of what it said before."""
        with translated():
            await self._spend(
                keys=[
                    keys.session(session_id),
                    keys.session_report(session_id),
                    keys.TOTALS,
                    keys.minute(self._clock()),
                ],
                args=[
                    attempt,
                    spent.model_dump_json(),
                    json.dumps(spent.flat()),
                    USAGE,
                    MINUTE_KEEP_S,
                ],
            )

    async def finish(
        self, session_id: str, attempt: int, parts: Mapping[str, Any], *, last: bool
    ) -> bool:
        """Keep parts of the report; `last`: nothing more comes of this attempt.

        `parts` by field, as the module describes them. False: the session was erased.
        """
        fields = {name: json.dumps(value) for name, value in parts.items()}
        with translated():
            found = await self._finish(
                keys=[
                    keys.session(session_id),
                    keys.session_report(session_id),
                    keys.session_events(session_id),
                    keys.EVENTS,
                    keys.OUTBOX,
                    keys.REPORTS,
                ],
                args=[
                    session_id,
                    attempt,
                    json.dumps(fields),
                    int(last),
                    *self._ready(),
                    *_KEPT,
                ],
            )
        return bool(found)

    async def settle(self) -> list[str]:
        """Tell of every report that is due now; the sessions' ids."""
        with translated():
            ids: list[str] = await self._settle(
                keys=[keys.REPORTS, keys.EVENTS, keys.OUTBOX],
                args=[
                    self._clock(),
                    SETTLED_AT_ONCE,
                    keys.session(""),
                    *self._ready(),
                    *_KEPT,
                ],
            )
        return ids

    async def forget_events(self, older_than_s: float) -> int:
        """Drop what all sessions' events still tell of so long ago; how many there were.

        Their number alone does not bound their age, where few sessions come.
        """
        first_ms = int((self._clock() - older_than_s) * 1000)
        with translated():
            dropped = await self._redis.xtrim(
                keys.EVENTS, minid=max(first_ms, 0), approximate=False
            )
        return int(dropped)

    async def kept(self, session_id: str) -> Kept:
        """What the session's jobs left for its report."""
        with translated():
            stored = cast(
                "dict[str, str]", await self._redis.hgetall(keys.session_report(session_id))
            )
        analysis = stored.get("analysis")
        return Kept(
            usage={n: Spent.model_validate_json(text) for n, text in _by_attempt(stored, "usage")},
            sdk={n: json.loads(text) for n, text in _by_attempt(stored, "sdk")},
            recordings={n: json.loads(text) for n, text in _by_attempt(stored, "recording")},
            logs={n: json.loads(text) for n, text in _by_attempt(stored, "logs")},
            analysis=None if analysis is None else json.loads(analysis),
            ready="ready" in stored,
        )

    def _ready(self) -> tuple[str, str, str]:
        """The event's name, its data if a language model judged, and if none did."""
        now = self._clock()
        judged = codec.encode_event(ev.ReportReady(at=now, judged=True))
        plain = codec.encode_event(ev.ReportReady(at=now, judged=False))
        return judged["name"], judged["data"], plain["data"]

    async def _range(self, session_id: str, first: int, last: int) -> list[str]:
        key = keys.session_items(session_id)
        return cast("list[str]", await self._redis.lrange(key, first, last))


def _item_keys(session_id: str) -> list[str]:
    return [
        keys.session(session_id),
        keys.session_items(session_id),
        keys.session_report(session_id),
        keys.session_events(session_id),
        keys.EVENTS,
        keys.OUTBOX,
    ]


def _as_json(item: Item) -> str:
    return item.model_dump_json(exclude_none=True)


def _event(attempt: int, item: Item) -> tuple[str, str]:
    told = codec.encode_event(_told(attempt, item))
    return told["name"], told["data"]


def _unfinished(attempt: int, items: Sequence[Item]) -> str:
    """As keep.lua takes them up; "" for none."""
    said = [(item.id, _as_json(item), *_event(attempt, item)) for item in items]
    return json.dumps(said) if said else ""


def _items(stored: Iterable[str]) -> list[Item]:
    return [Item.model_validate_json(text) for text in stored]


def _by_attempt(stored: Mapping[str, str], part: str) -> list[tuple[int, str]]:
    found = [
        (int(name.partition(":")[2]), text)
        for name, text in stored.items()
        if name.startswith(f"{part}:")
    ]
    return sorted(found)


def _told(attempt: int, item: Item) -> ev.ItemSaid:
    tool = item.tool
    texts = (item.text, tool.arguments, tool.output) if tool else (item.text,)
    return ev.ItemSaid(
        at=item.at,
        attempt=attempt,
        id=item.id,
        role=item.role,
        text=item.text[:EVENT_TEXT_CHARS],
        interrupted=item.interrupted,
        started_at=item.started_at,
        ended_at=item.ended_at,
        tool=tool.name if tool else None,
        arguments=tool.arguments[:EVENT_TEXT_CHARS] if tool else None,
        output=tool.output[:EVENT_TEXT_CHARS] if tool else None,
        is_error=tool.is_error if tool else None,
        cut=any(len(text) > EVENT_TEXT_CHARS for text in texts),
    )
