"""How long a request waits for Redis before its caller is told that Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from assistant.sessions.errors import StoreUnavailableError

# One command gives up after 2.1 s; with Redis frozen under load it had to wait for a connection
# before. A caller is told within 2.5 s, whatever the load.
STORE_TIMEOUT_S = 2.3
# As many as there are connections. The others wait here, where giving up costs nothing.
MAX_AT_ONCE = 32

_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def store_in_time() -> AsyncIterator[None]:
    """Bound what talks to Redis alone; a write that was cut off may have been made.

    Raises:
        StoreUnavailableError: it took longer than STORE_TIMEOUT_S.
    """
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S), _here():
            yield
    except TimeoutError:
        raise StoreUnavailableError(f"no answer within {STORE_TIMEOUT_S:g} s") from None


def _here() -> asyncio.Semaphore:
    return _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_AT_ONCE))
