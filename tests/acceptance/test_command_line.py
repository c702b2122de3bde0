"""The command line: what each command says, does, and exits with."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from livekit import api

from assistant.local_stack.guard import group_is_alive
from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import RunningPart
from assistant.rehearsal.caller import Caller
from tests.acceptance.commands import Ran, command_part, ended, family, gone, run_command, until
from tests.acceptance.system import PROJECT, System
from tests.acceptance.test_main_job import livekit
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGENTS = PROJECT / "agents.yaml"
OK = 0
FAILED = 1
MISCONFIGURED = 2
CONNECTED_WITHIN_S = 60.0  # loads the SDK, and warms one job process, on a busy machine
GREETING_WITHIN_S = 15.0
EXIT_WITHIN_S = 20.0
WORKER_WITHIN_S = 60.0


def complete() -> dict[str, str]:
    """An environment with which a worker would start."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LIVEKIT_URL": "ws://127.0.0.1:7880",
        "LIVEKIT_API_KEY": "a-key",
        "LIVEKIT_API_SECRET": "s" * 32,
        "GROQ_API_KEY": "groq-canary",
        "ASSEMBLYAI_API_KEY": "assemblyai-canary",
        "INWORLD_API_KEY": "inworld-canary",
        "ASSISTANT_AGENTS_FILE": str(AGENTS),
    }


async def run(
    *args: str, cwd: Path, environ: Mapping[str, str] | None = None, **changes: str | None
) -> Ran:
    """Run a command in a folder without `.env`; a change to None takes a variable away."""
    changed = {**(environ or complete()), **changes}
    return await run_command(
        *args, environ={name: v for name, v in changed.items() if v is not None}, cwd=cwd
    )


# --- check


async def test_check_shows_what_would_run(tmp_path: Path) -> None:
    """With everything set: a table of all agents, no name cut, no key shown, exit 0."""
    ran = await run("check", cwd=tmp_path)
    assert ran.code == OK, ran.text
    for word in ("assistant (default)", "concierge", "storyteller", "ready to start"):
        assert word in ran.out
    for model in ("universal-3-6-pro", "llama-3.3-70b-versatile", "inworld-tts-1.5-mini"):
        assert model in ran.out
    assert "canary" not in ran.text
    assert "s" * 32 not in ran.text


async def test_check_takes_the_older_name_of_the_assemblyai_key(tmp_path: Path) -> None:
    """Who comes from the older backend need not rename a key."""
    ran = await run("check", cwd=tmp_path, ASSEMBLYAI_API_KEY=None, ASSEMBLY_API_KEY="older")
    assert ran.code == OK, ran.text


async def test_a_model_that_was_not_downloaded_is_named(tmp_path: Path) -> None:
    """The worker does not start without it: jobs would fail, one by one."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    document["agents"]["concierge"]["turn_detection"] = "multilingual"
    file = tmp_path / "agents.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    cache = str(tmp_path / "no-models")
    ran = await run("start", cwd=tmp_path, ASSISTANT_AGENTS_FILE=str(file), HF_HOME=cache)
    assert ran.code == FAILED
    assert "agents.concierge.turn_detection" in ran.text
    assert "download-files" in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("command", ["check", "start"])
async def test_every_missing_key_is_named(command: str, tmp_path: Path) -> None:
    """Each vendor's key that an agent needs is named at once, with who needs it; exit 2."""
    without = dict.fromkeys(("GROQ_API_KEY", "ASSEMBLYAI_API_KEY", "INWORLD_API_KEY"))
    ran = await run(command, cwd=tmp_path, **without)
    assert ran.code == MISCONFIGURED
    for name in without:
        assert name in ran.text
    assert "concierge" in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("command", ["check", "start"])
