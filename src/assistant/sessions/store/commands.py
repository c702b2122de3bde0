"""Commands on their way to a session's job, and what they have made of its conversation.

`session:{id}:control` has two fields: `direction`, and `seen`, the latest commands' ids with what
became of them, so that one that is given twice is carried out once.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, cast

from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.command import Command, Interrupt, Order, Outcome, read
from assistant.sessions.direction import Direction
from assistant.sessions.errors import SessionNotFoundError, SessionOverError
from assistant.sessions.store import codec, keys
from assistant.sessions.store.client import entries_of, script, translated
from assistant.sessions.store.saves import EVENTS_IN_ALL, EVENTS_IN_OUTBOX, EVENTS_PER_SESSION

# With an agent in the room a command waits for milliseconds; what a backend may prepare before.
MAX_WAITING = 50
REMEMBERED = 100
BLOCK_S = 5.0  # One empty answer in so long costs nothing.
_KEPT = (EVENTS_PER_SESSION, EVENTS_IN_ALL, EVENTS_IN_OUTBOX)


class Given(StrEnum):
    """How a command was taken."""

    #: A job reads it now.
    THERE = "there"
    #: No agent is in the room; the one that comes reads it.
    WAITS = "waits"
    #: It takes an agent, and none is in the room.
    ABSENT = "absent"
    #: MAX_WAITING others wait.
    FULL = "full"


class CommandStore:
    """Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        tell = script("tell.lua")
        self._push = redis.register_script(tell + script("command_push.lua"))
        self._settle = redis.register_script(tell + script("command_settle.lua"))

    async def push(
        self, session_id: str, command_id: str, command: Command, *, by: str
    ) -> Given | Outcome:
        """Give the session a command, durably; `by` names who gave it.

        Returns what became of it already if the same command was given before.

        Raises:
            SessionNotFoundError: there is no such session.
            SessionOverError: it has ended, or is about to.
        """
        told = codec.encode_event(
            ev.ControlRequested(at=self._clock(), id=command_id, kind=command.kind, by=by)
        )
        with translated():
            outcome = await self._push(
                keys=_keys(session_id),
                args=[
                    session_id,
                    command_id,
                    command.model_dump_json(),
                    int(isinstance(command, Interrupt)),
                    MAX_WAITING,
                    REMEMBERED,
                    told["name"],
                    told["data"],
                    *_KEPT,
                ],
            )
        if outcome == "missing":
            raise SessionNotFoundError(session_id)
        if outcome == "over":
            raise SessionOverError(session_id)
        return Given(outcome) if outcome in set(Given) else Outcome(outcome)

    async def waiting(self, session_id: str) -> list[Order]:
        """The commands that nothing has become of yet, oldest first."""
        with translated():
            found = await self._redis.xrange(keys.session_commands(session_id))
        return _orders(cast("list[tuple[str, dict[str, str]]]", found))

    async def direction(self, session_id: str) -> Direction:
        """What the commands have made of the conversation so far."""
        with translated():
            stored = cast(
                "str | None", await self._redis.hget(keys.session_control(session_id), "direction")
            )
        return Direction() if stored is None else Direction.model_validate_json(stored)

    async def settle(
        self, session_id: str, attempt: int, order: Order, outcome: Outcome, direction: Direction
    ) -> None:
        """Write down what became of a command, if the attempt is the current one, and tell it."""
        told = codec.encode_event(
            ev.ControlSettled(
                at=self._clock(),
                id=order.id,
                kind=order.command.kind,
                outcome=outcome,
                attempt=attempt,
            )
        )
        with translated():
            await self._settle(
                keys=_keys(session_id),
                args=[
                    session_id,
                    attempt,
                    order.entry,
                    order.id,
                    outcome,
                    direction.model_dump_json(),
                    told["name"],
                    told["data"],
                    *_KEPT,
                ],
            )


class CommandReader:
    """Hears of a session's commands as they come; its connection is its own, since it blocks."""

    def __init__(self, redis: Redis, session_id: str) -> None:
        """`redis`: one that waits for answers for longer than BLOCK_S."""
        self._redis = redis
        self._key = keys.session_commands(session_id)

    async def next(self, after: str) -> list[Order]:
        """What comes after the entry `after`, at once; empty if nothing does within BLOCK_S.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        with translated():
            answer: Any = await self._redis.xread({self._key: after}, block=int(BLOCK_S * 1000))
        return _orders(entries_of(answer))

    async def close(self) -> None:
        await self._redis.aclose()


def _keys(session_id: str) -> list[str]:
    return [
        keys.session(session_id),
        keys.session_commands(session_id),
        keys.session_control(session_id),
        keys.session_events(session_id),
        keys.EVENTS,
        keys.OUTBOX,
    ]


def _orders(entries: list[tuple[str, dict[str, str]]]) -> list[Order]:
    return [
        Order(entry, row["id"], int(row["attempt"]), read(row["command"])) for entry, row in entries
    ]
