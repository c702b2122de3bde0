"""`GET /api/sessions`: what was asked for, and the cursor that says where a page ended."""

import base64
import math
import re
from typing import Any

from starlette.requests import Request

from assistant.sessions.record import State, is_session_id, is_user_id
from assistant.sessions.store.listing import Place, Wanted
from token_service.errors import QueryInvalidError

PARAMETERS = (
    "status",
    "agent",
    "userId",
    "search",
    "createdAfter",
    "createdBefore",
    "limit",
    "cursor",
)
MAX_CURSOR_CHARS = 200
_AGENT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME = re.compile(r"\d{1,12}(\.\d{1,9})?")


def wanted_of(request: Request) -> Wanted:
    """The filters of the query; `status` may be there several times.

    Raises:
        QueryInvalidError: names the first parameter that is wrong or unknown.
    """
    query = request.query_params
    for name in query:
        if name not in PARAMETERS:
            raise QueryInvalidError(name[:40], "is not a parameter of this route")
        if name != "status" and len(query.getlist(name)) > 1:
            raise QueryInvalidError(name, "is there twice")
    statuses = query.getlist("status")
    if not set(statuses) <= set(State):
        raise QueryInvalidError("status", f"must be of {', '.join(State)}")
    agent, user_id = query.get("agent"), query.get("userId")
    if agent is not None and not _AGENT.fullmatch(agent):
        raise QueryInvalidError("agent", "must be the name of an agent")
    if user_id is not None and not is_user_id(user_id):
        raise QueryInvalidError("userId", "must be 1 to 128 printable characters")
    search = query.get("search")
    if search is not None and not is_user_id(search):
        raise QueryInvalidError("search", "must be 1 to 128 printable characters")
    return Wanted(
        statuses=frozenset(map(State, statuses)),
        agent=agent,
        user_id=user_id,
        search=search,
        created_after=_time(query, "createdAfter"),
        created_before=_time(query, "createdBefore"),
    )


def _time(query: Any, name: str) -> float | None:
    text = query.get(name)
    if text is not None and not _TIME.fullmatch(text):
        raise QueryInvalidError(name, "must be a time in Unix seconds")
    return None if text is None else float(text)


def cursor_to(place: Place | None) -> str | None:
    """The cursor for the page that begins after `place`; None: there is none."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(f"{place[0]!r}~{place[1]}".encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> Place | None:
    """What `cursor_to` was given; None: from the beginning.

    Raises:
        QueryInvalidError: it is not a cursor of ours.
    """
    if cursor is None:
        return None
    try:
        padded = cursor[:MAX_CURSOR_CHARS] + "=" * (-len(cursor) % 4)
        at, _, session_id = base64.urlsafe_b64decode(padded).decode("ascii").partition("~")
        place = float(at), session_id
    except ValueError:
        place = math.nan, ""
    if not math.isfinite(place[0]) or not is_session_id(place[1]):
        raise QueryInvalidError("cursor", "is not a cursor of this route")
    return place
