"""Tokens and sessions."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from assistant.sessions.store.listing import SessionListing
from token_service.answers import (
    EndAnswer,
    ErasedAnswer,
    LiveKitTokenAnswer,
    SessionAnswer,
    SessionsAnswer,
    StartAnswer,
    TimelineEntry,
    TokenAnswer,
)
from token_service.auth import Authenticator
from token_service.bodies import (
    MAX_BODY_BYTES,
    EndBody,
    StartBody,
    TokenBody,
    read_json,
    read_model,
)
from token_service.deadline import store_in_time
from token_service.idempotency import keep_for
from token_service.listing import cursor_to, place_of, wanted_of
from token_service.livekit_endpoint import wish_of
from token_service.routes.context import SESSION_KEY_HEADER, answer, caller_of
from token_service.routes.query import limit_of
from token_service.service import SessionService
from token_service.settings import ServiceSettings


class SessionRoutes:
    def __init__(
        self,
        service: SessionService,
        listing: SessionListing,
        authenticator: Authenticator,
        settings: ServiceSettings,
        *,
        default_agent: Callable[[], str | None],
    ) -> None:
        self._service = service
        self._listing = listing
        self._authenticator = authenticator
        self._settings = settings
        self._default_agent = default_agent

    async def token(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        body = await read_model(request, TokenBody)
        minted = await self._service.mint(caller, body)
        keep_for(request, self._settings.token_ttl_s)
        return answer(
            TokenAnswer(
                token=minted.token,
                url=self._settings.client_livekit_url,
                session_id=minted.session_id,
                room=minted.room,
                session_key=minted.session_key,
            ),
            sparse=True,
        )

    async def livekit_token(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        wish = wish_of(
            await read_json(request, MAX_BODY_BYTES),
            room_prefix=self._settings.room_prefix,
            default_agent=self._default_agent(),
        )
        shown_key = request.headers.get(SESSION_KEY_HEADER)
        minted = await self._service.join(caller, wish, shown_key)
        keep_for(request, self._settings.token_ttl_s)
        response = answer(
            LiveKitTokenAnswer(
                server_url=self._settings.client_livekit_url, participant_token=minted.token
            ),
            status=201,
        )
        # In headers, since not every SDK ignores fields that it does not know.
        response.headers["X-Session-Id"] = minted.session_id
        if minted.session_key is not None:
            response.headers[SESSION_KEY_HEADER] = minted.session_key
        return response

    async def start(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        body = await read_model(request, StartBody)
        async with store_in_time():
            started = await self._service.start(caller, body)
        token = None
        if body.with_token:
            token = await self._service.token_with(caller, started)
            keep_for(request, self._settings.token_ttl_s)
        return answer(
            StartAnswer(
                session_id=started.session.id,
                task_id=started.task_id,
                status=started.session.state,
                agent=started.session.agent,
                room=started.session.room,
                token=token,
                url=None if token is None else self._settings.client_livekit_url,
                position=started.waiting.position if started.waiting else None,
                estimated_wait_s=started.waiting.estimated_wait_s if started.waiting else None,
                session_key=started.session_key,
            ),
            sparse=True,
        )

    async def end(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        body = await read_model(request, EndBody)
        async with store_in_time():
            message = await self._service.end(caller, body)
        return answer(EndAnswer(message=message))

    async def show(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        shown_key = request.headers.get(SESSION_KEY_HEADER)
        async with store_in_time():
            shown = await self._service.show(caller, request.path_params["session_id"], shown_key)
        timeline = None
        if shown.timeline is not None:
            timeline = [
                TimelineEntry(
                    id=entry["id"],
                    name=entry["name"],
                    at=entry["data"]["at"],
                    data={k: v for k, v in entry["data"].items() if k != "at" and v is not None},
                )
                for entry in shown.timeline
            ]
        waiting = shown.waiting
        return answer(
            SessionAnswer.of(
                shown.session,
                waiting.position if waiting else None,
                waiting.estimated_wait_s if waiting else None,
                timeline,
                shown.muted,
            )
        )

    async def index(self, request: Request) -> Response:
        caller_of(request, self._authenticator).require_secret()
        wanted, limit = wanted_of(request), limit_of(request)
        after = place_of(request.query_params.get("cursor"))
        async with store_in_time():
            page = await self._listing.page(wanted, limit=limit, after=after)
        return answer(SessionsAnswer.of(page.entries, cursor_to(page.next)))

    async def erase(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        await self._service.erase(caller, request.path_params["session_id"])
        return answer(ErasedAnswer())
