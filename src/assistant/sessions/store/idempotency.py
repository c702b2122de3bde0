"""First answers to requests that bear an idempotency key, so that a repetition gets them again."""

from dataclasses import dataclass

from redis.asyncio import Redis

from assistant.sessions.store import keys
from assistant.sessions.store.client import script, translated

KEEP_S = 86_400
# Longer than any request takes (LiveKit 3.5 s, Redis a few times 2 s); the key of a replica that
# died in between is free again after it.
IN_FLIGHT_S = 15


@dataclass(frozen=True, slots=True)
class Begun:
    """Nobody has made this request yet: the caller makes it, and then must `end` it."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """It was made before; `answer` is what `end` was given."""

    answer: str


@dataclass(frozen=True, slots=True)
class InFlight:
    """It is being made right now; in `wait_s` seconds at most that is over."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used for another request."""


class IdempotencyStore:
    """`name` is a hash of whatever tells requests apart. Methods raise StoreUnavailableError."""

    def __init__(self, redis: Redis) -> None:
        self._begin = redis.register_script(script("idempotency_begin.lua"))
        self._end = redis.register_script(script("idempotency_end.lua"))

    async def begin(
        self, name: str, *, digest: str, owner: str
    ) -> Begun | Repeated | InFlight | Mismatch:
        """Begin a request, of whose content `digest` is a hash; `owner` names this try."""
        with translated():
            outcome, *rest = await self._begin(
                keys=[keys.idempotency(name)], args=[digest, owner, IN_FLIGHT_S, KEEP_S]
            )
        match outcome:
            case "replay":
                return Repeated(rest[0])
            case "in_flight":
                return InFlight(float(rest[0]))
            case "mismatch":
                return Mismatch()
            case _:
                return Begun()

    async def end(self, name: str, *, owner: str, answer: str | None, answer_s: float) -> None:
        """Keep the answer for `answer_s`; None: forget the request, so that it may be made anew.

        Until KEEP_S the key stands for this request, and for no other.
        """
        with translated():
            await self._end(keys=[keys.idempotency(name)], args=[owner, answer or "", answer_s])
