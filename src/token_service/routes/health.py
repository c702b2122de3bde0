"""Probes and figures."""

from starlette.requests import Request
from starlette.responses import Response

from token_service.answers import StatusAnswer
from token_service.auth import Authenticator
from token_service.event_streams import EventStreams
from token_service.overview import Overview
from token_service.routes.context import answer, caller_of


class HealthRoutes:
    def __init__(
        self, overview: Overview, streams: EventStreams, authenticator: Authenticator
    ) -> None:
        self._overview = overview
        self._streams = streams
        self._authenticator = authenticator

    async def live(self, _request: Request) -> Response:
        return answer(StatusAnswer(status="ok"))

    async def ready(self, _request: Request) -> Response:
        await self._overview.ready()
        self._streams.require_begun()
        return answer(StatusAnswer(status="ready"))

    async def health(self, _request: Request) -> Response:
        return answer(await self._overview.health())

    async def stats(self, request: Request) -> Response:
        caller_of(request, self._authenticator).require_secret()
        return answer(await self._overview.stats())
