"""Tools that are a request to a service; to an internal one only if agents.yaml says so."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from livekit.agents import RunContext
from livekit.agents.llm import ToolError
from yarl import URL

from assistant.catalog.tools import HttpTool, argument_names, filled, with_arguments
from assistant.worker.tools import calling
from assistant.worker.tools.allowance import Allowance
from assistant.worker.tools.public_only import public_socket

_UNREACHABLE = "The service cannot be reached."
_REFUSED = "The service refused the request (status {status})."


def build(tool: HttpTool, environ: Mapping[str, str], allowance: Allowance) -> calling.SdkTool:
    described = tool.model_dump(include={"name", "description", "parameters"})
    return calling.make(
        tool,
        described,
        HttpRequest(tool, environ).send,
        allowance,
        timed_out=tool.errors.get("timeout", calling.TIMED_OUT),
    )


class HttpRequest:
    """One declared request; each call has a connection of its own."""

    def __init__(self, tool: HttpTool, environ: Mapping[str, str]) -> None:
        self._tool = tool
        self._url = filled(tool.url, dict(environ))
        self._headers = {name: filled(value, dict(environ)) for name, value in tool.headers.items()}

    async def send(self, arguments: dict[str, Any], _context: RunContext[Any] | None = None) -> str:
        """Send it, and give back the body; whoever calls bounds the time.

        Raises:
            ToolError: in the words of `errors`, or our own.
        """
        tool = self._tool
        url, rest = self._place(arguments)
        in_query = tool.method in {"GET", "DELETE"}
        try:
            connector = aiohttp.TCPConnector(
                socket_factory=None if tool.allow_internal else public_socket
            )
            async with (
                aiohttp.ClientSession(connector=connector, trust_env=False) as client,
                client.request(
                    tool.method,
                    URL(url, encoded=True).update_query(_texts(rest) if in_query else {}),
                    json=None if in_query else rest,
                    headers=self._headers,
                    # A redirect could lead anywhere; the model is told of the status instead.
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as answer,
            ):
                return await self._read(answer)
        except (aiohttp.ClientError, OSError, ValueError):
            # The reason may hold an address or a header, which is not for the model.
            raise ToolError(tool.errors.get("unreachable", _UNREACHABLE)) from None

    def _place(self, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The URL with its arguments filled in, and the arguments that are left."""
        named = argument_names(self._tool.url)
        texts = _texts({name: arguments[name] for name in named})
        path = urlsplit(self._tool.url).path
        for name in named & argument_names(path):
            text = texts[name]
            if text in {"", ".", ".."} or set(text) & set("/\\%?#") or not text.isprintable():
                raise ToolError(f"Wrong arguments: {name} must be one plain word or number.")
        quoted = {name: quote(text, safe="") for name, text in texts.items()}
        rest = {name: value for name, value in arguments.items() if name not in named}
        return with_arguments(self._url, quoted), rest

    async def _read(self, answer: aiohttp.ClientResponse) -> str:
        tool = self._tool
        if not 200 <= answer.status < 300:
            words = _REFUSED.format(status=answer.status)
            raise ToolError(tool.errors.get(str(answer.status), words))
        body = b""
        async for chunk in answer.content.iter_chunked(4096):
            body += chunk
            if len(body) > tool.max_response_bytes:
                raise ToolError("The service's answer is too long to read.")
        return body.decode(errors="replace") or "Done."


def _texts(arguments: Mapping[str, Any]) -> dict[str, str]:
    """As a URL takes them: JSON's words for true, false and null, no quotes around text."""
    return {
        name: value if isinstance(value, str) else calling.as_text(value)
        for name, value in arguments.items()
    }
