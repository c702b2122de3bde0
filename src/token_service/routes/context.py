"""What every route needs: who calls, and how answers are written."""

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from token_service.arriving import header
from token_service.auth import Authenticator, Caller

SESSION_KEY_HEADER = "X-Session-Key"


def caller_of(request: Request, authenticator: Authenticator) -> Caller:
    """Who calls.

    Raises:
        UnauthenticatedError: keys are configured, and none of them was shown.
    """
    # (host, port), of which Starlette would make an object of its own, twice.
    client = request.scope.get("client")
    address = client[0] if client else None
    caller = authenticator.identify(header(request, b"authorization"), address)
    request.scope.setdefault("state", {})["caller"] = caller.name
    return caller


def answer(model: BaseModel, *, status: int = 200, sparse: bool = False) -> Response:
    """The model as JSON. `sparse` leaves out what is None."""
    # What `model_dump_json` makes a text of.
    written = model.__pydantic_serializer__.to_json(model, by_alias=True, exclude_none=sparse)
    return _Json(written, status)


class _Json(Response):
    """The same as its base makes, whose making looks for headers that nobody gave it."""

    media_type = "application/json"

    def __init__(self, body: bytes, status: int) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]