async def test_every_wrong_setting_is_named(command: str, tmp_path: Path) -> None:
    """What is missing, malformed or out of range is told in one run, and what it should be."""
    ran = await run(
        command,
        cwd=tmp_path,
        LIVEKIT_URL="localhost",
        LIVEKIT_API_KEY=None,
        LIVEKIT_API_SECRET="short",
        MAX_BOTS="many",
        PREWARM_POOL_SIZE="0",
    )
    assert ran.code == MISCONFIGURED
    said = ran.text
    assert "LIVEKIT_URL: Value error, must start with ws://" in said
    assert "LIVEKIT_API_KEY: is not set" in said
    assert "LIVEKIT_API_SECRET: Value error, must have at least 32 bytes" in said
    assert "MAX_BOTS" in said
    assert "PREWARM_POOL_SIZE" in said
    assert "short" not in said.replace("shorter", "")
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["check", "start", "download-files"])
async def test_an_unknown_setting_is_refused(command: str, tmp_path: Path) -> None:
    """A misspelt limit is not silently ignored by any command."""
    ran = await run(command, cwd=tmp_path, ASSISTANT_MAX_JOB="3")
    assert ran.code == MISCONFIGURED
    assert "ASSISTANT_MAX_JOB: is not a setting; did you mean ASSISTANT_MAX_JOBS?" in ran.text


async def test_the_older_backends_setting_is_ignored_with_a_warning(tmp_path: Path) -> None:
    """PYTHON_SCRIPT_PATH in an old `.env` stops nothing, and is told."""
    (tmp_path / ".env").write_text("PYTHON_SCRIPT_PATH=voice_assistant.py\n")
    ran = await run("check", cwd=tmp_path)
    assert ran.code == OK, ran.text
    assert "PYTHON_SCRIPT_PATH" in ran.err


async def test_env_file_fills_what_is_not_set(tmp_path: Path) -> None:
    """`.env` of the working folder is read, and does not overrule the environment."""
    (tmp_path / ".env").write_text("GROQ_API_KEY=from-file\nLIVEKIT_URL=ws://file.example\n")
    ran = await run("check", cwd=tmp_path, GROQ_API_KEY=None)
    assert ran.code == OK, ran.text
    assert "file.example" not in ran.text


MISTAKES = {
    "    greeting: Hello!": (
        "    greting: Hello!",
        "greting: unknown key; did you mean 'greeting'?",
    ),
    "      temperature: 0.6": (
        "      temperature: hot",
        "agents.assistant.llm.temperature: expected a number, got 'hot'",
    ),
    "      voice: inworld-female-1": (
        "      voice: inworld-female-7",
        "agents.assistant.tts.voice",
    ),
}


@pytest.mark.parametrize("command", ["check", "start"])
async def test_mistakes_of_agents_yaml_are_shown(command: str, tmp_path: Path) -> None:
    """Each mistake comes with file, line, path and a suggestion; all in one run; exit 2."""
    text = AGENTS.read_text(encoding="utf-8")
    expected = []
    for right, (wrong, message) in MISTAKES.items():
        assert right in text
        text = text.replace(right, wrong, 1)
        line = text[: text.index(wrong)].count("\n") + 1
        expected.append((f"agents.yaml:{line}: ", message))
    (tmp_path / "agents.yaml").write_text(text, encoding="utf-8")
    ran = await run(command, cwd=tmp_path, ASSISTANT_AGENTS_FILE=None)
    assert ran.code == MISCONFIGURED
    for place, message in expected:
        assert any(place in said and message in said for said in ran.text.splitlines()), ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("command", ["check", "start", "connect", "download-files"])
async def test_a_missing_agents_yaml_is_told(command: str, tmp_path: Path) -> None:
    """In a wrong folder the message names the file."""
    args = (command, "--room", "any") if command == "connect" else (command,)
    ran = await run(*args, cwd=tmp_path, ASSISTANT_AGENTS_FILE=None)
    assert ran.code == MISCONFIGURED
    assert "agents.yaml: cannot be read: No such file or directory" in ran.text


async def test_download_files_says_what_it_did(tmp_path: Path) -> None:
    """None of the agents wants weights from outside, so there is nothing to do."""
    ran = await run("download-files", cwd=tmp_path)
    assert ran.code == OK, ran.text
    assert ran.out.strip() == "nothing to download"


# --- start, where it does not


