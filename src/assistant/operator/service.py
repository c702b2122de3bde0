"""The token service as an operator asks it: JSON in, JSON out."""

import json
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from assistant.operator.errors import ServiceRefusalError, ServiceSilentError

REQUEST_TIMEOUT_S = 10.0
# A session of hours with its 500 timeline entries, or a page of 200 sessions, is far below.
MAX_ANSWER_BYTES = 4_000_000

Json = dict[str, Any]


class Service:
    """Use it as an async context manager; `key` goes out as a Bearer key when given.

    Every request raises `ServiceSilentError` or `ServiceRefusalError`.
    """

    def __init__(self, url: str, *, key: str | None) -> None:
        self.url = url
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
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def session(self, session_id: str) -> Json:
        return await self._ask("GET", f"/api/sessions/{quote(session_id, safe='')}")

    async def sessions(
        self, *, limit: int, statuses: list[str], agent: str | None, cursor: str | None = None
    ) -> Json:
        """One page, newest first: `{sessions, cursor}`."""
        query = [("limit", str(limit)), *(("status", status) for status in statuses)]
        if agent:
            query.append(("agent", agent))
        if cursor:
            query.append(("cursor", cursor))
        return await self._ask("GET", "/api/sessions", params=query)

    async def stats(self) -> Json:
        return await self._ask("GET", "/stats")

    async def health(self) -> Json:
        return await self._ask("GET", "/health")

    async def start(self, session_id: str, user_id: str, config: Json) -> Json:
        body = {"sessionId": session_id, "userId": user_id, "config": config}
        return await self._ask("POST", "/api/session/start", json=body)

    async def end(self, session_id: str) -> Json:
        return await self._ask("POST", "/api/session/end", json={"sessionId": session_id})

    async def erase(self, session_id: str) -> Json:
        return await self._ask("DELETE", f"/api/sessions/{quote(session_id, safe='')}")

    async def _ask(self, method: str, path: str, **options: Any) -> Json:
        if self._http is None:
            raise AssertionError("the service is used outside its context")
        try:
            async with self._http.request(method, self.url + path, **options) as response:
                body = b""
                async for chunk in response.content.iter_chunked(65_536):
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ServiceSilentError(self.url, "its answer has no end")
                status = response.status
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise ServiceSilentError(self.url, "this is not a URL") from error
        except TimeoutError as error:
            raise ServiceSilentError(
                self.url, f"no answer within {REQUEST_TIMEOUT_S:g} s"
            ) from error
        except aiohttp.ClientError as error:
            raise ServiceSilentError(self.url, str(error) or type(error).__name__) from error
        answer = _object(body)
        if status >= 400 or answer is None:
            problem = answer or {}
            raise ServiceRefusalError(
                f"{method} {path}",
                status=status,
                code=problem.get("code"),
                detail=str(problem.get("detail") or "the answer is not the token service's"),
            )
        return answer


def _object(body: bytes) -> Json | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
