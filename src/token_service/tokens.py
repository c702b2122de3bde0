"""LiveKit tokens: for users one room and a microphone, for listeners an ear; nothing else."""

import base64
import datetime as dt
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import jwt
from livekit import api

from assistant.sessions.record import LISTENER_IDENTITY_PREFIX, Session
from assistant.sessions.store.glances import Glance

# From the click until the browser has joined; whoever comes later asks anew.
LISTEN_TTL_S = 60
LISTENER_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Guest:
    """What a caller may add to its token by LiveKit's token endpoint; None: nothing."""

    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] | None = None


NOBODY = Guest()

_IDENTITY, _METADATA, _ROOM = "the-identity", "the-metadata", "the-room"
#: A text as JSON has it; `_escaped` in ASCII alone.
_plain, _escaped = json.encoder.encode_basestring, json.encoder.encode_basestring_ascii


class Minter:
    """Signs tokens with our LiveKit key."""

    def __init__(self, api_key: str, api_secret: str, *, ttl_s: int) -> None:
        self._api_key = api_key
        self._api_secret = api_secret
        self._ttl_s = ttl_s
        # LiveKit's own library says what a token is made of. It takes ten times as long as signing
        # does, so it makes one, into which each user's words are written.
        pattern = (
            api.AccessToken(api_key, api_secret)
            .with_identity(_IDENTITY)
            .with_metadata(_METADATA)
            .with_grants(
                api.VideoGrants(
                    room_join=True,
                    room=_ROOM,
                    can_publish=True,
                    can_publish_sources=["microphone"],
                    can_publish_data=True,
                    can_subscribe=True,
                    can_update_own_metadata=False,
                )
            )
            .to_jwt()
        )
        # To take in the key is a third of the work of signing; a copy has it behind it.
        self._signs = hmac.new(api_secret.encode(), digestmod="sha256")
        self._header = pattern.partition(".")[0].encode()
        claims = jwt.decode(pattern, api_secret, algorithms=["HS256"])
        del claims["nbf"], claims["exp"]
        form = json.dumps(claims, separators=(",", ":")).replace("%", "%%")
        for place in (_IDENTITY, _METADATA, _ROOM):
            form = form.replace(f'"{place}"', f"%({place})s")
        #: The claims but for their end, with places for what differs.
        self._form = form[:-1] + ',"nbf":%(now)d,"exp":%(end)d'

    def mint(self, session: Session | Glance, guest: Guest = NOBODY) -> str:
        """A token with which the session's user may join its room within the time to live.

        It lets them speak, hear, and write on LiveKit's chat topic. It never carries a
        `roomConfig`, which would let whoever joins first have agents of their own in the room.
        """
        metadata = f'{{"sessionId":{_plain(session.id)},"userId":{_plain(session.user_id)}'
        if guest.metadata is not None:
            metadata += f',"participantMetadata":{_plain(guest.metadata)}'
        now = int(time.time())
        claims = self._form % {
            _IDENTITY: _escaped(session.user_id),
            _METADATA: _escaped(metadata + "}"),
            _ROOM: _escaped(session.room),
            "now": now,
            "end": now + self._ttl_s,
        }
        if guest.name is not None:
            claims += f',"name":{_escaped(guest.name)}'
        if guest.attributes:
            claims += f',"attributes":{json.dumps(dict(guest.attributes))}'
        signed = self._header + b"." + _in_base64(claims.encode() + b"}")
        signature = self._signs.copy()
        signature.update(signed)
        return (signed + b"." + _in_base64(signature.digest())).decode()

    def mint_listener(self, session: Session) -> str:
        """A token with which an operator may hear the session's room, unseen, and nothing more.

        LiveKit tells nobody of a hidden participant, and one of the agents' kind does not keep a
        room open, nor does LiveKit send it agents. Source: livekit-server 1.13.5, pkg/rtc/room.go.
        """
        identity = f"{LISTENER_IDENTITY_PREFIX}{secrets.token_hex(LISTENER_ID_BYTES)}"
        return (
            api.AccessToken(self._api_key, self._api_secret)
            .with_identity(identity)
            .with_kind("agent")
            .with_ttl(dt.timedelta(seconds=LISTEN_TTL_S))
            .with_grants(
                api.VideoGrants(
                    room_join=True,
                    room=session.room,
                    can_publish=False,
                    can_publish_data=False,
                    can_subscribe=True,
                    can_update_own_metadata=False,
                    hidden=True,
                )
            )
            .to_jwt()
        )


def _in_base64(part: bytes) -> bytes:
    """As RFC 7515 wants it: for URLs, without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=")
