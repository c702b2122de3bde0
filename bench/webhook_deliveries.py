"""How many webhooks a second one replica delivers, and how late: prints JSON.

`python -m bench.webhook_deliveries [sessions] [turns]`: a valkey-server, a receiver and the
deliverer on this machine; a session's events are in order, sessions run beside each other.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.events_world import (
    KEY,
    LIVED,
    live,
    make_store,
    running_receiver,
    turn,
)
from tests.integration.session_servers import running_valkey

from assistant import log
from assistant.sessions.store.client import connect
from assistant.sessions.store.outbox import Outbox
from token_service.deliveries import CONCURRENCY, Deliverer
from token_service.endpoints import Endpoint

WAIT_S = 120.0


async def measure(sessions: int, turns: int) -> dict[str, float | int]:
    """Deliver every event of some sessions; then, one by one, how long an event takes."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_valkey(Path(folder)) as url, running_receiver() as receiver:
            redis = connect(url)
            store, outbox = make_store(redis), Outbox(redis)
            await outbox.open()
            for number in range(sessions):
                await live(store, f"s{number}", turns=turns)
            endpoint = Endpoint("bench", receiver.url(), (KEY,), ("*",))
            wanted = sessions * (len(LIVED) - 2 + turns)
            began = time.monotonic()
            deliverer = Deliverer(outbox, [endpoint], allow_internal=True)
            running = asyncio.create_task(deliverer.run(), name="deliverer")
            async with asyncio.timeout(WAIT_S):
                while len(receiver.posts) < wanted:  # noqa: ASYNC110 - a figure, not a wait
                    await asyncio.sleep(0.005)
            took_s = time.monotonic() - began
            delays = []
            for number in range(20):
                at = time.monotonic()
                count = len(receiver.posts)
                await turn(store, "s0", turns + number)
                while len(receiver.posts) == count:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.001)
                delays.append(time.monotonic() - at)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await redis.aclose()
    delays.sort()
    return {
        "deliveries": wanted,
        "concurrency": CONCURRENCY,
        "per_second": round(wanted / took_s, 1),
        "alone_p50_s": round(delays[len(delays) // 2], 4),
        "alone_max_s": round(delays[-1], 4),
    }


if __name__ == "__main__":
    log.configure(level="warning", style="text")
    sizes = [int(text) for text in sys.argv[1:3]] + [100, 13][len(sys.argv[1:3]) :]
    print(json.dumps(asyncio.run(measure(*sizes))))
