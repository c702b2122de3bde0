"""A whole call and `make call`, over HTTP and WebRTC, with a small service of the test's own."""

import asyncio
import io
import json
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from assistant.local_stack.ports import free_port
from assistant.rehearsal.api import ServiceClient
from assistant.rehearsal.command import CallOptions, call, find_service
from assistant.rehearsal.errors import ServiceRefusedError, SessionFailedError
from assistant.rehearsal.scenario import Call, run_call
from assistant.rehearsal.speech import Speech, load_wav
from tests.integration.rehearsal_room import LiveKit, PlainAgent, running_livekit, tone
from tests.timing import scaled

pytestmark = pytest.mark.slow

SESSION_KEY = "session-key-of-the-test"


@dataclass
class SmallService:
    """The token service's routes that a call needs, with an agent of the plain SDK behind them.

    `fate` is what becomes of a started session: `talks`, `refused` or `fails`.
    """

    livekit: LiveKit
    url: str
    fate: str = "talks"
    status: str = "created"
    configs: list[Any] = field(default_factory=list)
    ends: int = 0
    talk: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/token", self.token)
        app.router.add_post("/api/session/start", self.start)
        app.router.add_post("/api/session/end", self.end)
        app.router.add_get("/api/sessions/{id}", self.view)
        return app

    async def token(self, request: web.Request) -> web.Response:
        asked = await request.json()
        await self.livekit.make_room(asked["sessionId"])
        token = self.livekit.token(asked["userId"], asked["sessionId"])
        return web.json_response(
            {"token": token, "url": self.livekit.url, "sessionKey": SESSION_KEY}
        )

    async def start(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert asked["sessionKey"] == SESSION_KEY
        self.configs.append(asked.get("config"))
        if self.fate == "refused":
            problem = {"code": "unknown_agent", "detail": "There is no agent 'bob'"}
            return web.json_response(problem, status=422)
        if self.fate == "fails":
            self.status = "failed"
        else:
            self.talk = asyncio.create_task(self._talk(asked["sessionId"]), name="talk")
        answer = {"success": True, "sessionId": asked["sessionId"], "taskId": "t"}
        return web.json_response({**answer, "status": "queued"})

    async def end(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert asked["sessionKey"] == SESSION_KEY
        self.ends += 1
        self.status = "ended"
        await self.stop()
        await self.livekit.delete_room(asked["sessionId"])
        return web.json_response({"success": True, "message": "ended"})

    async def view(self, request: web.Request) -> web.Response:
        assert request.headers["X-Session-Key"] == SESSION_KEY
        failed = self.status == "failed"
        return web.json_response(
            {
                "status": self.status,
                "reason": "agent_never_joined" if failed else None,
                "detail": "No worker took the job" if failed else None,
            }
        )

    async def stop(self) -> None:
        if self.talk is not None:
            self.talk.cancel()
            await asyncio.gather(self.talk, return_exceptions=True)

    async def _talk(self, room: str) -> None:
        """Greets, then answers everything with the same words."""
        async with PlainAgent(self.livekit, room, identity=f"agent-{room}-1") as agent:
            await agent.narrate(["Hello", " there."], segment="SG_greeting")
            await agent.speak(tone(0.4))
            while True:
                await agent.speech_ended(quiet_s=0.3)
                segment = uuid.uuid4().hex
                words = {"segment": f"SG_u{segment}", "identity": "rehearsal"}
                await agent.transcribe("What", final=False, **words)
                await agent.transcribe("What time is it?", final=True, **words)
                await agent.narrate(["It is", " ten."], segment=f"SG_a{segment}")
                await agent.speak(tone(0.4))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SmallService]:
    async with running_livekit(tmp_path) as livekit:
        port = free_port()
        service = SmallService(livekit, f"http://127.0.0.1:{port}")
        runner = web.AppRunner(service.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield service
        finally:
            await service.stop()
            await runner.cleanup()


async def make_call(options: CallOptions) -> tuple[int, str]:
    """The exit status and what the terminal showed."""
    console = Console(file=io.StringIO(), highlight=False, width=200)
    async with asyncio.timeout(scaled(60)):
        status = await call(options, console=console)
    assert isinstance(console.file, io.StringIO)
    return status, console.file.getvalue()


async def test_a_whole_call_reports_its_figures(service: SmallService) -> None:
    """Token, start, join, greeting, two turns, end: every figure is there and plausible."""
    async with ServiceClient(service.url) as client:
        speech = Speech(tone(0.6), text="What time is it?")
        report = await run_call(client, [speech, speech], config={"voice": "Ashley"})
    assert service.configs == [{"voice": "Ashley"}]
    assert service.ends == 1
    assert report.agent == f"agent-{report.session_id}-1"
    assert report.room == report.session_id
    assert report.greeting == "Hello there."
    assert report.greeting_s is not None
    assert 0 < report.agent_s < report.greeting_s < scaled(5)
    assert len(report.turns) == 2
    for turn in report.turns:
        assert (turn.understood, turn.reply.text) == ("What time is it?", "It is ten.")
        assert turn.transcript_s is not None
        assert 0.3 < turn.transcript_s < scaled(1.5)
        assert 0.3 < turn.reply.latency_s < scaled(1.5)
        assert turn.reply.audio.duration_s == pytest.approx(0.4, abs=scaled(0.15))
    assert report.closed_s is not None
    assert report.closed_s < scaled(5)


async def test_a_call_that_is_abandoned_ends_its_session(service: SmallService) -> None:
    """Leaving the context in the middle of a call leaves no session behind."""
    async with ServiceClient(service.url) as client, Call(client) as talk:
        await talk.agent_joins(scaled(10))
    assert service.ends == 1


async def test_a_refused_start_is_reported_with_its_code(service: SmallService) -> None:
    """The service's own words reach the caller, and nothing is left open."""
    service.fate = "refused"
    async with ServiceClient(service.url) as client:
        with pytest.raises(ServiceRefusedError, match="422 unknown_agent: There is no agent"):
            await run_call(client, [])


async def test_a_failed_session_stops_the_waiting(service: SmallService) -> None:
    """The caller does not wait out its own timeout when the session has failed."""
    service.fate = "fails"
    async with ServiceClient(service.url) as client, asyncio.timeout(scaled(10)):
        with pytest.raises(SessionFailedError) as caught:
            await run_call(client, [])
    assert (caught.value.status, caught.value.reason) == ("failed", "agent_never_joined")


async def test_make_call_prints_both_sides_and_latencies(
    service: SmallService, tmp_path: Path
) -> None:
    """A headless user sees the words, each turn's latencies and the summary; OUT is kept."""
    question, heard = tmp_path / "question.wav", tmp_path / "heard.wav"
    Speech(tone(0.6)).save_wav(question)
    status, shown = await make_call(
        CallOptions(wav=(question,), turns=2, out=heard, url=service.url, agent="bob", key="k")
    )
    assert status == 0, shown
    assert service.configs == [{"agent": "bob"}]
    lines = [line.rstrip() for line in shown.splitlines()]
    spoken = [line for line in lines if line.lstrip().startswith(("caller  ", "agent  "))]
    assert spoken == [
        " agent  Hello there.",
        *["caller  What time is it?", " agent  It is ten."] * 2,
    ]
    figures = [line for line in lines if "end of speech" in line]
    assert len(figures) == 2
    number = r"\d+\.\d\d s"
    assert re.search(f"-> transcript {number}, -> reply audible {number}", figures[0])
    assert re.match(
        rf"agent in the room after( at most)? {number}, greeting audible after {number}, "
        rf"slowest reply after {number}, room closed after {number}",
        lines[-1],
    )
    assert load_wav(heard).duration_s > 1


async def test_make_call_explains_a_failed_session(service: SmallService) -> None:
    """The named reason is printed and the status says that the call failed."""
    service.fate = "fails"
    status, shown = await make_call(CallOptions(url=service.url))
    assert status == 1
    assert "failed (agent_never_joined): No worker took the job" in shown


async def test_make_call_with_blank_words_asks_for_the_time(service: SmallService) -> None:
    """`make call` without SAY passes empty words, which mean the default question."""
    service.fate = "refused"
    status, shown = await make_call(CallOptions(say=("",), url=service.url))
    assert (status, "422 unknown_agent" in shown) == (1, True), shown


async def test_make_call_without_a_service_says_make_up() -> None:
    """Nothing running is the commonest mistake; the message says what to type."""
    url = f"http://127.0.0.1:{free_port()}"
    status, shown = await make_call(CallOptions(url=url))
    assert status == 1
    assert f"no token service answers at {url}" in shown
    assert "`make up`" in shown


async def test_make_call_refuses_what_cannot_be_said(tmp_path: Path) -> None:
    """A wrong file, folder or number of turns is a usage error, before anything is started."""
    for options, message in (
        (CallOptions(wav=(tmp_path / "no.wav",)), "there is no such file"),
        (CallOptions(out=tmp_path / "no" / "out.wav"), "there is no folder"),
        (CallOptions(turns=0), "--turns must be between 1 and 100"),
    ):
        status, shown = await make_call(options)
        assert (status, message in shown) == (2, True), shown


def test_the_service_is_found_by_option_environment_notes_or_default(tmp_path: Path) -> None:
    """The order is --url, ASSISTANT_URL, what `make up` noted, port 8080."""
    notes = tmp_path / "stack.json"
    environ = {"ASSISTANT_URL": "http://environment", "ASSISTANT_STATE_DIR": str(tmp_path)}
    assert (
        find_service(None, environ={"ASSISTANT_STATE_DIR": str(notes.parent)})
        == "http://127.0.0.1:8080"
    )
    notes.write_text("[1]")
    assert (
        find_service(None, environ={"ASSISTANT_STATE_DIR": str(notes.parent)})
        == "http://127.0.0.1:8080"
    )
    notes.write_text(json.dumps({"service_url": "http://notes"}))
    assert find_service(None, environ={"ASSISTANT_STATE_DIR": str(notes.parent)}) == "http://notes"
    assert find_service(None, environ=environ) == "http://environment"
    assert find_service("http://option", environ=environ) == "http://option"


def test_the_caller_does_not_import_the_agents_sdk() -> None:
    """It costs seconds and 130 MB, and the caller uses public interfaces only."""
    code = (
        "import sys, assistant.rehearsal.command\n"
        "bad = ('livekit.agents', 'assistant.worker', 'assistant.sessions', 'token_service')\n"
        "print([m for m in sys.modules if m.startswith(bad)])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        check=True,
        capture_output=True,
        text=True,
        timeout=scaled(30),
    )
    assert shown.stdout.strip() == "[]"
