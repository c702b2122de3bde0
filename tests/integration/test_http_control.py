"""Live control over HTTP: who may, what is refused by name, and what waits for the agent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.sessions.store import keys
from assistant.sessions.store.commands import MAX_WAITING
from tests.integration.http_stack import (
    BACKEND_KEY,
    PAGE_KEY,
    PROJECT,
    WITH_KEYS,
    Stack,
    new_id,
    running_stack,
)
from tests.integration.test_http_bad_input import refused
from tests.integration.test_http_outages import frozen

pytestmark = pytest.mark.slow
GOOD: dict[str, dict[str, Any]] = {
    "say": {"text": "Hello."},
    "context": {"text": "The guest waits.", "reply": True},
    "instructions": {"instructions": "Be brief."},
    "agent": {"agent": "concierge"},
    "mute": {"who": "user", "muted": True},
}
BAD: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("say", {}, "text"),
    ("say", {"text": " "}, "text"),
    ("say", {"text": "x" * 8001}, "text"),
    ("say", {"text": "x", "when": "later"}, "when"),
    ("say", {"text": "x", "interruptible": "no"}, "interruptible"),
    ("say", {"text": "x", "voice": "y"}, "voice"),
    ("interrupt", {"force": True}, "force"),
    ("context", {"text": "x", "reply": 1}, "reply"),
    ("instructions", {"instructions": "é" * 9000}, "instructions"),
    ("agent", {"agent": "No One"}, "agent"),
    ("mute", {"who": "agent"}, "muted"),
    ("mute", {"who": "everybody", "muted": True}, "who"),
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("control")
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    own = document["agents"]["assistant"]
    document["agents"]["personal"] = {**own, "instructions": "You help {{ user_name }}."}
    # What it costs nobody knows: the others' models alone have a price.
    document["agents"]["dear"] = {**own, "llm": {"provider": "groq", "model": "dear-model"}}
    document["prices"] = {
        "currency": "EUR",
        "models": {
            "groq": {own["llm"]["model"]: {"input_tokens": 1, "output_tokens": 1}},
            "assemblyai": {own["stt"]["model"]: {"audio_minute": 1}},
            "inworld": {own["tts"]["model"]: {"characters": 1}},
        },
    }
    agents = folder / "agents.yaml"
    agents.write_text(yaml.safe_dump(document), encoding="utf-8")
    with running_stack(folder, **WITH_KEYS, ASSISTANT_AGENTS_FILE=str(agents)) as running:
        yield running


def made(stack: Stack) -> str:
    """A session that nobody has started."""
    session_id = new_id()
    with stack.client(BACKEND_KEY) as http:
        body = {"sessionId": session_id, "userId": "u"}
        assert http.post("/api/token", json=body).status_code == 200
    return session_id


def test_what_waits_for_an_agent_is_kept_in_order(stack: Stack) -> None:
    """Each is answered as queued, under a name of its own; its words are in no event and no log."""
    session_id = made(stack)
    with stack.client(BACKEND_KEY) as http:
        for name, body in GOOD.items():
            answer = http.post(f"/api/sessions/{session_id}/{name}", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json().keys() == {"success", "commandId", "status"}
            assert answer.json()["status"] == "queued"
        nobody = http.post(f"/api/sessions/{session_id}/interrupt", json={})
        refused(nobody, 409, "agent_not_in_room")
        timeline = http.get(f"/api/sessions/{session_id}").json()["timeline"]
    told = [entry["data"] for entry in timeline if entry["name"] == "control.requested"]
    assert [(data["kind"], data["by"]) for data in told] == [(name, "backend") for name in GOOD]
    assert len(stack.redis.xrange(keys.session_commands(session_id))) == len(GOOD)
    for text in ("The guest waits.", "Be brief."):
        assert text not in str(timeline) + stack.service.log()


def test_a_repeated_command_is_one_command(stack: Stack) -> None:
    """Under one idempotency key; without one it is another command."""
    session_id = made(stack)
    path = f"/api/sessions/{session_id}/say"
    with stack.client(BACKEND_KEY, **{"Idempotency-Key": new_id()}) as http:
        first, again = (http.post(path, json=GOOD["say"]) for _ in range(2))
        assert again.content == first.content
        assert again.headers["idempotency-replayed"] == "true"
        # As after an answer that was lost with the service: the command itself is known.
        stack.redis.delete(*stack.redis.scan_iter(f"{keys.idempotency('')}*"))
        assert http.post(path, json=GOOD["say"]).json() == first.json()
    with stack.client(BACKEND_KEY) as http:
        assert http.post(path, json=GOOD["say"]).json() != first.json()
    assert len(stack.redis.xrange(keys.session_commands(session_id))) == 2


def test_wrong_bodies_are_refused_by_field(stack: Stack) -> None:
    """And nothing is queued."""
    session_id = made(stack)
    with stack.client(BACKEND_KEY) as http:
        for name, body, field in BAD:
            answer = http.post(f"/api/sessions/{session_id}/{name}", json=body)
            problem = refused(answer, 422, "invalid_body")
            assert [wrong["field"] for wrong in problem["errors"]] == [field], (name, body)
    assert not stack.redis.exists(keys.session_commands(session_id))


def test_refusals_have_names(stack: Stack) -> None:
    """Whoever may not; what is not there, over or full; and words that lack a name."""
    session_id = made(stack)
    base = f"/api/sessions/{session_id}"
    with stack.client(PAGE_KEY) as page:
        for name, body in GOOD.items():
            refused(page.post(f"{base}/{name}", json=body), 403, "forbidden")
    with stack.client(BACKEND_KEY) as http:
        for name, body in {**GOOD, "interrupt": {}}.items():
            answer = http.post(f"/api/sessions/nobody/{name}", json=body)
            refused(answer, 404, "session_not_found")
        unknown = http.post(f"{base}/agent", json={"agent": "nobody"})
        problem = refused(unknown, 422, "unknown_agent")
        assert problem["errors"][0]["field"] == "agent"
        lacking = http.post(f"{base}/agent", json={"agent": "personal"})
        assert "user_name" in refused(lacking, 422, "override_not_allowed")["detail"]
        for _ in range(MAX_WAITING):
            assert http.post(f"{base}/say", json=GOOD["say"]).status_code == 200
        full = http.post(f"{base}/mute", json=GOOD["mute"])
        assert refused(full, 429, "too_many_commands")
        assert full.headers["retry-after"]
        http.post("/api/session/end", json={"sessionId": session_id})
        for name, body in {**GOOD, "interrupt": {}}.items():
            refused(http.post(f"{base}/{name}", json=body), 409, "session_over")
        # Whoever is named in the metadata can be helped by name, and is heard by whoever comes.
        named = {
            "sessionId": new_id(),
            "userId": "u",
            "config": {"metadata": {"user_name": "Ada"}, "maxCost": 5, "keyterms": ["Lovelace"]},
        }
        assert http.post("/api/session/start", json=named).status_code == 200
        path = f"/api/sessions/{named['sessionId']}/agent"
        assert http.post(path, json={"agent": "personal"}).status_code == 200
        # A budget in money is not kept by an agent of which nobody knows what it costs.
        unknown = http.post(path, json={"agent": "dear"})
        assert "dear-model" in refused(unknown, 422, "override_not_allowed")["detail"]
    rows = stack.redis.xrange(keys.session_commands(str(named["sessionId"])))
    assert "You help Ada." in rows[0][1]["command"]
    assert "Lovelace" in rows[0][1]["command"]


def test_without_redis_nothing_is_promised(stack: Stack) -> None:
    """503, with when to come back."""
    session_id = made(stack)
    with frozen(stack.valkey), stack.client(BACKEND_KEY) as http:
        answer = http.post(f"/api/sessions/{session_id}/say", json=GOOD["say"])
    refused(answer, 503, "store_unavailable")
    assert answer.headers["retry-after"]
