"""What every request and its answer have in common: an id, safe headers, a log line, a figure.

One layer for all four, since each layer of ASGI costs every request the same again.
"""

import logging
import secrets
import time
from collections.abc import Sequence
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant import log
from token_service.http_figures import NO_ROUTE, HttpFigures
from token_service.problems import problem

MAX_PATH_CHARS = 200
#: Asked for every few seconds by machines.
QUIET_PATHS = frozenset({"/livez", "/readyz", "/health", "/metrics"})

_SAFE = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    # For data; pages set their own.
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
_SAFE_HEADERS = tuple(_SAFE.items())
_SAFE_NAMES = frozenset(_SAFE)

_log = log.get(__name__)


class Exchanges:
    """The outermost layer of ASGI.

    Gives each request an id, logs it (by which key it was made, never a query, a body or a key),
    returns it as X-Request-Id, counts the request by its route, never by its path, and adds the
    safe headers that the answer does not set itself. Of an error that nobody expected it tells the
    caller that there was one.
    """

    def __init__(self, app: ASGIApp, figures: HttpFigures) -> None:
        self._app = app
        self._figures = figures
        # Asking the system for chance takes a request longer than all else here; ids are no secret.
        self._ids, self._numbers = secrets.token_hex(4), count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"{self._ids}{next(self._numbers) & 0xFFFFFFFF:08x}"
        began, answered_at, status = time.monotonic(), None, 500

        async def noting(message: Message) -> None:
            nonlocal answered_at, status
            if message["type"] == "http.response.start":
                answered_at, status = time.monotonic(), message["status"]
                message["headers"] = [
                    *message["headers"],
                    *_missing(message["headers"]),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        # Each request is a task, so that nobody else is in this context.
        log.bind(request=request_id)
        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            if answered_at is None:
                await problem(error)(scope, receive, noting)
            # The server logs it.
            raise
        finally:
            ended_at = time.monotonic()
            self._figures.observe(
                scope["method"],
                # The router leaves its route in the scope, if there is one.
                getattr(scope.get("route"), "path", NO_ROUTE),
                status,
                (ended_at if answered_at is None else answered_at) - began,
            )
            self._tell(scope, status, ended_at - began)

    @staticmethod
    def _tell(scope: Scope, status: int, duration_s: float) -> None:
        quiet = scope["path"] in QUIET_PATHS and status < 500
        level = logging.DEBUG if quiet else logging.INFO
        if _log.says(level):
            _log.say(
                level,
                "http.request",
                method=scope["method"],
                path=scope["path"][:MAX_PATH_CHARS],
                status=status,
                caller=scope["state"].get("caller") if "state" in scope else None,
                duration_s=round(duration_s, 6),
            )


def _missing(headers: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
    """The safe headers that are not among these."""
    own = _SAFE_NAMES.intersection([name for name, _ in headers])
    return [header for header in _SAFE_HEADERS if header[0] not in own] if own else _SAFE_HEADERS
