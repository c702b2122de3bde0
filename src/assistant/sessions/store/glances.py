"""What a call about a session needs to know first: how often it was made, and whose session it is.

One trip to Redis, together with the other calls of the moment.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis

from assistant.sessions.errors import RecordError
from assistant.sessions.record import State
from assistant.sessions.store import keys
from assistant.sessions.store.client import script, translated
from assistant.sessions.store.together import Together

_FIELDS = ("userId", "status", "room", "sessionKeyHash", "taskId")


_STATES: dict[str, State] = {state.value: state for state in State}


class Glance(NamedTuple):
    """The part of a session's record that says whose it is and how it stands; see Session."""

    id: str
    user_id: str
    state: State
    room: str
    session_key_hash: str | None
    task_id: str | None


class Look(NamedTuple):
    """`calls` so far; `seen` None: no such session; `taken`: slots in use or waited for."""

    calls: int
    seen: Glance | None
    taken: int


class Glances:
    """Methods raise StoreUnavailableError when Redis does not answer within `within_s`."""

    def __init__(self, redis: Redis, *, counters_keep_s: int, within_s: float) -> None:
        self._script = redis.register_script(script("glance.lua"))
        self._args: list[str | int] = [counters_keep_s, *_FIELDS]
        self._together = Together(self._look, within_s=within_s)

    async def look(self, session_id: str, counter: str) -> Look:
        """Count one more call under the key `counter`, and look at the session.

        Raises:
            RecordError: what is stored is not readable.
        """
        taken, row = await self._together.call((counter, session_id))
        count, user_id, status, room, *rest = row
        if status is None:
            return Look(count, None, taken)
        if user_id is None or room is None or status not in _STATES:
            raise RecordError(session_id, f"userId {user_id!r}, status {status!r}, room {room!r}")
        return Look(count, Glance(session_id, user_id, _STATES[status], room, *rest), taken)

    async def _look(self, asked: Sequence[tuple[str, str]]) -> list[tuple[int, list[Any]]]:
        wanted = [key for counter, name in asked for key in (counter, keys.session(name))]
        with translated():
            taken, *rows = cast(
                "list[Any]",
                await self._script(keys=[*wanted, keys.SLOTS, keys.QUEUE], args=self._args),
            )
        return [(taken, row) for row in rows]
