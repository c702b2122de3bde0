"""Who may have how many of a replica's event streams: no page can shut an operator out. Pure."""

from collections import Counter
from collections.abc import Callable

from token_service.auth import Caller
from token_service.errors import TooManyStreamsError

# Each is an open connection and two tasks; requests have their own places.
MAX_STREAMS = 500
# Of those, for web pages; the rest is kept for secret keys, whose streams the console needs.
MAX_PUBLIC_STREAMS = 400
# For the pages at one address: an office behind one router, and not everybody's places.
MAX_STREAMS_PER_ADDRESS = 64
# Tabs of one user; a page cannot take everybody's places with one session.
MAX_STREAMS_PER_SESSION = 8


class StreamPlaces:
    """The places of one replica."""

    def __init__(self) -> None:
        self._all = 0
        self._public = 0
        self._of_session: Counter[str] = Counter()
        self._of_address: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        return self._all

    def take(self, session_id: str | None, caller: Caller) -> Callable[[], None]:
        """A place, of a session (None: of all); the returned function gives it back, once.

        Raises:
            TooManyStreamsError: there is none for this caller now.
        """
        session = () if session_id is None else (session_id,)
        address = (caller.address,) if caller.is_public and caller.address is not None else ()
        if (
            self._all >= MAX_STREAMS
            or (caller.is_public and self._public >= MAX_PUBLIC_STREAMS)
            or any(self._of_address[each] >= MAX_STREAMS_PER_ADDRESS for each in address)
            or any(self._of_session[each] >= MAX_STREAMS_PER_SESSION for each in session)
        ):
            raise TooManyStreamsError
        self._count(1, caller, session, address)

        def give_back() -> None:
            self._count(-1, caller, session, address)

        return give_back

    def _count(
        self, step: int, caller: Caller, session: tuple[str, ...], address: tuple[str, ...]
    ) -> None:
        self._all += step
        self._public += step * caller.is_public
        for counter, names in ((self._of_session, session), (self._of_address, address)):
            for name in names:
                counter[name] += step
                if counter[name] <= 0:
                    del counter[name]
