"""Events as they happen."""

import re

from starlette.requests import Request
from starlette.responses import Response

from assistant.sessions.errors import SessionNotFoundError
from assistant.sessions.record import Session, is_session_id
from assistant.sessions.store.records import SessionStore
from token_service.auth import Authenticator, Caller
from token_service.errors import QueryInvalidError
from token_service.event_streams import EventStreams
from token_service.routes.context import SESSION_KEY_HEADER, caller_of
from token_service.routes.query import check_names, matching
from token_service.sse import EventStreamResponse

LAST_EVENT_ID_HEADER = "Last-Event-ID"
# As Redis writes its stream ids, within its 64 bits.
_STREAM_ID = re.compile(r"[0-9]{1,18}(-[0-9]{1,18})?")
# Tells a browser not to come back. Source: the HTML standard, "Server-sent events".
_NO_MORE = 204
_YES_OR_NO = re.compile("true|false")


class EventRoutes:
    def __init__(
        self, streams: EventStreams, store: SessionStore, authenticator: Authenticator
    ) -> None:
        self._streams = streams
        self._store = store
        self._authenticator = authenticator

    async def of_session(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        after = _last_event_id(request, "partials")
        partials = matching(request, "partials", _YES_OR_NO, "true or false") == "true"
        if partials:
            caller.require_secret()
        session_id = request.path_params["session_id"]
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        session = await self._store.get(session_id)
        if not caller.owns(session, request.headers.get(SESSION_KEY_HEADER)):
            raise SessionNotFoundError(session_id)
        return await self._stream(caller, session, after, partials=partials)

    async def of_all(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        caller.require_secret()
        return await self._stream(caller, None, _last_event_id(request))

    async def _stream(
        self, caller: Caller, session: Session | None, after: str | None, *, partials: bool = False
    ) -> Response:
        stream = await self._streams.open(session, caller, after=after, partials=partials)
        if stream is None:
            return Response(status_code=_NO_MORE)
        return EventStreamResponse(stream, send_timeout_s=stream.timing.send_timeout_s)


def _last_event_id(request: Request, *others: str) -> str | None:
    """Of the header, which browsers send when they come back, or else of the query.

    Raises:
        QueryInvalidError: it is not an id of ours.
    """
    check_names(request, {"lastEventId", *others})
    shown = request.headers.get(LAST_EVENT_ID_HEADER) or request.query_params.get("lastEventId")
    if not shown:
        return None
    if not _STREAM_ID.fullmatch(shown):
        raise QueryInvalidError("lastEventId", "must be the id of an event")
    return shown
