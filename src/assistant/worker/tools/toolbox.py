"""All tools of one agent in one conversation."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from assistant.catalog.agent import AgentSpec
from assistant.catalog.tools import (
    DateTimeTool,
    EndCallTool,
    HttpTool,
    McpTool,
    PythonTool,
    TransferTool,
)
from assistant.worker.providers import registry
from assistant.worker.tools import built_in, http_request, python_function
from assistant.worker.tools.allowance import Allowance
from assistant.worker.tools.calling import SdkTool

if TYPE_CHECKING:
    from assistant.worker.tools.mcp_server import McpTools


class Toolbox:
    """Builds an agent's tools; holds the connections to MCP servers until it is closed."""

    def __init__(self, environ: Mapping[str, str], allowance: Allowance) -> None:
        self._environ = environ
        self._allowance = allowance
        self._servers: list[McpTools] = []

    async def connect(self, spec: AgentSpec) -> list[SdkTool]:
        """The tools of the agent's MCP servers; none of one that is not there in its time."""
        wanted = [tool for tool in spec.tools if isinstance(tool, McpTool)]
        if not wanted:
            return []
        module = registry.load(registry.MCP)
        servers = [module.McpTools(tool, self._environ, self._allowance) for tool in wanted]
        self._servers += servers
        offered = await asyncio.gather(*(server.open() for server in servers))
        return [tool for tools in offered for tool in tools]

    def own(self, spec: AgentSpec, agent_for: built_in.AgentFor) -> list[SdkTool]:
        """All other tools of `spec`.

        Raises:
            ToolUnusableError: a Python function cannot be imported.
        """
        tools: list[SdkTool] = []
        for tool in spec.tools:
            match tool:
                case EndCallTool():
                    tools.append(built_in.end_call(tool))
                case DateTimeTool():
                    tools.append(built_in.date_time(tool))
                case TransferTool():
                    tools.append(built_in.transfer(tool, agent_for, self._allowance))
                case PythonTool():
                    tools.append(python_function.build(tool, self._allowance))
                case HttpTool():
                    tools.append(http_request.build(tool, self._environ, self._allowance))
                case McpTool():
                    pass  # Asked of its server, by `connect`.
        return tools

    async def close(self) -> None:
        """End the connections and programs, within CLOSE_TIMEOUT_S."""
        await asyncio.gather(*(server.close() for server in self._servers))
