"""The MCP server of `mcp_program.py` over HTTP, in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from assistant.local_stack.ports import HOST
from tests.unit import mcp_program


@asynccontextmanager
async def library() -> AsyncIterator[tuple[str, list[str]]]:
    """The MCP server of `mcp_program.py` over HTTP on a free port, and the paths it was asked."""
    asked: list[str] = []
    served = mcp_program.server.streamable_http_app(json_response=True)

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            asked.append(scope["path"])
        await served(scope, receive, send)

    with socket.create_server((HOST, 0)) as listening:
        config = uvicorn.Config(noted, log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://localhost:{listening.getsockname()[1]}/mcp", asked
        finally:
            server.should_exit = True
            await serving
