"""Parameters of a query, read strictly."""

import re
from collections.abc import Collection

from starlette.requests import Request

from token_service.errors import QueryInvalidError

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


def check_names(request: Request, known: Collection[str]) -> None:
    """Refuse parameters that are unknown or there twice.

    Raises:
        QueryInvalidError: names the first one.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise QueryInvalidError(name[:40], "is not a parameter of this route")
        if names.count(name) > 1:
            raise QueryInvalidError(name, "is there twice")


def matching(request: Request, name: str, pattern: re.Pattern[str], what: str) -> str | None:
    """The parameter; None: it is absent.

    Raises:
        QueryInvalidError: it does not match; `what` says what it should be.
    """
    value = request.query_params.get(name)
    if value is not None and not pattern.fullmatch(value):
        raise QueryInvalidError(name, f"must be {what}")
    return value


def limit_of(request: Request) -> int:
    """How many entries a page may have.

    Raises:
        QueryInvalidError: not a number from 1 to MAX_LIMIT.
    """
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise QueryInvalidError("limit", f"must be a number from 1 to {MAX_LIMIT}")
    return int(text)