async def test_a_busy_health_port_is_told(system: System, tmp_path: Path) -> None:
    """The second worker of a host says what to set."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        ran = await run(
            "start",
            cwd=tmp_path,
            environ=system.environ,
            ASSISTANT_AGENTS_FILE=str(AGENTS),
            ASSISTANT_WORKER_HTTP_PORT=str(port),
        )
    assert ran.code == FAILED
    assert f"cannot listen on 127.0.0.1:{port}" in ran.err
    assert "ASSISTANT_WORKER_HTTP_PORT" in ran.err
    assert "Traceback" not in ran.err


# --- connect


@asynccontextmanager
async def room(system: System, name: str) -> AsyncIterator[api.LiveKitAPI]:
    """A room that somebody else made."""
    async with livekit(system) as client:
        await client.room.create_room(api.CreateRoomRequest(name=name, empty_timeout=60))
        yield client


def token(system: System, name: str, identity: str, *, agent: bool = False) -> str:
    grants = api.VideoGrants(room_join=True, room=name, agent=agent)
    made = api.AccessToken(system.keys.api_key, system.keys.api_secret)
    made.with_identity(identity).with_grants(grants)
    return (made.with_kind("agent") if agent else made).to_jwt()


def without_redis(system: System) -> dict[str, str]:
    """What `connect` gets: no server, no service, and a Redis that is not there."""
    environ = {name: v for name, v in system.environ.items() if name != "LIVEKIT_URL"}
    return {
        **environ,
        "ASSISTANT_AGENTS_FILE": str(AGENTS),
        "REDIS_URL": f"redis://{HOST}:{free_port()}/0",
    }


@asynccontextmanager
async def connecting(
    system: System, *args: str, environ: Mapping[str, str], cwd: Path
) -> AsyncIterator[RunningPart]:
    part = command_part(
        "connect", "connect", "--url", system.livekit_url, *args, environ=environ, cwd=cwd
    )
    running = await system.supervisor.start(part)
    try:
        yield running
    finally:
        await system.supervisor.stop("connect")


async def greeted(system: System, name: str, words: str) -> str:
    """Join as a caller, wait to be greeted aloud with these words; returns the agent's identity."""
    async with Caller(system.livekit_url, token(system, name, "ann")) as caller:
        agent = await caller.wait_for_agent(scaled(CONNECTED_WITHIN_S))
        sound = await caller.wait_for_speech(scaled(GREETING_WITHIN_S), since=agent.joined)
        assert sound.started >= agent.joined
        await caller.wait_for_line(
            "agent", lambda line: words in line.text, scaled(GREETING_WITHIN_S)
        )
        return agent.identity


async def test_connect_joins_one_room_and_leaves_with_it(system: System, tmp_path: Path) -> None:
    """Without dispatch, service or Redis an agent greets, and exits 0 once the room is deleted."""
    async with room(system, "connect-one") as client:
        args = ("--room", "connect-one")
        async with connecting(system, *args, environ=without_redis(system), cwd=tmp_path) as agent:
            assert (await greeted(system, "connect-one", "voice assistant")).startswith("agent-")
            everything = family(agent.pid)
            await client.room.delete_room(api.DeleteRoomRequest(room="connect-one"))
            assert await ended(agent, EXIT_WITHIN_S) == OK
            await gone(everything, 5)
            assert not group_is_alive(agent.pid)


async def test_connect_with_a_token_needs_no_key(system: System, tmp_path: Path) -> None:
    """`--url --token --session-id`, as the older backend called it: the token is all it has."""
    environ = without_redis(system)
    del environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
    made = token(system, "connect-two", "agent-two", agent=True)
    args = ("--token", made, "--session-id", "two")
    async with (
        room(system, "connect-two"),
        connecting(system, *args, environ=environ, cwd=tmp_path) as agent,
    ):
        assert await greeted(system, "connect-two", "voice assistant") == "agent-two"
        everything = family(agent.pid)
        os.kill(agent.pid, signal.SIGTERM)
        assert await ended(agent, EXIT_WITHIN_S) == OK
        await gone(everything, 5)
        assert made not in "\n".join(agent.log_tail(10_000))


