"""`connect`: which room, as whom."""

import jwt
import pytest

from assistant.errors import SettingsError
from assistant.worker.connecting import Connection


def plan(**given: str | None) -> Connection:
    options: dict[str, str | None] = {
        "url": None,
        "room": None,
        "session_id": None,
        "token": None,
        **given,
    }
    return Connection.plan({}, **options)


def token(room: str) -> str:
    return jwt.encode({"sub": "agent-x", "video": {"room": room}}, "k" * 32, algorithm="HS256")


def test_the_token_names_room_and_identity() -> None:
    """The older command line gave a token and no room."""
    connection = plan(token=token("lobby"), url="ws://h:1")
    assert (connection.room, connection.identity) == ("lobby", "agent-x")
    assert connection.environ["LIVEKIT_URL"] == "ws://h:1"
    assert len(connection.environ["LIVEKIT_API_SECRET"]) >= 32


def test_a_session_id_names_our_room() -> None:
    """`--session-id` is what the older backend had; the room is the session's."""
    connection = plan(session_id="s1")
    assert connection.room == "va-s1"
    assert connection.identity == "agent-s1-0"
    assert connection.environ == {}


def test_an_explicit_room_goes_before_everything() -> None:
    assert plan(room="mine", session_id="s1", token=token("lobby")).room == "mine"


@pytest.mark.parametrize("given", [{}, {"token": "not a token"}])
def test_bad_input_is_refused_by_name(given: dict[str, str]) -> None:
    """Neither a room nor a readable token."""
    with pytest.raises(SettingsError, match=r"--(room|token)"):
        plan(**given)
