"""The `Idempotency-Key` header: a repeated POST gets its first answer, and does nothing again."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.idempotency import (
    KEEP_S,
    Begun,
    IdempotencyStore,
    InFlight,
    Mismatch,
    Repeated,
)
from token_service.arriving import header, read_body
from token_service.auth import Authenticator, Caller
from token_service.bodies import MAX_BODY_BYTES, parse_object
from token_service.deadline import store_in_time
from token_service.errors import (
    IdempotencyInFlightError,
    IdempotencyMismatchError,
    QueryInvalidError,
)
from token_service.problems import HANDLED, problem
from token_service.routes.context import SESSION_KEY_HEADER, caller_of
from token_service.sealing import Seal

HEADER = "Idempotency-Key"
_HEADER = HEADER.lower().encode()
REPLAYED_HEADER = "Idempotency-Replayed"
MAX_ANSWER_BYTES = 64 * 1024  # ours are below 4 kB
# Whoever shows a key gets its first answer, and all visitors of a page share one API key: theirs
# must not be guessable.
MIN_PUBLIC_CHARS = 16
# The first answer is there in milliseconds, or LiveKit hangs.
IN_FLIGHT_RETRY_S = 1.0

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_S = "kept_s"
_PASSING = frozenset({408, 429})  # These, and 5xx, may be otherwise next time.
_KEPT_HEADERS = ("content-type", "www-authenticate", "x-session-id", SESSION_KEY_HEADER.lower())

Handler = Callable[[Request], Awaitable[Response]]
_log = log.get(__name__)


class Idempotency:
    """Wraps the handlers of routes. Without the header they are as they were."""

    def __init__(self, store: IdempotencyStore, authenticator: Authenticator, seal: Seal) -> None:
        self._store = store
        self._authenticator = authenticator
        self._seal = seal

    def wrap(self, handler: Handler) -> Handler:
        """The handler, honouring the header."""

        async def handle(request: Request) -> Response:
            key = header(request, _HEADER)
            if key is None:
                return await handler(request)
            caller = caller_of(request, self._authenticator)
            _check(key, caller)
            digest = _digest(await read_body(request, MAX_BODY_BYTES), request)
            # By caller and route; hashed, so that what callers choose does not stand in key names.
            context = f"{caller.kind}\n{caller.name}\n{request.url.path}\n{key}".encode()
            return await self._once(handler, request, context, digest)

        return handle

    async def _once(
        self, handler: Handler, request: Request, context: bytes, digest: str
    ) -> Response:
        name, owner = hashlib.sha256(context).hexdigest(), secrets.token_hex(8)
        async with store_in_time():
            outcome = await self._store.begin(name, digest=digest, owner=owner)
        if isinstance(outcome, Repeated):
            first = self._opened(context, outcome.answer)
            if first is not None:
                return first
            # The service's secret was changed, so the tokens in there are of no use either.
            outcome = Begun()
        match outcome:
            case Mismatch():
                raise IdempotencyMismatchError
            case InFlight(wait_s):
                raise IdempotencyInFlightError(min(wait_s, IN_FLIGHT_RETRY_S))
        try:
            response = await handler(request)
        except HANDLED as error:
            response = problem(error)
        except BaseException:
            # Nobody knows what it did; all use cases may be repeated.
            await self._end(name, owner, None, 0)
            raise
        is_final = response.status_code < 500 and response.status_code not in _PASSING
        sealed = self._sealed(context, response) if is_final else None
        answer_s = request.scope["state"].get(_KEPT_S, KEEP_S)
        await self._end(name, owner, sealed, answer_s if response.status_code < 400 else KEEP_S)
        return response

    async def _end(self, name: str, owner: str, answer: str | None, answer_s: float) -> None:
        try:
            await self._store.end(name, owner=owner, answer=answer, answer_s=answer_s)
        except StoreUnavailableError as error:
            # What was done is done; a repetition comes in vain for a while, and is then made anew.
            _log.warning("idempotency.not_kept", error=str(error))

    def _sealed(self, context: bytes, response: Response) -> str | None:
        body = bytes(response.body)
        if len(body) > MAX_ANSWER_BYTES:
            _log.warning("idempotency.too_large", size=len(body))
            return None
        answer = {
            "status": response.status_code,
            "headers": {k: v for k, v in response.headers.items() if k in _KEPT_HEADERS},
            "body": base64.b64encode(body).decode(),
        }
        return self._seal.seal(context, json.dumps(answer, separators=(",", ":")).encode())

    def _opened(self, context: bytes, sealed: str) -> Response | None:
        plain = self._seal.open(context, sealed)
        if plain is None:
            return None
        answer: dict[str, Any] = json.loads(plain)
        return Response(
            base64.b64decode(answer["body"]),
            status_code=answer["status"],
            headers={**answer["headers"], REPLAYED_HEADER: "true"},
        )


def keep_for(request: Request, answer_s: float) -> None:
    """Have a success given again for so long only; a token is of no use once it has expired."""
    request.scope["state"][_KEPT_S] = answer_s


def _check(key: str, caller: Caller) -> None:
    if not _KEY.fullmatch(key):
        raise QueryInvalidError(HEADER, "must be 1 to 255 printable ASCII characters, no spaces")
    if caller.is_public and len(key) < MIN_PUBLIC_CHARS:
        raise QueryInvalidError(
            HEADER, f"must have at least {MIN_PUBLIC_CHARS} characters with a publishable key"
        )


def _digest(body: bytes, request: Request) -> str:
    """Equal for bodies that say the same, however they are written."""
    # A replay's POST has no body.
    fields = parse_object(body) if body else None
    said = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    shown = request.headers.get(SESSION_KEY_HEADER, "")
    return hashlib.sha256(f"{said}\n{shown}".encode()).hexdigest()
