"""Tools of an MCP server, over HTTP or as a program."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from livekit.agents import RunContext
from livekit.agents.llm import ToolError
from livekit.agents.llm.mcp import MCPServer, MCPServerHTTP, MCPServerStdio

from assistant import log
from assistant.addresses import is_internal
from assistant.catalog.tools import McpTool, filled
from assistant.worker.tools import calling
from assistant.worker.tools.allowance import Allowance

CONNECT_TIMEOUT_S = 5.0

_log = log.get(__name__)


class McpTools:
    """One server's tools; `open` before the conversation, `close` after it."""

    def __init__(self, tool: McpTool, environ: Mapping[str, str], allowance: Allowance) -> None:
        self._tool = tool
        self._environ = dict(environ)
        self._allowance = allowance
        self._server: MCPServer | None = None

    async def open(self) -> list[calling.SdkTool]:
        """The tools that are allowed and there; none if the server is not: the talk goes on."""
        where = self._tool.url or (self._tool.command or ("",))[0]
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._refuse_internal()
                self._server = self._build()
                await self._server.initialize()
                tools = await self._server.list_tools()
        except Exception as error:  # noqa: BLE001
            # The server is somebody else's, and its client raises groups of anything.
            _log.warning("tools.server_unavailable", server=where, error=type(error).__name__)
            await self.close()
            return []
        found = {tool.info.name: tool for tool in tools}
        for missing in sorted(set(self._tool.allow) - set(found)):
            _log.warning("tools.not_offered", server=where, tool=missing)
        return [self._wrapped(found[name]) for name in self._tool.allow if name in found]

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await server.aclose()
            except Exception as error:  # noqa: BLE001
                # As above; and the job ends in any case.
                _log.info("tools.server_not_closed", error=type(error).__name__)

    def _build(self) -> MCPServer:
        tool = self._tool
        if tool.url is not None:
            headers = {name: filled(value, self._environ) for name, value in tool.headers.items()}
            return MCPServerHTTP(
                tool.url,
                transport_type="streamable_http",
                headers=headers,
                client_session_timeout_seconds=tool.timeout_s,
            )
        # The catalog wants one of the two.
        program, *arguments = tool.command or ()
        return MCPServerStdio(
            program,
            arguments,
            env={name: self._environ[name] for name in tool.env if name in self._environ},
            client_session_timeout_seconds=tool.timeout_s,
        )

    async def _refuse_internal(self) -> None:
        """Where `url` leads is asked once; the MCP client asks again, so a name that changes in
        between is not caught.
        """
        if self._tool.url is None or self._tool.allow_internal:
            return
        parts = urlsplit(self._tool.url)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
        if any(is_internal(str(address[0])) for *_, address in found):
            raise OSError("an internal address, and allow_internal is not set")

    def _wrapped(self, offered: Any) -> calling.SdkTool:
        described = offered.info.raw_schema

        async def run(arguments: dict[str, Any], _context: RunContext[Any]) -> Any:
            result = await offered(raw_arguments=arguments)
            if result is None:
                raise ToolError("The tool gave back nothing.")
            return result

        described = {**described, "description": described.get("description") or ""}
        return calling.make(self._tool, described, run, self._allowance)
