"""Which webhooks are taken for LiveKit's."""

import base64
import hashlib
import json
from typing import Any

import jwt
import pytest
from livekit import api

from token_service.errors import WebhookRejectedError
from token_service.webhooks import WebhookVerifier

KEY, SECRET = "APIours", "s" * 40
BODY = json.dumps(
    {"event": "participant_joined", "id": "EV_1", "room": {"name": "va-x"}, "news": 1}
).encode()
NOW = 1_900_000_000.0  # the clock is passed in, so any moment does


def signed(body: bytes = BODY, *, secret: str = SECRET, **changes: Any) -> str:
    claims = {
        "iss": KEY,
        "exp": NOW + 300,
        "nbf": NOW,
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
        **changes,
    }
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, "HS256")


def verify(authorization: str | None, body: bytes = BODY) -> Any:
    return WebhookVerifier(KEY, SECRET).verify(authorization, body, NOW)


def test_ours() -> None:
    """A webhook as livekit-server signs it is read; fields that we do not know are no matter."""
    notice = verify(signed())
    assert (notice.id, notice.event, notice.room) == ("EV_1", "participant_joined", "va-x")


def test_without_a_room() -> None:
    """An event about no room says so."""
    body = b'{"event": "egress_started", "id": "EV_2"}'
    assert verify(signed(body), body).room is None


def join_token() -> str:
    grants = api.VideoGrants(room_join=True, room="va-x")
    return api.AccessToken(KEY, SECRET).with_identity("u").with_grants(grants).to_jwt()


@pytest.mark.parametrize(
    ("authorization", "body"),
    [
        (None, BODY),
        ("", BODY),
        ("nonsense", BODY),
        ("Bearer " + signed(), BODY),
        (signed(secret="t" * 40), BODY),
        (signed(iss="APIother"), BODY),
        (signed(iss=None), BODY),
        (signed(exp=None), BODY),
        (signed(exp=NOW - 61), BODY),
        (signed(exp=NOW + 7200), BODY),
        (signed(nbf=NOW + 120), BODY),
        (signed(sha256=None), BODY),
        (signed(sha256="?"), BODY),
        (signed(sha256=7), BODY),
        (signed(), BODY + b" "),
        (signed(), b""),
        (signed(b"not json"), b"not json"),
        (signed(b"\xff"), b"\xff"),
        (signed(b'{"event": 7}'), b'{"event": 7}'),
        (join_token(), BODY),
        (jwt.encode({"iss": KEY, "exp": NOW + 300}, "", "none"), BODY),
        (jwt.encode({"iss": KEY, "exp": NOW + 300}, SECRET * 2, "HS512"), BODY),
    ],
)
def test_not_ours(authorization: str | None, body: bytes) -> None:
    """Unsigned, forged, tampered, stale, unreadable, or a token for something else."""
    with pytest.raises(WebhookRejectedError):
        verify(authorization, body)
