"""Tools of an MCP server, over HTTP or as a program."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import httpx2
from jsonschema import SchemaError
from livekit.agents import RunContext
from livekit.agents.llm import ToolError
from livekit.agents.llm.mcp import MCPServer, MCPServerHTTP, MCPServerStdio

from assistant import log
from assistant.catalog.tools import McpTool, filled
from assistant.worker.tools import calling
from assistant.worker.tools.allowance import Allowance
from assistant.worker.tools.public_only import BoundedTransport

# A program is first asked to end, then told, then killed, which takes 6.5 s at worst; cut short,
# it would be left behind.
CLOSE_TIMEOUT_S = 8.0

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
            async with asyncio.timeout(self._tool.connect_timeout_s):
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
        wrapped = (self._wrapped(found[name]) for name in self._tool.allow if name in found)
        return [tool for tool in wrapped if tool is not None]

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await server.aclose()
            except Exception as error:  # noqa: BLE001
                # As above; and the job ends in any case.
                _log.info("tools.server_not_closed", error=type(error).__name__)

    def _build(self) -> MCPServer:
        tool = self._tool
        if tool.url is not None:
            headers = {name: filled(value, self._environ) for name, value in tool.headers.items()}
            return _GuardedServer(
                tool.url,
                transport_type="streamable_http",
                headers=headers,
                client_session_timeout_seconds=tool.timeout_s,
                allow_internal=tool.allow_internal,
            )
        # The catalog wants one of the two.
        program, *arguments = tool.command or ()
        return MCPServerStdio(
            # The worker's own, which has the packages that are installed beside it.
            sys.executable if program == "python" else program,
            arguments,
            env={name: self._environ[name] for name in tool.env if name in self._environ},
            client_session_timeout_seconds=tool.timeout_s,
        )

    def _wrapped(self, offered: Any) -> calling.SdkTool | None:
        described = offered.info.raw_schema

        async def run(arguments: dict[str, Any], _context: RunContext[Any]) -> Any:
            result = await offered(raw_arguments=arguments)
            if result is None:
                raise ToolError("The tool gave back nothing.")
            return result

        described = {**described, "description": described.get("description") or ""}
        try:
            return calling.make(self._tool, described, run, self._allowance)
        except SchemaError:
            _log.warning("tools.not_usable", tool=described["name"], why="its schema is none")
            return None


class _GuardedServer(MCPServerHTTP):
    """The SDK's client, which asks `_create_http_client` for what its requests go through."""

    def __init__(self, url: str, *, allow_internal: bool, **options: Any) -> None:
        super().__init__(url, **options)
        self._allow_internal = allow_internal

    def _create_http_client(
        self,
        headers: dict[str, Any] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        self._http_client = httpx2.AsyncClient(
            transport=BoundedTransport(allow_internal=self._allow_internal),
            headers=self._headers if headers is None else headers,
            timeout=timeout or httpx2.Timeout(self._timeout, read=self._sse_read_timeout),
            auth=auth,
        )
        return self._http_client
