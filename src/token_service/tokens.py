"""LiveKit tokens: for users one room and a microphone, for listeners an ear; nothing else."""

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from livekit import api

from assistant.sessions.record import LISTENER_IDENTITY_PREFIX, Session

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


class Minter:
    """Signs tokens with our LiveKit key."""

    def __init__(self, api_key: str, api_secret: str, *, ttl_s: int) -> None:
        self._api_key = api_key
        self._api_secret = api_secret
        self._ttl = dt.timedelta(seconds=ttl_s)

    def mint(self, session: Session, guest: Guest = NOBODY) -> str:
        """A token with which the session's user may join its room within the time to live.

        It lets them speak, hear, and write on LiveKit's chat topic. It never carries a
        `roomConfig`, which would let whoever joins first have agents of their own in the room.
        """
        metadata = {"sessionId": session.id, "userId": session.user_id}
        if guest.metadata is not None:
            metadata["participantMetadata"] = guest.metadata
        token = (
            api.AccessToken(self._api_key, self._api_secret)
            .with_identity(session.user_id)
            .with_ttl(self._ttl)
            .with_metadata(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")))
            .with_grants(
                api.VideoGrants(
                    room_join=True,
                    room=session.room,
                    can_publish=True,
                    can_publish_sources=["microphone"],
                    can_publish_data=True,
                    can_subscribe=True,
                    can_update_own_metadata=False,
                )
            )
        )
        if guest.name is not None:
            token = token.with_name(guest.name)
        if guest.attributes:
            token = token.with_attributes(dict(guest.attributes))
        return token.to_jwt()

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
