"""What `connect` was asked for: which room, as whom. Pure."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import jwt

from assistant.errors import SettingProblem, SettingsError
from assistant.sessions.record import AGENT_IDENTITY_PREFIX, room_name

DEFAULT_PREFIX = "va-"


@dataclass(frozen=True)
class Connection:
    """A room to join directly.

    `environ`: variables that the job process must find, beside those that are set already.
    """

    room: str
    identity: str
    environ: Mapping[str, str]

    @classmethod
    def plan(
        cls,
        environ: Mapping[str, str],
        *,
        url: str | None,
        room: str | None,
        session_id: str | None,
        token: str | None,
    ) -> Self:
        """The room is `room`, else the token's, else that of `session_id`.

        Raises:
            SettingsError: no room is named, or the token is not one.
        """
        claims = _claims(token) if token else {}
        prefix = environ.get("ASSISTANT_ROOM_PREFIX") or DEFAULT_PREFIX
        named = room or (claims.get("video") or {}).get("room")
        if not named and session_id:
            named = room_name(prefix, session_id)
        if not named:
            problem = SettingProblem("--room", "is missing", "name a room, or give a token for one")
            raise SettingsError((problem,))
        extra: dict[str, str] = {}
        if url:
            extra["LIVEKIT_URL"] = url
        if token:
            # With a token the key is never used, but every worker's settings ask for one.
            for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
                if not environ.get(name):
                    extra[name] = secrets.token_urlsafe(32)
        identity = str(claims.get("sub") or f"{AGENT_IDENTITY_PREFIX}{session_id or named}-0")
        return cls(str(named), identity, extra)


def _claims(token: str) -> dict[str, Any]:
    try:
        # LiveKit verifies it; here it is only read.
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        problem = SettingProblem("--token", "is not a LiveKit token")
        raise SettingsError((problem,)) from None
    return claims
