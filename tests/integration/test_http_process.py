"""The process: how it starts, refuses to start, and stops."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.catalog import Catalog
from tests.integration.http_stack import (
    BACKEND_KEY,
    PROJECT,
    Running,
    Stack,
    new_id,
    run_service,
    running_stack,
)
from tests.timing import scaled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("process")) as running:
        yield running


def test_missing_livekit(tmp_path: Path) -> None:
    """Without LiveKit's variables it names all three, and exits with 2."""
    result = run_service({}, tmp_path)
    assert result.returncode == 2
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        assert f"{name}: is not set" in result.stderr
    assert "Traceback" not in result.stderr


def test_env_file(stack: Stack, tmp_path: Path) -> None:
    """A .env in the working folder is read; the environment goes before it."""
    (tmp_path / ".env").write_text("LIVEKIT_URL=ftp://wrong\nASSISTANT_HTTP_POTR=1\n")
    result = run_service({"LIVEKIT_URL": stack.livekit_url}, tmp_path)
    assert result.returncode == 2
    assert "ASSISTANT_HTTP_POTR: is not a setting" in result.stderr


def test_open_to_the_world_without_keys(stack: Stack, tmp_path: Path) -> None:
    """It refuses to listen beyond loopback while nobody needs a key."""
    result = run_service({**stack.environ, "ASSISTANT_HTTP_HOST": "0.0.0.0"}, tmp_path)
    assert result.returncode == 2
    assert "ASSISTANT_HTTP_HOST" in result.stderr


def test_wrong_agents_file(stack: Stack, tmp_path: Path) -> None:
    """A mistake in agents.yaml is shown with its place, and the exit status is 2."""
    file = tmp_path / "agents.yaml"
    file.write_text("version: 1\ndefault: nobody\nagents: {}\n")
    result = run_service({**stack.environ, "ASSISTANT_AGENTS_FILE": str(file)}, tmp_path)
    assert result.returncode == 2
    assert "agents.yaml:" in result.stderr
    assert "Traceback" not in result.stderr
    missing = run_service({**stack.environ, "ASSISTANT_AGENTS_FILE": "none.yaml"}, tmp_path)
    assert (missing.returncode, "none.yaml" in missing.stderr) == (2, True)


def test_a_wrong_key_is_not_printed(stack: Stack, tmp_path: Path) -> None:
    """A key that is refused appears in no message."""
    environ = {**stack.environ, "ASSISTANT_SECRET_KEYS": f"backend:{BACKEND_KEY} canary"}
    result = run_service(environ, tmp_path)
    assert result.returncode == 2
    assert BACKEND_KEY not in result.stderr
    assert stack.livekit_keys.api_secret not in result.stderr


def test_busy_port(stack: Stack, tmp_path: Path) -> None:
    """A taken port is named, with exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run_service({**stack.environ, "ASSISTANT_HTTP_PORT": port}, tmp_path)
    assert result.returncode == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT stop it cleanly: status 0, no traceback, nothing left unclosed."""
    with running_stack(tmp_path) as stack:
        with stack.client() as http:
            http.post("/api/token", json={"sessionId": new_id(), "userId": "u"})
        assert stack.service.stop(number) == 0
        text = stack.service.log()
    assert "service.stopped" in text
    for word in ("Traceback", "unclosed", "was never"):
        assert word not in text


def test_a_changed_agents_file(tmp_path: Path) -> None:
    """SIGHUP: a wrong file is refused by every name and changes nothing; a right one is what new
    sessions get, while those that were started keep their agent.
    """
    file = tmp_path / "agents.yaml"
    shipped = (PROJECT / "agents.yaml").read_text(encoding="utf-8")
    file.write_text(shipped, encoding="utf-8")
    with (
        running_stack(tmp_path, ASSISTANT_AGENTS_FILE=str(file)) as stack,
        stack.client() as http,
    ):
        stack.has_worker()
        before = http.get("/stats").json()["catalog"]
        assert before["digest"] == Catalog.load(file).digest
        old = new_id()
        body = {"sessionId": old, "userId": "u", "config": {"agent": "storyteller"}}
        assert http.post("/api/session/start", json=body).status_code == 200
        spec = stack.record(old)["spec"]

        file.write_text(shipped.replace("provider: groq", "provider: grok"), encoding="utf-8")
        stack.service.process.send_signal(signal.SIGHUP)
        log = wait_for_log(stack.service, "catalog.refused")
        for agent in ("assistant", "concierge", "storyteller"):
            assert f"agents.{agent}.llm.provider: expected one of" in log
        assert http.get("/stats").json()["catalog"] == before

        file.write_text(shipped.replace("  storyteller:\n", "  bard:\n"), encoding="utf-8")
        stack.service.process.send_signal(signal.SIGHUP)
        wait_for_log(stack.service, "catalog.replaced")
        after = http.get("/stats").json()["catalog"]
        assert after["digest"] == Catalog.load(file).digest != before["digest"]
        assert after["since"] > before["since"]
        gone = http.post("/api/session/start", json={**body, "sessionId": new_id()})
        assert (gone.status_code, "bard" in gone.json()["detail"]) == (422, True)
        known = {**body, "sessionId": new_id(), "config": {"agent": "bard"}}
        assert http.post("/api/session/start", json=known).status_code == 200
        assert "bard" in {agent["name"] for agent in http.get("/api/talk").json()["agents"]}
        assert stack.record(old)["spec"] == spec
        assert http.post("/api/session/start", json=body).json()["sessionId"] == old


def wait_for_log(service: Running, event: str) -> str:
    """The log, once it has this event."""
    deadline = time.monotonic() + scaled(10)
    while event not in service.log():
        assert time.monotonic() < deadline, service.log()[-4000:]
        time.sleep(0.02)
    return service.log()
