"""What bodies are read, and what is refused."""

import json
from typing import Any

import pytest

from token_service.bodies import EndBody, StartBody, TokenBody, parse_object, validated
from token_service.errors import BodyInvalidError, BodySyntaxError

GOOD = {"sessionId": "call-42", "userId": "user 7"}


def test_good_bodies() -> None:
    """What the documentation shows is read as it stands."""
    body = validated(TokenBody, parse_object(json.dumps(GOOD).encode()))
    assert (body.session_id, body.user_id, body.session_key) == ("call-42", "user 7", None)
    start = validated(
        StartBody, {**GOOD, "config": {"systemPrompt": "Be brief.", "maxDuration": 9}}
    )
    assert start.config is not None
    assert start.config.system_prompt == "Be brief."
    assert validated(EndBody, {"sessionId": "x", "reason": "bye"}).reason == "bye"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff{}", "UTF-8"),
        (b'{"sessionId": NaN}', "NaN is not JSON"),
        (b'{"sessionId": Infinity}', "Infinity is not JSON"),
        (b'{"sessionId": -Infinity}', "-Infinity is not JSON"),
        (b'{"sessionId": 1e999}', "too large"),
        (b'{"sessionId": ' + b"9" * 5000 + b"}", "longer than"),
        (b'{"sessionId": 0.' + b"9" * 5000 + b"}", "too large or too long"),
        (b'{"sessionId": "a", "sessionId": "b"}', "sessionId is there twice"),
        (b'{"config": {"voice": "a", "voice": "b"}}', "voice is there twice"),
        (b"[" * 30_000, "nested deeper"),
        (b"[" * 20 + b"]" * 20, "nested deeper"),
        (b'{"a":' * 30_000, "nested deeper"),
        (b"{'sessionId': 'a'}", "not valid JSON"),
        (b'{"sessionId": "a"} trailing', "not valid JSON"),
    ],
)
def test_what_is_not_json(body: bytes, words: str) -> None:
    """Python's own parser takes or drops some of these; we refuse them and say why."""
    with pytest.raises(BodySyntaxError, match=words):
        parse_object(body)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"[]", "", "must be a JSON object"),
        (b'"text"', "", "must be a JSON object"),
        (b"null", "", "must be a JSON object"),
        (rb'{"userId": "a\u0000b"}', "userId", "NUL"),
        (rb'{"userId": "\ud800"}', "userId", "surrogate"),
        (rb'{"config": {"greeting": "\udfff!"}}', "config.greeting", "surrogate"),
        (rb'{"config": {"metadata": {"a\u0000": 1}}}', "config.metadata", "NUL"),
        (rb'{"list": ["ok", "\ud9ff"]}', "list.1", "surrogate"),
    ],
)
def test_texts_that_nothing_can_store(body: bytes, field: str, words: str) -> None:
    """NUL and lone surrogates are refused wherever they stand, and the field is named."""
    with pytest.raises(BodyInvalidError) as caught:
        parse_object(body)
    assert caught.value.problems[0].field == field
    assert words in caught.value.problems[0].message


def test_a_pair_of_surrogates_is_one_character() -> None:
    """An emoji that was written as two escapes is text like any other."""
    assert parse_object(rb'{"userId": "\ud83d\ude00"}') == {"userId": "\N{GRINNING FACE}"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"userId": "u"}, "sessionId"),
        ({"sessionId": "s"}, "userId"),
        ({**GOOD, "sessionId": ""}, "sessionId"),
        ({**GOOD, "sessionId": "a" * 65}, "sessionId"),
        ({**GOOD, "sessionId": "a/b"}, "sessionId"),
        ({**GOOD, "sessionId": "a\n"}, "sessionId"),
        ({**GOOD, "sessionId": "é"}, "sessionId"),
        ({**GOOD, "sessionId": 7}, "sessionId"),
        ({**GOOD, "sessionId": None}, "sessionId"),
        ({**GOOD, "userId": ""}, "userId"),
        ({**GOOD, "userId": "a" * 129}, "userId"),
        ({**GOOD, "userId": "\N{GRINNING FACE}" * 65}, "userId"),
        ({**GOOD, "userId": "agent-call-42-1"}, "userId"),
        ({**GOOD, "userId": "a\u202eb"}, "userId"),
        ({**GOOD, "userId": ["u"]}, "userId"),
        ({**GOOD, "sessionKey": ""}, "sessionKey"),
        ({**GOOD, "sessionKey": "k" * 129}, "sessionKey"),
        ({**GOOD, "roomConfig": {}}, "roomConfig"),
        ({**GOOD, "session_id": "x"}, "session_id"),
        ({**GOOD, "config": "voice"}, "config"),
        ({**GOOD, "config": {"voicee": "x"}}, "config.voicee"),
        ({**GOOD, "config": {"system_prompt": "x"}}, "config.system_prompt"),
        ({**GOOD, "config": {"systemPrompt": ""}}, "config.systemPrompt"),
        ({**GOOD, "config": {"systemPrompt": "x" * 16_385}}, "config.systemPrompt"),
        ({**GOOD, "config": {"maxDuration": "9"}}, "config.maxDuration"),
        ({**GOOD, "config": {"maxDuration": True}}, "config.maxDuration"),
        ({**GOOD, "config": {"maxDuration": -1}}, "config.maxDuration"),
        ({**GOOD, "config": {"metadata": {"a": {"b": 1}}}}, "config.metadata.a"),
        ({**GOOD, "config": {"agent": "No Such"}}, "config.agent"),
    ],
)
def test_wrong_fields_are_named(body: dict[str, Any], field: str) -> None:
    """A missing, extra or wrong field of a start is refused under its own path."""
    with pytest.raises(BodyInvalidError) as caught:
        validated(StartBody, body)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_what_was_sent_is_not_repeated() -> None:
    """An error names the field, and does not echo its value into answers and logs."""
    with pytest.raises(BodyInvalidError) as caught:
        validated(StartBody, {**GOOD, "sessionKey": "canary" * 50, "userId": "canary\n"})
    assert "canary" not in str(caught.value)


def test_the_session_key_is_in_no_repr() -> None:
    """A body that is logged by mistake does not give the session away."""
    assert "canary" not in repr(validated(TokenBody, {**GOOD, "sessionKey": "canary-key"}))
