"""One log line per request: what, by which key, how it went; never a query, a body or a key."""

import secrets
import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant import log

MAX_PATH_CHARS = 200
#: Asked for every few seconds by machines.
QUIET_PATHS = frozenset({"/livez", "/readyz", "/health", "/metrics"})

_log = log.get(__name__)


class AccessLog:
    """ASGI middleware: gives each request an id, logs it, and returns it as X-Request-Id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        status = 500
        began = time.monotonic()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        scope.setdefault("state", {})
        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, noting)
            finally:
                quiet = scope["path"] in QUIET_PATHS and status < 500
                (_log.debug if quiet else _log.info)(
                    "http.request",
                    method=scope["method"],
                    path=scope["path"][:MAX_PATH_CHARS],
                    status=status,
                    caller=scope["state"].get("caller"),
                    duration_s=round(time.monotonic() - began, 6),
                )
