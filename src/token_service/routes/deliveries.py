"""Deliveries of webhooks: what was sent, what it came to, and once more."""

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from assistant.sessions.errors import SessionNotFoundError
from assistant.sessions.record import SESSION_ID, is_session_id
from assistant.sessions.store.delivery import DELIVERY_ID, DeliveryStatus, Page
from assistant.sessions.store.delivery_log import CURSOR, DeliveryLog
from token_service.answers import DeliveriesAnswer, DeliveryAnswer
from token_service.auth import Authenticator
from token_service.endpoints import Endpoint
from token_service.errors import DeliveryNotFoundError, EndpointGoneError
from token_service.routes.context import answer, caller_of
from token_service.routes.query import check_names, limit_of, matching

_STATUS = re.compile("|".join(DeliveryStatus))
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ACCEPTED = 202


class DeliveryRoutes:
    """For secret keys alone."""

    def __init__(
        self, deliveries: DeliveryLog, endpoints: Sequence[Endpoint], authenticator: Authenticator
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = tuple(endpoint.name for endpoint in endpoints)
        self._authenticator = authenticator

    async def index(self, request: Request) -> Response:
        caller_of(request, self._authenticator).require_secret()
        check_names(request, {"status", "endpoint", "session", "cursor", "limit"})
        endpoint = matching(request, "endpoint", _NAME, "the name of an endpoint")
        session_id = matching(request, "session", SESSION_ID, "the id of a session")
        return await self._page(request, endpoint, session_id)

    async def of_session(self, request: Request) -> Response:
        caller_of(request, self._authenticator).require_secret()
        check_names(request, {"status", "endpoint", "cursor", "limit"})
        session_id = request.path_params["session_id"]
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        endpoint = matching(request, "endpoint", _NAME, "the name of an endpoint")
        return await self._page(request, endpoint, session_id)

    async def replay(self, request: Request) -> Response:
        caller_of(request, self._authenticator).require_secret()
        check_names(request, ())
        delivery_id = request.path_params["delivery_id"]
        found = None
        if DELIVERY_ID.fullmatch(delivery_id):
            found = await self._deliveries.get(delivery_id)
        if found is None:
            raise DeliveryNotFoundError
        if found.endpoint not in self._endpoints:
            raise EndpointGoneError
        if not await self._deliveries.replay(found):
            raise DeliveryNotFoundError
        again = await self._deliveries.get(delivery_id)
        return answer(DeliveryAnswer.of(again or found), status=_ACCEPTED)

    async def _page(
        self, request: Request, endpoint: str | None, session_id: str | None
    ) -> Response:
        status = matching(request, "status", _STATUS, "pending, delivered or dead")
        page = await self._deliveries.find(
            self._endpoints if endpoint is None else (endpoint,),
            status=None if status is None else DeliveryStatus(status),
            session_id=session_id,
            cursor=matching(request, "cursor", CURSOR, "the cursor of a page"),
            limit=limit_of(request),
        )
        return answer(_answer(page))


def _answer(page: Page) -> DeliveriesAnswer:
    return DeliveriesAnswer(
        deliveries=[DeliveryAnswer.of(delivery) for delivery in page.deliveries],
        cursor=page.cursor,
    )
