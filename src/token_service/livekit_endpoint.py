"""The body of LiveKit's standard token endpoint, and what of it we honour. Pure.

Source: livekit/protocol, protobufs/livekit_token_source.proto and livekit_room.proto. SDKs send
protobuf JSON: names in snake or camel case, and fields that we do not know as versions go by.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from assistant.catalog import Overrides
from assistant.sessions.record import session_of_room
from token_service.bodies import SessionId, UserId, validated
from token_service.errors import BodyInvalidError, FieldProblem
from token_service.tokens import Guest

MAX_NAME_CHARS = 128
MAX_METADATA_CHARS = 8192  # it rides in the token, which rides in a URL
MAX_ATTRIBUTES = 16
MAX_ATTRIBUTE_CHARS = 512
#: Names under which LiveKit and its SDKs speak among themselves.
RESERVED_ATTRIBUTES = re.compile(r"^lk\.", re.IGNORECASE)

Attribute = Annotated[str, Field(max_length=MAX_ATTRIBUTE_CHARS)]


class _Lenient(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, hide_input_in_errors=True, populate_by_name=True
    )


def _either(name: str) -> Any:
    return AliasChoices(name, to_camel(name))


class _AgentDispatch(_Lenient):
    agent_name: str | None = Field(None, validation_alias=_either("agent_name"))
    metadata: Annotated[str, Field(max_length=MAX_METADATA_CHARS)] | None = None
    attributes: dict[str, Any] | None = None
    deployment: str | None = None


class _RoomConfig(_Lenient):
    agents: Annotated[list[_AgentDispatch], Field(max_length=1)] | None = None
    name: Any = None
    empty_timeout: Any = Field(None, validation_alias=_either("empty_timeout"))
    departure_timeout: Any = Field(None, validation_alias=_either("departure_timeout"))
    max_participants: Any = Field(None, validation_alias=_either("max_participants"))
    metadata: Any = None
    egress: Any = None
    min_playout_delay: Any = Field(None, validation_alias=_either("min_playout_delay"))
    max_playout_delay: Any = Field(None, validation_alias=_either("max_playout_delay"))
    sync_streams: Any = Field(None, validation_alias=_either("sync_streams"))
    tags: Any = None


class LiveKitTokenBody(_Lenient):
    """LiveKit's request; all fields are optional."""

    room_name: Annotated[str, Field(max_length=128)] | None = Field(
        None,
        validation_alias=_either("room_name"),
        description="The session's id. Absent: a new one.",
    )
    participant_name: Annotated[str, Field(max_length=MAX_NAME_CHARS)] | None = Field(
        None, validation_alias=_either("participant_name")
    )
    participant_identity: UserId | None = Field(
        None,
        validation_alias=_either("participant_identity"),
        description="The user's id. Absent: a random one.",
    )
    participant_metadata: Annotated[str, Field(max_length=MAX_METADATA_CHARS)] | None = Field(
        None,
        validation_alias=_either("participant_metadata"),
        description="Carried in the token's metadata as `participantMetadata`.",
    )
    participant_attributes: (
        Annotated[dict[str, Attribute], Field(max_length=MAX_ATTRIBUTES)] | None
    ) = Field(None, validation_alias=_either("participant_attributes"))
    room_config: _RoomConfig | None = Field(
        None,
        validation_alias=_either("room_config"),
        description="Only `agents[0].agent_name`, an agent of agents.yaml, and its `metadata`.",
    )


class _SessionName(_Lenient):
    room_name: SessionId


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client may have; None: the service chooses."""

    session_id: str | None
    user_id: str | None
    overrides: Overrides
    guest: Guest = field(repr=False)


def wish_of(body: Mapping[str, Any], *, room_prefix: str, default_agent: str | None) -> Wish:
    """What of LiveKit's request we honour.

    `default_agent`: an agent name that means the default agent: that under which our workers
    register, where agents.yaml has no agent of that name. None: there is no such name.

    Raises:
        BodyInvalidError: a field is wrong, or asks for what a client may not have.
    """
    given = dict(body)
    # Protobuf's JSON leaves out or empties what is not set.
    for name in ("room_name", "participant_identity", "participant_name", "participant_metadata"):
        for spelling in (name, to_camel(name)):
            if given.get(spelling) == "":
                del given[spelling]
    request = validated(LiveKitTokenBody, given)
    _refuse_privileged(request)
    session_id = None
    if request.room_name is not None:
        session_id = session_of_room(room_prefix, request.room_name) or request.room_name
        validated(_SessionName, {"room_name": session_id})
    guest = Guest(
        name=request.participant_name,
        metadata=request.participant_metadata,
        attributes=request.participant_attributes,
    )
    return Wish(session_id, request.participant_identity, _overrides(request, default_agent), guest)


def _refuse_privileged(request: LiveKitTokenBody) -> None:
    problems = [
        FieldProblem(f"participant_attributes.{name[:64]}", "names with lk. are LiveKit's own")
        for name in request.participant_attributes or {}
        if RESERVED_ATTRIBUTES.match(name)
    ]
    config = request.room_config or _RoomConfig()
    problems += [
        FieldProblem(f"room_config.{name}", "clients may not set this")
        for name in _RoomConfig.model_fields
        if name != "agents" and getattr(config, name)
    ]
    for agent in config.agents or ():
        problems += [
            FieldProblem(f"room_config.agents.0.{name}", "clients may not set this")
            for name in ("attributes", "deployment")
            if getattr(agent, name)
        ]
    if problems:
        raise BodyInvalidError(*problems)


def _overrides(request: LiveKitTokenBody, default_agent: str | None) -> Overrides:
    asked = (request.room_config and request.room_config.agents) or []
    config: dict[str, Any] = {}
    if asked and asked[0].agent_name and asked[0].agent_name != default_agent:
        config["agent"] = asked[0].agent_name
    if asked and asked[0].metadata:
        config["metadata"] = _facts(asked[0].metadata)
    try:
        return validated(Overrides, config)
    except BodyInvalidError as error:
        names = {"agent": "agent_name", "metadata": "metadata"}
        raise BodyInvalidError(
            *(
                FieldProblem(
                    f"room_config.agents.0.{names.get(p.field.partition('.')[0], 'metadata')}",
                    p.message,
                )
                for p in error.problems
            )
        ) from None


def _facts(metadata: str) -> dict[str, Any]:
    """Agent metadata as a session's facts: those of a JSON object, else the text as one fact."""
    try:
        value = json.loads(metadata)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"metadata": metadata}
