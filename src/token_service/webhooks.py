"""LiveKit's signed webhooks: is it really from our server, and which room is it about.

What an event says is not believed: it only asks that its session be looked at now. So a repeated,
late or lost one changes nothing in the end.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

import jwt
from google.protobuf.json_format import Parse, ParseError
from livekit.protocol.webhook import WebhookEvent

from token_service.errors import WebhookRejectedError

MAX_WEBHOOK_BYTES = 256 * 1024  # a participant's metadata and attributes, with room to spare
LEEWAY_S = 60.0  # clocks of two hosts
# LiveKit signs for 5 minutes. Source: livekit/protocol, webhook/resource_url_notifier.go.
MAX_LIFE_S = 300.0 + LEEWAY_S

ROOM_FINISHED = "room_finished"
#: Events after which a session may have something to do.
TELLING = frozenset(
    {
        "room_started",
        ROOM_FINISHED,
        "participant_joined",
        "participant_left",
        "participant_connection_aborted",
        "agent_job_started",
        "agent_job_ended",
    }
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A webhook that is ours. `room` is None where the event is about none."""

    id: str
    event: str
    room: str | None


class WebhookVerifier:
    """Checks webhooks against our LiveKit key."""

    def __init__(self, api_key: str, api_secret: str) -> None:
        self._api_key = api_key
        self._api_secret = api_secret

    def verify(self, authorization: str | None, body: bytes, now: float) -> Notice:
        """What the webhook says; `now` in Unix seconds.

        Raises:
            WebhookRejectedError: unsigned, not signed by us, tampered with, too old, or unreadable.
        """
        if not authorization:
            raise WebhookRejectedError("no Authorization header")
        claims = self._claims(authorization)
        _check_times(claims, now)
        sha256 = claims.get("sha256")
        if not isinstance(sha256, str):
            raise WebhookRejectedError("no sha256 claim")
        try:
            signed = base64.b64decode(sha256, validate=True)
        except (binascii.Error, ValueError):
            raise WebhookRejectedError("sha256 is not base64") from None
        if not hmac.compare_digest(signed, hashlib.sha256(body).digest()):
            raise WebhookRejectedError("the body is not the one that was signed")
        try:
            event = Parse(body.decode("utf-8"), WebhookEvent(), ignore_unknown_fields=True)
        except (ParseError, UnicodeDecodeError):
            raise WebhookRejectedError("the body is no webhook event") from None
        return Notice(event.id, event.event, event.room.name or None)

    def _claims(self, authorization: str) -> dict[str, object]:
        try:
            claims: dict[str, object] = jwt.decode(
                authorization,
                key=self._api_secret,
                algorithms=["HS256"],
                issuer=self._api_key,
                # Its times are checked against the clock that was passed in.
                options={
                    "require": ["exp", "iss"],
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise WebhookRejectedError(type(error).__name__) from None
        return claims


def _check_times(claims: dict[str, object], now: float) -> None:
    expires, begins = claims["exp"], claims.get("nbf", 0)
    if not isinstance(expires, int | float) or not isinstance(begins, int | float):
        raise WebhookRejectedError("its times are no numbers")
    if expires > now + MAX_LIFE_S:
        raise WebhookRejectedError("its signature lives longer than LiveKit's do")
    if now > expires + LEEWAY_S:
        raise WebhookRejectedError("its signature has expired")
    if begins > now + LEEWAY_S:
        raise WebhookRejectedError("its signature is not valid yet")
