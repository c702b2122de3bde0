"""Places for event streams: what each kind of caller may take, and that it comes back."""

import contextlib
from collections.abc import Callable

import pytest

from token_service.auth import Caller, Kind
from token_service.errors import TooManyStreamsError
from token_service.stream_places import (
    MAX_PUBLIC_STREAMS,
    MAX_STREAMS,
    MAX_STREAMS_PER_ADDRESS,
    MAX_STREAMS_PER_SESSION,
    StreamPlaces,
)

OPERATOR = Caller(Kind.SECRET, "backend", "10.0.0.1")


def page(address: str | None) -> Caller:
    return Caller(Kind.PUBLISHABLE, "page", address)


def fill(places: StreamPlaces, caller: Caller, *, session: str | None = None) -> int:
    """How many this caller gets of one session after the other, or of the one named."""
    taken = 0
    with contextlib.suppress(TooManyStreamsError):
        while taken <= MAX_STREAMS:
            places.take(session or f"{caller.address}-{taken}", caller)
            taken += 1
    return taken


def test_pages_leave_places_for_operators() -> None:
    """However many pages there are, at however many addresses, a secret key gets in."""
    places = StreamPlaces()
    taken = sum(fill(places, page(f"192.0.2.{n}")) for n in range(100))
    assert taken == MAX_PUBLIC_STREAMS < MAX_STREAMS
    assert fill(places, OPERATOR) == MAX_STREAMS - MAX_PUBLIC_STREAMS


def test_one_address_leaves_places_for_other_pages() -> None:
    """Also when each of its streams is of another session; backends are not bounded so."""
    places = StreamPlaces()
    assert fill(places, page("192.0.2.1")) == MAX_STREAMS_PER_ADDRESS
    places.take("another", page("192.0.2.2"))
    assert fill(places, page(None)) > MAX_STREAMS_PER_ADDRESS
    assert fill(StreamPlaces(), OPERATOR) == MAX_STREAMS


def test_one_session_has_few() -> None:
    """Whoever asks; streams of all sessions are not counted as one session's."""
    places = StreamPlaces()
    assert fill(places, OPERATOR, session="a") == MAX_STREAMS_PER_SESSION
    for _ in range(MAX_STREAMS_PER_SESSION + 1):
        places.take(None, OPERATOR)


@pytest.mark.parametrize("caller", [OPERATOR, page("192.0.2.1")])
def test_what_is_given_back_is_free(caller: Caller) -> None:
    """Every bound counts what is open, not what was."""
    places = StreamPlaces()
    for _ in range(2 * MAX_STREAMS):
        held: list[Callable[[], None]] = []
        held += [places.take("a", caller) for _ in range(MAX_STREAMS_PER_SESSION)]
        with pytest.raises(TooManyStreamsError):
            places.take("a", caller)
        for give_back in held:
            give_back()
    assert places.taken == 0
