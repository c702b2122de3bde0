"""The worker's pool of a running system, looked at from outside."""

import asyncio

import httpx
from tests.acceptance.system import System
from tests.timing import scaled

from assistant.local_stack.ports import HOST

WARM_WITHIN_S = 20.0
LOOK_S = 0.1


async def pool_is_warm(system: System) -> None:
    """Waits until every idle job process is there: whoever came last has taken one."""
    address = f"http://{HOST}:{system.ports['worker']}"
    target = int(system.environ["PREWARM_POOL_SIZE"])
    async with (
        httpx.AsyncClient(base_url=address) as client,
        asyncio.timeout(scaled(WARM_WITHIN_S)),
    ):
        while True:
            if (await client.get("/worker")).json()["warm"] >= target:
                return
            await asyncio.sleep(LOOK_S)
