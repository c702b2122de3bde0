"""What a minted token lets its holder do."""

import datetime as dt
import json
import time
from dataclasses import replace

import jwt
from livekit import api

from assistant.sessions.record import Session, State, is_user_id
from token_service.tokens import Guest, Minter

SECRET = "s" * 40
SESSION = Session(
    id="call-42",
    user_id="Zoë 7",
    room="va-call-42",
    state=State.CREATED,
    created_at=0.0,
    agent="assistant",
    spec='{"instructions": "canary"}',
    max_duration_s=60.0,
    user_join_timeout_s=60.0,
    user_return_timeout_s=30.0,
)


def test_least_privilege() -> None:
    """One room, a microphone, text, hearing; nothing else, and not for long."""
    before = time.time()
    claims = jwt.decode(
        Minter("APIours", SECRET, ttl_s=600).mint(SESSION), SECRET, algorithms=["HS256"]
    )
    assert before - 1 <= claims.pop("nbf") <= time.time()
    assert before + 599 <= claims.pop("exp") <= time.time() + 600
    assert json.loads(claims.pop("metadata")) == {"sessionId": "call-42", "userId": "Zoë 7"}
    assert claims == {
        "iss": "APIours",
        "sub": "Zoë 7",
        "video": {
            "roomJoin": True,
            "room": "va-call-42",
            "canPublish": True,
            "canPublishSources": ["microphone"],
            "canPublishData": True,
            "canSubscribe": True,
            "canUpdateOwnMetadata": False,
        },
    }


def test_guest() -> None:
    """What LiveKit's endpoint lets clients add rides along, beside our own metadata."""
    guest = Guest(name="Zoë", metadata="mine", attributes={"colour": "red"})
    claims = jwt.decode(
        Minter("APIours", SECRET, ttl_s=600).mint(SESSION, guest), SECRET, algorithms=["HS256"]
    )
    assert claims["name"] == "Zoë"
    assert claims["attributes"] == {"colour": "red"}
    assert json.loads(claims["metadata"]) == {
        "sessionId": "call-42",
        "userId": "Zoë 7",
        "participantMetadata": "mine",
    }
    assert "roomConfig" not in claims
    assert "kind" not in claims


def test_a_listener_hears_and_nothing_else() -> None:
    """Unseen, for a minute, under a name of its own each time that no user may have."""
    minter = Minter("APIours", SECRET, ttl_s=600)
    before = time.time()
    first, second = (
        jwt.decode(minter.mint_listener(SESSION), SECRET, algorithms=["HS256"]) for _ in range(2)
    )
    assert first["sub"] != second["sub"]
    assert not is_user_id(first["sub"])
    assert first["exp"] <= time.time() + 60
    assert before - 1 <= first["nbf"]
    assert first["kind"] == "agent"
    assert first["video"] == {
        "roomJoin": True,
        "room": "va-call-42",
        "canPublish": False,
        "canPublishData": False,
        "canSubscribe": True,
        "canUpdateOwnMetadata": False,
        "hidden": True,
    }
    assert "metadata" not in first
    assert "roomConfig" not in first


def test_claims_are_those_of_livekits_own_library() -> None:
    """Whatever a caller calls itself, a token says what LiveKit's library would have said."""
    for user_id, guest in (
        ("Zoë 7", Guest()),
        ('a"b\\c', Guest(name='"', metadata="%(the-room)s %", attributes={"k": '"%d'})),
        ("the-identity", Guest(name="the-metadata", metadata='{"x": 1}')),
        ("the-room", Guest(attributes={"the-room": "the-room"})),
    ):
        session = replace(SESSION, user_id=user_id)
        metadata = {"sessionId": session.id, "userId": user_id}
        if guest.metadata is not None:
            metadata["participantMetadata"] = guest.metadata
        grants = api.VideoGrants(
            room_join=True,
            room=session.room,
            can_publish=True,
            can_publish_sources=["microphone"],
            can_publish_data=True,
            can_subscribe=True,
            can_update_own_metadata=False,
        )
        theirs = api.AccessToken("APIours", SECRET).with_identity(user_id).with_grants(grants)
        theirs = theirs.with_metadata(
            json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
        )
        theirs = theirs.with_ttl(dt.timedelta(seconds=600))
        if guest.name is not None:
            theirs = theirs.with_name(guest.name)
        if guest.attributes:
            theirs = theirs.with_attributes(dict(guest.attributes))
        ours = Minter("APIours", SECRET, ttl_s=600).mint(session, guest)
        said, meant = (
            jwt.decode(token, SECRET, algorithms=["HS256"]) for token in (ours, theirs.to_jwt())
        )
        for moment in ("nbf", "exp"):
            assert abs(said.pop(moment) - meant.pop(moment)) <= 1
        assert said == meant
        assert jwt.get_unverified_header(ours) == jwt.get_unverified_header(theirs.to_jwt())
        assert api.TokenVerifier("APIours", SECRET).verify(ours).identity == user_id
