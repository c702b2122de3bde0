"""What every route needs: who calls, and how answers are written."""

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from token_service.auth import Authenticator, Caller

SESSION_KEY_HEADER = "X-Session-Key"


def caller_of(request: Request, authenticator: Authenticator) -> Caller:
    """Who calls.

    Raises:
        UnauthenticatedError: keys are configured, and none of them was shown.
    """
    address = request.client.host if request.client else None
    caller = authenticator.identify(request.headers.get("authorization"), address)
    request.scope.setdefault("state", {})["caller"] = caller.name
    return caller


def answer(model: BaseModel, *, status: int = 200, sparse: bool = False) -> Response:
    """The model as JSON. `sparse` leaves out what is None."""
    return Response(
        model.model_dump_json(by_alias=True, exclude_none=sparse),
        status_code=status,
        media_type="application/json",
    )
