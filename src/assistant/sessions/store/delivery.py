"""Deliveries as they stand: what each endpoint was sent, when, and what it answered. Pure."""

import json
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum

MAX_LOGGED = 20  # attempts told of one delivery; older ones are only counted
_PLACES_A_MS = 1000
DELIVERY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\.\d{1,17}-\d{1,17}")


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One event for one endpoint; `body` is what is sent, at every attempt the same."""

    endpoint: str
    session: str
    event_id: str
    event: str
    body: str

    @property
    def id(self) -> str:
        return f"{self.endpoint}.{self.event_id}"

    @property
    def score(self) -> int:
        """The place of the event in time; exact as a double, unless a ms has 1000 events."""
        ms, _, place = self.event_id.partition("-")
        return int(ms) * _PLACES_A_MS + min(int(place), _PLACES_A_MS - 1)


def score_at(at: float) -> float:
    """The score of an event of this moment (Unix seconds)."""
    return at * 1000 * _PLACES_A_MS


def time_of(score: float) -> float:
    """When an event of this score was (Unix seconds)."""
    return score / _PLACES_A_MS / 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """`status` is the answer's, None without one; `error` is None if it was taken."""

    at: float
    duration_s: float
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery whose turn it is, held until `until`; `since`: its attempts count from then."""

    id: str
    endpoint: str
    session: str
    event: str
    body: str = field(repr=False)
    since: float
    attempts: int
    log: tuple[Attempt, ...]
    until: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One delivery as it stands. `log` has its latest attempts, oldest first."""

    id: str
    endpoint: str
    session: str
    event: str
    status: DeliveryStatus
    attempts: int
    created_at: float
    #: None: it does not wait, or it is its first attempt's turn soon.
    next_at: float | None
    #: When it was taken, or given up; None: it waits.
    finished_at: float | None
    #: Why it is dead though nothing was attempted; None otherwise.
    error: str | None
    log: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor` asks for what comes after; None: that was all."""

    deliveries: list[Delivery]
    cursor: str | None


def webhook_id(delivery_id: str) -> str:
    """What receivers know it by: the event's id, the same at every attempt and endpoint."""
    return f"evt_{delivery_id.rpartition('.')[2]}"


def encode_log(log: tuple[Attempt, ...], attempt: Attempt | None) -> str:
    kept = log if attempt is None else (*log, attempt)[-MAX_LOGGED:]
    return json.dumps([asdict(entry) for entry in kept], separators=(",", ":"))


def decode_log(text: str) -> tuple[Attempt, ...]:
    return tuple(Attempt(**entry) for entry in json.loads(text))


def decode(delivery_id: str, stored: dict[str, str]) -> Delivery:
    """The delivery that is stored in these fields of its hash."""

    def time_of(name: str) -> float | None:
        return float(stored[name]) if name in stored else None

    return Delivery(
        id=delivery_id,
        endpoint=stored["endpoint"],
        session=stored["session"],
        event=stored["event"],
        status=DeliveryStatus(stored["status"]),
        attempts=int(stored["attempts"]),
        created_at=float(stored["createdAt"]),
        next_at=time_of("nextAt"),
        finished_at=time_of("finishedAt"),
        error=stored.get("error"),
        log=decode_log(stored["log"]),
    )
