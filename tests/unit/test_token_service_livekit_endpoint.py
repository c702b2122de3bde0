"""What of LiveKit's token request is honoured, and what is refused."""

from typing import Any

import pytest

from token_service.errors import BodyInvalidError
from token_service.livekit_endpoint import Wish, wish_of


def wish(body: dict[str, Any]) -> Wish:
    return wish_of(body, room_prefix="va-", default_agent="workers")


def test_nothing_asked() -> None:
    """All fields are optional; protobuf's empty values count as not set."""
    for body in ({}, {"room_name": "", "participantIdentity": "", "participant_attributes": {}}):
        asked = wish(body)
        assert (asked.session_id, asked.user_id) == (None, None)
        assert asked.overrides.given() == ()


def test_everything_asked_in_both_spellings() -> None:
    """Snake and camel case are the same, and fields from the future are ignored."""
    snake = {
        "room_name": "va-call",
        "participant_name": "Zoë",
        "participant_identity": "zoe",
        "participant_metadata": "m",
        "participant_attributes": {"colour": "red"},
        "room_config": {"agents": [{"agent_name": "concierge", "metadata": '{"seat": 4}'}]},
        "from_the_future": True,
    }
    camel = {
        "roomName": "call",
        "participantName": "Zoë",
        "participantIdentity": "zoe",
        "participantMetadata": "m",
        "participantAttributes": {"colour": "red"},
        "roomConfig": {"agents": [{"agentName": "concierge", "metadata": '{"seat": 4}'}]},
    }
    assert wish(snake) == wish(camel)
    asked = wish(snake)
    assert (asked.session_id, asked.user_id) == ("call", "zoe")
    assert asked.overrides.agent == "concierge"
    assert asked.overrides.metadata == {"seat": 4}
    assert asked.guest.name == "Zoë"


def test_agent_names_and_metadata() -> None:
    """Our workers' own name means the default agent; metadata that is no object is one fact."""
    agents = [{"agent_name": "workers", "metadata": "hello"}]
    asked = wish({"room_config": {"agents": agents}})
    assert asked.overrides.agent is None
    assert asked.overrides.metadata == {"metadata": "hello"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"room_name": "a b"}, "room_name"),
        ({"room_name": 7}, "room_name"),
        ({"participant_identity": "agent-x-1"}, "participant_identity"),
        ({"participant_identity": "a" * 129}, "participant_identity"),
        ({"participant_name": "a" * 129}, "participant_name"),
        ({"participant_metadata": "a" * 8193}, "participant_metadata"),
        (
            {"participant_attributes": {"lk.agent.state": "x"}},
            "participant_attributes.lk.agent.state",
        ),
        ({"participant_attributes": {"a": 1}}, "participant_attributes.a"),
        ({"participant_attributes": {str(i): "" for i in range(17)}}, "participant_attributes"),
        ({"room_config": {"egress": {"room": {}}}}, "room_config.egress"),
        ({"roomConfig": {"maxParticipants": 5}}, "room_config.max_participants"),
        ({"room_config": {"empty_timeout": 9}}, "room_config.empty_timeout"),
        ({"room_config": {"departureTimeout": 9}}, "room_config.departure_timeout"),
        ({"room_config": {"metadata": "x"}}, "room_config.metadata"),
        ({"room_config": {"agents": [{}, {}]}}, "room_config.agents"),
        ({"room_config": {"agents": [{"deployment": "x"}]}}, "room_config.agents.0.deployment"),
        (
            {"room_config": {"agents": [{"attributes": {"a": "b"}}]}},
            "room_config.agents.0.attributes",
        ),
        ({"room_config": {"agents": [{"agent_name": "A B"}]}}, "room_config.agents.0.agent_name"),
        ({"room_config": {"agents": [{"metadata": '{"a": []}'}]}}, "room_config.agents.0.metadata"),
    ],
)
def test_what_clients_may_not_have(body: dict[str, Any], field: str) -> None:
    """Privileges and wrong values are refused by name."""
    with pytest.raises(BodyInvalidError) as caught:
        wish(body)
    found = caught.value.problems[0].field.replace("roomConfig", "room_config")
    assert found == field
