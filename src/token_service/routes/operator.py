"""What the operator's console asks for; all for secret keys alone."""

from starlette.requests import Request
from starlette.responses import Response

from assistant.catalog import CatalogInForce
from token_service.agents import agents_of
from token_service.answers import ListenAnswer
from token_service.auth import Authenticator
from token_service.board import Board
from token_service.checks import Checks
from token_service.deadline import store_in_time
from token_service.figures import Figures, span_of
from token_service.idempotency import keep_for
from token_service.listening import Listening
from token_service.routes.context import answer, caller_of
from token_service.routes.query import check_names
from token_service.settings import ServiceSettings
from token_service.sse import EventStreamResponse
from token_service.tokens import LISTEN_TTL_S


class OperatorRoutes:
    def __init__(
        self,
        *,
        catalogs: CatalogInForce,
        figures: Figures,
        board: Board,
        listening: Listening,
        checks: Checks,
        authenticator: Authenticator,
        settings: ServiceSettings,
    ) -> None:
        self._catalogs = catalogs
        self._figures = figures
        self._board = board
        self._listening = listening
        self._checks = checks
        self._authenticator = authenticator
        self._settings = settings

    async def agents(self, request: Request) -> Response:
        self._check(request)
        return answer(agents_of(self._catalogs.now))

    async def figures(self, request: Request) -> Response:
        caller_of(request, self._authenticator).require_secret()
        window_s, step_s = span_of(request)
        async with store_in_time():
            return answer(await self._figures.lately(window_s, step_s))

    async def overview(self, request: Request) -> Response:
        self._check(request)
        reader = await self._board.open()
        return EventStreamResponse(reader, send_timeout_s=reader.timing.send_timeout_s)

    async def checks(self, request: Request) -> Response:
        self._check(request)
        return answer(await self._checks.run())

    async def listen(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        async with store_in_time():
            minted = await self._listening.admit(caller, request.path_params["session_id"])
        keep_for(request, LISTEN_TTL_S)
        return answer(
            ListenAnswer(
                token=minted.token,
                url=self._settings.client_livekit_url,
                room=minted.room,
            )
        )

    def _check(self, request: Request) -> None:
        caller_of(request, self._authenticator).require_secret()
        check_names(request, ())
