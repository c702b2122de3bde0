"""Session records to and from the fields of their Redis hash."""

import json
import string
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.sessions import events as ev
from assistant.sessions.errors import RecordError
from assistant.sessions.metadata import MAX_METADATA_BYTES, JobMetadata
from assistant.sessions.record import Reason, Session, State
from assistant.sessions.store import codec

_times = st.floats(min_value=0, max_value=1e11, allow_nan=False)
_texts = st.text(max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
_OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: _texts,
    int: st.integers(0, 10**6),
    float: _times,
    bool: st.booleans(),
    State: st.sampled_from(State),
    dict[str, Any]: st.dictionaries(_texts, _json, max_size=4),
    str | None: st.none() | _texts,
    int | None: st.none() | st.integers(0, 10**6),
    float | None: st.none() | _times,
    Reason | None: st.none() | st.sampled_from(Reason),
}
_HINTS = get_type_hints(Session)
sessions = st.builds(
    Session, **{field.name: _OF_TYPE[_HINTS[field.name]] for field in fields(Session)}
)


@settings(deadline=None)
@given(sessions)
def test_a_session_survives_the_hash(session: Session) -> None:
    """Every field of every record comes back as it went, through strings and through JSON."""
    encoded = codec.encode(session)
    stored = json.loads(json.dumps(encoded)) | {"version": str(session.version)}
    assert all(isinstance(value, str) for value in stored.values())
    assert codec.decode(session.id, stored) == session


def _session() -> Session:
    return Session(
        id="a",
        user_id="u",
        room="va-a",
        state=State.ACTIVE,
        created_at=1700000000.25,
        agent="assistant",
        spec="{}",
        config={"voice": "Ashley"},
        agent_pid=42,
        max_duration_s=600,
        user_join_timeout_s=60,
        user_return_timeout_s=20,
    )


def test_the_older_fields_keep_their_names() -> None:
    """Who reads `session:{id}` as before finds userId, status, agentPid, createdAt and config."""
    encoded = codec.encode(_session())
    assert encoded["userId"] == "u"
    assert encoded["status"] == "active"
    assert encoded["agentPid"] == "42"
    assert float(encoded["createdAt"]) == 1700000000.25
    assert json.loads(encoded["config"]) == {"voice": "Ashley"}
    assert "reason" not in encoded


@pytest.mark.parametrize(
    "damage",
    [{"status": "no-such-state"}, {"createdAt": "yesterday"}, {"config": "{"}, {"attempt": "x"}],
)
def test_a_damaged_record_is_refused_by_name(damage: dict[str, str]) -> None:
    """What cannot be read is never half a session."""
    with pytest.raises(RecordError) as refused:
        codec.decode("a", codec.encode(_session()) | damage)
    assert refused.value.session_id == "a"


def test_a_record_without_its_owner_is_refused() -> None:
    """A hash that lacks a field that every record has is not a record."""
    encoded = codec.encode(_session())
    del encoded["userId"]
    with pytest.raises(RecordError):
        codec.decode("a", encoded)


def test_private_fields_stay_out_of_the_timeline() -> None:
    """A start's prompt is in the record, never in its event."""
    started = ev.Started(at=1.0, task_id="t", spec='{"instructions":"secret"}', config={"a": 1})
    entry = codec.encode_event(started)
    assert entry["name"] == "session.queued"
    assert "secret" not in entry["data"]
    assert json.loads(entry["data"])["task_id"] == "t"


_ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)


@given(_ids, st.integers(1, 10**6))
def test_job_metadata_survives_the_dispatch(session: str, attempt: int) -> None:
    """What the dispatcher wrote is what the job reads."""
    metadata = JobMetadata(session=session, attempt=attempt)
    assert JobMetadata.decode(metadata.encode()) == metadata
    assert len(metadata.encode()) <= MAX_METADATA_BYTES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"session":"a"}',
        '{"session":"a","attempt":0}',
        '{"session":"a","attempt":"1"}',
        '{"session":"a","attempt":1,"more":2}',
        '{"session":"a/b","attempt":1}',
        '{"session":"","attempt":1}',
        "x" * 100_000,
        "[" * 400,
    ],
)
def test_other_metadata_is_not_ours(text: str) -> None:
    """Anything else is somebody else's dispatch, and never an error."""
    assert JobMetadata.decode(text) is None
