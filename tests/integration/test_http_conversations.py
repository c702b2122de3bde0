"""Transcript, report and recording over HTTP: whose they are, and what is said otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.local_stack.ports import HOST, free_port
from assistant.sessions.item import Item, ToolUse
from assistant.sessions.store import keys
from tests.integration.http_stack import (
    BACKEND_KEY,
    PAGE_KEY,
    WITH_KEYS,
    Stack,
    new_id,
    run_service,
    running_stack,
)
from tests.integration.test_http_bad_input import refused

pytestmark = pytest.mark.slow
TOOL = ToolUse(name="look", call_id="c", arguments="{}", output="found", is_error=False)
SAID = (
    Item(id="1", role="assistant", text="Hello!", interrupted=False, at=1.0, attempt=1),
    Item(id="2", role="tool", text="", interrupted=False, at=2.0, attempt=1, tool=TOOL),
    Item(id="3", role="user", text="Hi.", interrupted=False, at=3.0, attempt=1),
)
LOGGED = [
    {"at": 2.5, "level": "info", "event": "turn.completed", "fields": {"turn": 1}},
    {"at": 3.5, "level": "error", "event": "job.failed", "fields": {}},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conversations")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    place = {"ASSISTANT_RECORDINGS_URL": f"file://{folder}/recordings"}
    with running_stack(folder, **WITH_KEYS, **place) as running:
        running.has_worker()
        yield running


@pytest.fixture
def talk(stack: Stack, folder: Path) -> Iterator[tuple[str, str]]:
    """A page's session in which something was said and recorded; its id and its key."""
    session_id = new_id()
    with stack.client(PAGE_KEY) as page:
        minted = page.post("/api/token", json={"sessionId": session_id, "userId": "u"}).json()
    for item in SAID:
        stack.redis.rpush(keys.session_items(session_id), item.model_dump_json())
    recording = {"address": "here", "bytes": 4, "stored_at": 1.0, "started_at": None}
    stack.redis.hset(keys.session_report(session_id), "recording:2", json.dumps(recording))
    stack.redis.hset(keys.session_report(session_id), "logs:2", json.dumps(LOGGED))
    sound = folder / "recordings" / session_id / "2.ogg"
    sound.parent.mkdir(parents=True)
    sound.write_bytes(b"OggS")
    yield session_id, minted["sessionKey"]
    with stack.client(BACKEND_KEY) as backend:
        backend.delete(f"/api/sessions/{session_id}")


def test_a_page_reads_its_own_transcript_without_tools(stack: Stack, talk: tuple[str, str]) -> None:
    """With its session's key; a backend sees tools as well, and pages of what was said."""
    session_id, session_key = talk
    path = f"/api/sessions/{session_id}/transcript"
    with stack.client(PAGE_KEY) as page:
        refused(page.get(path), 404, "session_not_found")
        headers = {"X-Session-Key": session_key}
        own = page.get(path, headers=headers).json()
        lines = page.get(path, params={"format": "text"}, headers=headers).text
    assert [item["text"] for item in own["items"]] == ["Hello!", "Hi."]
    assert "look" not in lines
    with stack.client(BACKEND_KEY) as backend:
        first = backend.get(path, params={"limit": 2}).json()
        last = backend.get(path, params={"limit": 2, "cursor": first["cursor"]}).json()
        assert [item["role"] for item in first["items"]] == ["assistant", "tool"]
        assert first["items"][1]["tool"]["output"] == "found"
        assert [item["id"] for item in last["items"]] == ["3"]
        for wrong in ({"format": "xml"}, {"cursor": "x"}, {"limit": "0"}, {"page": "1"}):
            refused(backend.get(path, params=wrong), 422, "invalid_query")
        refused(backend.get("/api/sessions/nobody/transcript"), 404, "session_not_found")


def test_what_is_left_of_a_session_is_for_backends(stack: Stack, talk: tuple[str, str]) -> None:
    """Report, logs, and the latest recording unless an attempt is named; what is not there is said
    to be missing.
    """
    session_id, session_key = talk
    base = f"/api/sessions/{session_id}"
    with stack.client(PAGE_KEY) as page:
        for what in ("report", "recording", "logs", "events?partials=true"):
            answer = page.get(f"{base}/{what}", headers={"X-Session-Key": session_key})
            refused(answer, 403, "forbidden")
    with stack.client(BACKEND_KEY) as backend:
        report = backend.get(f"{base}/report").json()
        assert [item["tool"]["name"] for item in report["toolCalls"]] == ["look"]
        assert (report["ready"], report["outcome"], report["agentMessages"]) == (False, None, 1)
        assert report["recordings"][0]["address"] == "here"
        for path in ("recording", "recording?attempt=2"):
            sound = backend.get(f"{base}/{path}")
            assert (sound.content, sound.headers["content-type"]) == (b"OggS", "audio/ogg")
        logs = backend.get(f"{base}/logs").json()
        assert logs["lines"] == [{"attempt": 2, **line} for line in LOGGED]
        assert "turn.completed" not in json.dumps(report)
        refused(backend.get(f"{base}/recording?attempt=1"), 404, "recording_not_found")
        refused(backend.get(f"{base}/recording?attempt=x"), 422, "invalid_query")
        refused(backend.get("/api/sessions/nobody/report"), 404, "session_not_found")


def test_erased_with_its_recordings(stack: Stack, talk: tuple[str, str], folder: Path) -> None:
    """While they cannot be erased, nothing is, so that it can be tried again."""
    session_id, _ = talk
    path = f"/api/sessions/{session_id}"
    away = {
        "ASSISTANT_RECORDINGS_URL": "s3://bucket",
        "ASSISTANT_RECORDINGS_ENDPOINT": f"http://{HOST}:{free_port()}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with stack.another_service(**away) as url, stack.client(BACKEND_KEY, url=url) as backend:
        refused(backend.delete(path), 503, "recordings_unavailable")
    with stack.client(BACKEND_KEY) as backend:
        assert backend.get(f"{path}/transcript").json()["items"]
        assert backend.delete(path).status_code == 200
        refused(backend.get(f"{path}/transcript"), 404, "session_not_found")
    assert [found for found in (folder / "recordings").rglob("*") if found.is_file()] == []
    assert list(stack.redis.scan_iter(f"session:{session_id}*")) == []


def test_without_a_place_nothing_is_recorded(stack: Stack) -> None:
    """A session that asks for it is refused, in words that say what to set."""
    body = {"sessionId": new_id(), "userId": "u", "config": {"record": "audio"}}
    with (
        stack.another_service(ASSISTANT_RECORDINGS_URL="") as url,
        stack.client(BACKEND_KEY, url=url) as backend,
    ):
        problem = refused(
            backend.post("/api/session/start", json=body), 422, "override_not_allowed"
        )
    assert "ASSISTANT_RECORDINGS_URL" in json.dumps(problem)


def test_a_place_that_cannot_be_is_refused_at_the_start(stack: Stack, tmp_path: Path) -> None:
    for url in ("file:///proc/nowhere", "ftp://somewhere"):
        place = {"ASSISTANT_RECORDINGS_URL": url, "ASSISTANT_HTTP_PORT": "0"}
        done = run_service({**stack.environ, **place}, tmp_path)
        assert done.returncode == 2
        assert "ASSISTANT_RECORDINGS_URL" in done.stderr
        assert "Traceback" not in done.stderr
