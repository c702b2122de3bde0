"""What stays of a conversation: its transcript, its report, its sound."""

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from assistant.catalog import AgentSpec
from assistant.sessions.errors import SessionNotFoundError
from assistant.sessions.record import Session, is_session_id
from assistant.sessions.recordings import RecordingMissingError, Recordings
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.records import SessionStore
from token_service.auth import Authenticator, Caller
from token_service.deadline import store_in_time
from token_service.logs import LogsAnswer
from token_service.report import report_of
from token_service.routes.context import SESSION_KEY_HEADER, answer, caller_of
from token_service.routes.query import check_names, limit_of, matching
from token_service.transcript import TranscriptAnswer, as_text

_PLACE = re.compile(r"[0-9]{1,9}")
_ATTEMPT = re.compile(r"[0-9]{1,6}")
_FORMAT = re.compile(r"json|text")


class ConversationRoutes:
    def __init__(
        self,
        store: SessionStore,
        archive: Archive,
        recordings: Recordings | None,
        authenticator: Authenticator,
    ) -> None:
        self._store = store
        self._archive = archive
        self._recordings = recordings
        self._authenticator = authenticator

    async def transcript(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        check_names(request, {"limit", "cursor", "format"})
        limit = limit_of(request)
        first = int(matching(request, "cursor", _PLACE, "one that a page gave") or 0)
        form = matching(request, "format", _FORMAT, "json or text")
        async with store_in_time():
            session = await self._owned(caller, request)
            if form == "text":
                items = await self._archive.items(session.id)
                since = session.active_at or session.created_at
                return PlainTextResponse(as_text(items, since=since, tools=not caller.is_public))
            page = await self._archive.page(session.id, first=first, limit=limit)
        return answer(TranscriptAnswer.of(session.id, page, tools=not caller.is_public))

    async def report(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        caller.require_secret()
        check_names(request, ())
        async with store_in_time():
            session = await self._owned(caller, request)
            # Read first: where it says that the report is ready, what follows is complete.
            kept = await self._archive.kept(session.id)
            items = await self._archive.items(session.id)
            timeline = await self._store.timeline(session.id)
        spec = AgentSpec.model_validate_json(session.spec)
        words = spec.record != "none"
        return answer(report_of(session, timeline, items, kept, asks=spec.report.asks, words=words))

    async def logs(self, request: Request) -> Response:
        caller = caller_of(request, self._authenticator)
        caller.require_secret()
        check_names(request, ())
        async with store_in_time():
            session = await self._owned(caller, request)
            logs = (await self._archive.kept(session.id)).logs
        return answer(LogsAnswer.of(session.id, logs))

    async def recording(self, request: Request) -> Response:
        """The sound, as a stream; of the latest attempt that has one, unless one is named."""
        caller = caller_of(request, self._authenticator)
        caller.require_secret()
        check_names(request, {"attempt"})
        named = matching(request, "attempt", _ATTEMPT, "the number of an attempt")
        async with store_in_time():
            session = await self._owned(caller, request)
            stored = (await self._archive.kept(session.id)).recordings
        attempt = int(named) if named is not None else max(stored, default=0)
        if self._recordings is None or attempt not in stored:
            raise RecordingMissingError(session.id)
        sound = await self._recordings.get(session.id, attempt)
        return StreamingResponse(
            sound.chunks,
            media_type="audio/ogg",
            headers={
                "Content-Length": str(sound.size),
                "Content-Disposition": f'attachment; filename="{session.id}-{attempt}.ogg"',
            },
        )

    async def _owned(self, caller: Caller, request: Request) -> Session:
        """The session that the path names, if the caller may know of it.

        Raises:
            SessionNotFoundError: there is none, or it is somebody else's.
        """
        session_id = request.path_params["session_id"]
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        session = await self._store.get(session_id)
        if not caller.owns(session, request.headers.get(SESSION_KEY_HEADER)):
            raise SessionNotFoundError(session_id)
        return session
