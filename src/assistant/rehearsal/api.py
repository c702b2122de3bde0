"""A client of the token service's public HTTP interface, as a product's backend has one."""

from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from assistant.rehearsal.errors import (
    ServiceAnswerInvalidError,
    ServiceRefusedError,
    ServiceUnreachableError,
)

# A start answers once its intent is durable, which takes milliseconds; this is for a service
# that is being started or overwhelmed.
REQUEST_TIMEOUT_S = 15.0
# Answers are small records; what is larger comes from something else.
MAX_ANSWER_BYTES = 1_000_000


class _Answer(BaseModel):
    # Fields may be added to answers.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Grant(_Answer):
    """What the caller joins with; `session_key` is None where callers need none."""

    token: str = Field(repr=False)
    url: str
    session_key: str | None = Field(default=None, repr=False)


class Started(_Answer):
    """`task_id` names the start; a repeated start returns the same one."""

    success: bool
    session_id: str
    task_id: str
    status: str


class Ended(_Answer):
    success: bool
    message: str | None = None


class Happened(_Answer):
    """An entry of a session's timeline."""

    name: str
    data: dict[str, Any] = {}


class SessionView(_Answer):
    """`reason` is the close reason, None while the session lives.

    `timeline` is None where the key may not see it.
    """

    status: str
    reason: str | None = None
    detail: str | None = None
    timeline: list[Happened] | None = None

    @property
    def troubles(self) -> list[str]:
        """Each vendor that failed, and how."""
        happened = self.timeline or ()
        failed = [entry.data for entry in happened if entry.name == "provider.failed"]
        told = (f"{data['provider']} ({data['stage']}) failed: {data['kind']}" for data in failed)
        return list(dict.fromkeys(told))


class FleetWorker(_Answer):
    id: str
    jobs: int
    max_jobs: int
    warm: int
    draining: bool
    registered: bool


class FleetSlots(_Answer):
    limit: int


class Fleet(_Answer):
    """Who takes jobs; `slots.limit` is MAX_BOTS."""

    slots: FleetSlots
    workers: list[FleetWorker]

    @property
    def serving(self) -> list[FleetWorker]:
        return [worker for worker in self.workers if worker.registered and not worker.draining]


A = TypeVar("A", bound=_Answer)


class ServiceClient:
    """Use it as an async context manager; `key` goes out as a Bearer key when given.

    Every request raises `ServiceUnreachableError`, `ServiceRefusedError` or
    `ServiceAnswerInvalidError`.
    """

    def __init__(self, url: str, *, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def expect(self) -> None:
        """Raises: ServiceUnreachableError: nothing answers there."""
        with suppress(ServiceRefusedError, ServiceAnswerInvalidError):
            await self._request(_Answer, "GET", "/health")

    async def token(
        self, session_id: str, user_id: str, *, session_key: str | None = None
    ) -> Grant:
        body = {"sessionId": session_id, "userId": user_id, **_key(session_key)}
        return await self._request(Grant, "POST", "/api/token", json=body)

    async def start(
        self,
        session_id: str,
        user_id: str,
        *,
        config: dict[str, Any] | None = None,
        session_key: str | None = None,
    ) -> Started:
        body = {"sessionId": session_id, "userId": user_id, **_key(session_key)}
        if config:
            body["config"] = config
        return await self._request(Started, "POST", "/api/session/start", json=body)

    async def end(self, session_id: str, *, session_key: str | None = None) -> Ended:
        body = {"sessionId": session_id, **_key(session_key)}
        return await self._request(Ended, "POST", "/api/session/end", json=body)

    async def session(self, session_id: str, *, session_key: str | None = None) -> SessionView:
        headers = {"X-Session-Key": session_key} if session_key else {}
        path = f"/api/sessions/{quote(session_id, safe='')}"
        return await self._request(SessionView, "GET", path, headers=headers)

    async def fleet(self) -> Fleet:
        """Only for a secret key, or where the service has no keys."""
        return await self._request(Fleet, "GET", "/stats")

    async def _request(self, answer: type[A], method: str, path: str, **options: Any) -> A:
        if self._http is None:
            raise AssertionError("the client is used outside its context")
        request = f"{method} {path}"
        try:
            async with self._http.request(method, self.url + path, **options) as response:
                body = await response.content.read(MAX_ANSWER_BYTES + 1)
                while not response.content.at_eof() and len(body) <= MAX_ANSWER_BYTES:
                    body += await response.content.read(MAX_ANSWER_BYTES + 1 - len(body))
                status, retry_after = response.status, response.headers.get("Retry-After")
        except aiohttp.InvalidURL as error:
            raise ServiceUnreachableError(self.url, "this is not a URL") from error
        except TimeoutError as error:
            raise ServiceUnreachableError(
                self.url, f"no answer within {REQUEST_TIMEOUT_S:g} s"
            ) from error
        except aiohttp.ClientError as error:
            raise ServiceUnreachableError(self.url, str(error) or type(error).__name__) from error
        if status >= 400:
            raise _refusal(request, status, body, retry_after)
        try:
            return answer.model_validate_json(body)
        except ValidationError as error:
            raise ServiceAnswerInvalidError(
                request=request,
                reason=f"status {status}, "
                + "; ".join(
                    f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}"
                    for e in error.errors(include_input=False, include_url=False)
                ),
            ) from error


class _Problem(BaseModel):
    """A problem document (RFC 9457) with the service's stable code."""

    title: str | None = None
    detail: str | None = None
    code: str | None = None


def _key(session_key: str | None) -> dict[str, Any]:
    return {"sessionKey": session_key} if session_key else {}


def _refusal(
    request: str, status: int, body: bytes, retry_after: str | None
) -> ServiceRefusedError:
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        # A proxy's error page, say; its text is not for this terminal.
        problem = _Problem()
    return ServiceRefusedError(
        request=request,
        status=status,
        code=problem.code,
        detail=problem.detail or problem.title or "no reason was given",
        retry_after_s=float(retry_after) if retry_after and retry_after.isdigit() else None,
    )
