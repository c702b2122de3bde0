"""The routes without parameters, found by their whole path, not by trying one after the other.

The way through Starlette's router, its layer for errors and its wrapper of handlers costs a request
as much as all that a token takes. Where no such route fits, that way is taken.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from token_service.problems import HANDLED, problem

CLIENT_GONE = 499  # nobody reads it; it is what the log shows

Handler = Callable[[Request], Awaitable[Response]]


class ExactRoutes:
    """ASGI middleware, inside all others."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = _exact(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http":
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        handler: Handler = route.endpoint
        try:
            response = await handler(Request(scope, receive, send))
        except HANDLED as error:
            response = problem(error)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        await response(scope, receive, send)


def _exact(routes: Iterable[BaseRoute]) -> Mapping[tuple[str, str], Route]:
    return {
        (method, route.path): route
        for route in routes
        if isinstance(route, Route) and "{" not in route.path
        for method in route.methods or ()
    }
