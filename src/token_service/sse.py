"""Server-Sent Events: their form, and a response that watches its reader.

Source: the HTML standard, "Server-sent events".
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 1000  # when a browser comes back; the wire says milliseconds


def frame(name: str, data: Any, *, event_id: str | None = None) -> bytes:
    """One event. `event_id` None: whoever resumes does so after the event before."""
    text = json.dumps(data, separators=(",", ":"))
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {text}\n\n".encode()


def comment(text: str) -> bytes:
    return f": {text}\n\n".encode()


def opening(event_id: str | None = None) -> bytes:
    """What comes first; no event. Whoever resumes before there is one does so after `event_id`."""
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}retry: {RETRY_MS}\n\n".encode()


class Frames(Protocol):
    """What is sent, and what to do when it was or cannot be."""

    def frames(self) -> AsyncGenerator[bytes]: ...

    def close(self) -> None: ...


class EventStreamResponse(Response):
    """Sends frames until they end, the reader goes, or it does not read for `send_timeout_s`."""

    def __init__(self, source: Frames, *, send_timeout_s: float) -> None:
        super().__init__()
        self._source = source
        self._send_timeout_s = send_timeout_s
        del self.headers["content-length"]
        self.headers["content-type"] = f"{MEDIA_TYPE}; charset=utf-8"
        self.headers["cache-control"] = "no-store"
        self.headers["x-accel-buffering"] = "no"  # nginx would hold events back

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_until_gone(receive), name="event stream's reader")
        sending = asyncio.create_task(self._send(send), name="event stream")
        try:
            await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.wait((gone, sending))
            self._source.close()
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send(self, send: Send) -> None:
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        try:
            await self._within(send, start)
            async with contextlib.aclosing(self._source.frames()) as frames:
                async for chunk in frames:
                    await self._within(
                        send, {"type": "http.response.body", "body": chunk, "more_body": True}
                    )
            await self._within(send, {"type": "http.response.body", "body": b""})
        except TimeoutError:
            return  # The connection is closed for us, unfinished: the reader knows to resume.

    async def _within(self, send: Send, message: dict[str, Any]) -> None:
        async with asyncio.timeout(self._send_timeout_s):
            await send(message)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