async def test_connect_by_session_id_with_another_agent(system: System, tmp_path: Path) -> None:
    """`--session-id` alone names the session's room; `--agent` says who talks."""
    args = ("--session-id", "three", "--agent", "concierge")
    async with (
        room(system, "va-three") as client,
        connecting(system, *args, environ=without_redis(system), cwd=tmp_path) as agent,
    ):
        identity = await greeted(system, "va-three", "concierge")
        assert identity.startswith("agent-three-")
        os.kill(agent.pid, signal.SIGINT)
        assert await ended(agent, EXIT_WITHIN_S) == OK
        listed = await client.room.list_participants(api.ListParticipantsRequest(room="va-three"))
        assert [p.identity for p in listed.participants if p.identity == identity] == []


async def test_connect_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    """No room, a token that is none, an agent that is not there: told before anything starts."""
    nowhere, no_token, nobody = await asyncio.gather(
        run("connect", cwd=tmp_path),
        run("connect", "--token", "nonsense", cwd=tmp_path),
        run("connect", "--room", "any", "--agent", "nobody", cwd=tmp_path),
    )
    assert (nowhere.code, no_token.code, nobody.code) == (MISCONFIGURED,) * 3
    assert "--room: is missing" in nowhere.text
    assert "--token: is not a LiveKit token" in no_token.text
    assert "nonsense" not in no_token.text
    assert "no agent 'nobody'" in nobody.text
    assert "storyteller" in nobody.text


async def test_connect_tells_why_it_is_not_let_in(system: System, tmp_path: Path) -> None:
    """No server, no such room, or a token of another server: exit 1 with the reason, no key."""
    nowhere = f"ws://{HOST}:{free_port()}"
    forged = api.AccessToken("other", "o" * 32).with_identity("agent-x").with_kind("agent")
    foreign = forged.with_grants(api.VideoGrants(room_join=True, room="any")).to_jwt()
    environ = without_redis(system)
    no_server, no_room, no_token = await asyncio.gather(
        run("connect", "--url", nowhere, "--room", "any", cwd=tmp_path, environ=environ),
        run("connect", "--url", system.livekit_url, "--room", "any", cwd=tmp_path, environ=environ),
        run(
            "connect",
            "--url",
            system.livekit_url,
            "--token",
            foreign,
            cwd=tmp_path,
            environ=environ,
        ),
    )
    for ran, reason in ((no_server, "connect"), (no_room, "404"), (no_token, "401")):
        assert ran.code == FAILED, ran.text
        assert "does not let the agent in: " in ran.err
        assert reason in ran.err.lower()
        assert "Traceback" not in ran.err
        assert foreign not in ran.text
        assert system.keys.api_secret not in ran.text


# --- dev


async def test_dev_restarts_the_worker_when_agents_yaml_changes(
    system: System, tmp_path: Path
) -> None:
    """A save is enough: the next worker runs with what the file says then."""
    agents = tmp_path / "agents.yaml"
    agents.write_bytes(AGENTS.read_bytes())
    port = free_port()
    environ = {
        **system.environ,
        "ASSISTANT_AGENTS_FILE": str(agents),
        "ASSISTANT_AGENT_NAME": "dev",  # takes none of the sessions of others
        "ASSISTANT_WORKER_HTTP_PORT": str(port),
    }
    ready = http_ready(port, "/readyz")

    async def is_ready() -> bool:
        return await ready() is None

    part = command_part("dev", "dev", environ=environ, cwd=tmp_path)
    running = await system.supervisor.start(part)
    try:
        await until(is_ready, WORKER_WITHIN_S, lambda: "\n".join(running.log_tail()))
        first = family(running.pid)[1:]
        with agents.open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        await gone(first, 20)
        await until(is_ready, WORKER_WITHIN_S, lambda: "\n".join(running.log_tail()))
        assert "changed: agents.yaml; restarting the worker" in "\n".join(running.log_tail(1000))
        everything = family(running.pid)
        os.kill(running.pid, signal.SIGINT)
        assert await ended(running, EXIT_WITHIN_S) == OK
        await gone(everything, 5)
    finally:
        await system.supervisor.stop("dev")
