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
    address = request.client.host if request.client else None
    caller = authenticator.identify(header(request, b"authorization"), address)
    request.scope.setdefault("state", {})["caller"] = caller.name
    return caller


def answer(model: BaseModel, *, status: int = 200, sparse: bool = False) -> Response:
    """The model as JSON. `sparse` leaves out what is None."""
    return _Json(model.model_dump_json(by_alias=True, exclude_none=sparse), status)


class _Json(Response):
    """The same as its base makes, whose making looks for headers that nobody gave it."""

    media_type = "application/json"

    def __init__(self, text: str, status: int) -> None:
        self.status_code = status
        self.background = None
        self.body = text.encode()
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
        ]
