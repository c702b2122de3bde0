"""LiveKit's webhooks."""

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from assistant import log
from token_service.answers import WebhookAnswer
from token_service.arriving import read_body
from token_service.errors import WebhookRejectedError
from token_service.routes.context import answer
from token_service.service import SessionService
from token_service.webhooks import MAX_WEBHOOK_BYTES, WebhookVerifier

_log = log.get(__name__)


class WebhookRoute:
    def __init__(
        self,
        service: SessionService,
        verifier: WebhookVerifier,
        *,
        arrived: Callable[[float], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._verifier = verifier
        self._arrived = arrived
        self._clock = clock

    async def receive(self, request: Request) -> Response:
        body = await read_body(request, MAX_WEBHOOK_BYTES)
        try:
            notice = self._verifier.verify(
                request.headers.get("authorization"), body, self._clock()
            )
        except WebhookRejectedError as error:
            _log.warning("webhook.rejected", why=error.why, size=len(body))
            raise
        self._arrived(self._clock())
        _log.debug("webhook.received", webhook_event=notice.event, room=notice.room, id=notice.id)
        await self._service.notice(notice)
        return answer(WebhookAnswer())
