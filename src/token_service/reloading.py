"""A changed agents.yaml, taken by the running service."""

import asyncio

from assistant.catalog import CatalogInForce, read_again
from assistant.hangup import Hangup


async def keep_current(catalogs: CatalogInForce, path: str, hangup: Hangup) -> None:
    """Read the file at each SIGHUP; new sessions get it, unless it is wrong."""
    while True:
        await hangup.wait()
        # A file of some hundred agents takes a second, in which requests go on.
        catalog = await asyncio.to_thread(read_again, path)
        if catalog is not None:
            catalogs.replace(catalog)
