"""What stays of a conversation: its words, its figures, its report and its sound."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
import yaml

from assistant.rehearsal.scenario import Call
from assistant.rehearsal.speech import speak
from tests.acceptance.asking import A_JOKE, THE_TIME, asks_aloud, question
from tests.acceptance.recovery import identity, kill_job, watched, whereabouts
from tests.acceptance.system import PROJECT, System, running_system
from tests.redis_dump import keys_with
from tests.s3_server import S3Server, running_s3
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER_S = scaled(20)
REPORT_S = scaled(30)
RECOVERY_S = scaled(45)
SLOT_S = scaled(4)  # the model is asked for longer
STEP_S = 0.1
AGENTS_FILE = "agents.yaml"
RATE_HZ = 48_000
# About -40 dBFS: speech lies near -20, what Opus makes of silence below -70.
AUDIBLE_RMS = 0.01
LONG = (
    "one morning in the early spring a farmer went to the market with two brown horses and an old "
    "wooden cart full of apples, and on the way he met a friend who had lost her hat in the wind"
)
CONSENT = "This call is recorded."
MET, UNMET = "The caller was told the time.", "The caller ordered a pizza with mushrooms."
WARNING, WARNING_S, CAREFUL_S = "We have to stop in a moment.", 5.0, 20.0
FAREWELL = "We have talked enough for today."
EXTRACT = {
    "type": "object",
    "properties": {
        "caller_name": {"type": ["string", "null"]},
        "wish": {"type": ["string", "null"], "enum": ["time", "joke", None]},
    },
    "required": ["caller_name", "wish"],
}
PRICES = {
    "currency": "EUR",
    "models": {
        "groq": {"llama-3.3-70b-versatile": {"input_tokens": 1000.0, "output_tokens": 2000.0}},
        "inworld": {"inworld-tts-1.5-mini": {"characters": 10_000.0}},
        "assemblyai": {"universal-3-6-pro": {"audio_minute": 0.6}},
    },
}


def _write_agents(path: Path) -> None:
    """The project's agents, and some of our own, of which one has no price."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    agents = document["agents"]
    report = {"summary": True, "success_criteria": [MET, UNMET], "extract": {"schema": EXTRACT}}
    audio = {"record": "audio", "recording": {"consent": CONSENT}}
    agents["reporter"] = {**agents["assistant"], "report": report, **audio}
    agents["silent"] = {**agents["assistant"], "report": report, "record": "none"}
    warning = {"warning_s": WARNING_S, "warning_sentence": WARNING}
    agents["careful"] = {**agents["assistant"], "report": report, "redact": True, "limits": warning}
    agents["thrifty"] = {
        **agents["assistant"],
        "instructions": "x" * 400,  # 100 tokens of every call
        "report": report,
        "budget": {"max_tokens": 200, "sentence": FAREWELL},
    }
    unpriced = {**agents["assistant"]["llm"], "model": "llama-3.1-8b-instant"}
    agents["unpriced"] = {**agents["assistant"], "llm": unpriced}
    document["prices"] = PRICES
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("record")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def s3(folder: Path) -> AsyncIterator[S3Server]:
    async with running_s3(folder) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(folder: Path, s3: S3Server) -> AsyncIterator[System]:
    _write_agents(folder / AGENTS_FILE)
    environ = {
        **s3.environ,
        "ASSISTANT_RECORDINGS_SPOOL": str(folder / "spool"),
        "ASSISTANT_AGENTS_FILE": str(folder / AGENTS_FILE),
        "PREWARM_POOL_SIZE": "1",
    }
    async with running_system(folder, environ=environ) as running:
        yield running


async def shown(http: httpx.AsyncClient, session_id: str, what: str) -> Any:
    answer = await http.get(f"/api/sessions/{session_id}/{what}".rstrip("/"))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ready_report(http: httpx.AsyncClient, session_id: str) -> dict[str, Any]:
    async with asyncio.timeout(REPORT_S):
        while True:
            report: dict[str, Any] = await shown(http, session_id, "report")
            if report["ready"]:
                return report
            await asyncio.sleep(STEP_S)


async def test_a_conversation_is_on_record(system: System, s3: S3Server, folder: Path) -> None:
    """Every word with its times and sound, latencies, cost, and what came of it; until erased."""
    config = {"agent": "reporter"}
    async with system.service() as service, Call(service, config=config) as call:
        await call.agent_joins()
        await call.greeting()
        await asks_aloud(call, THE_TIME)
        await asks_aloud(call, A_JOKE)
        asked = len(call.turns)
        await call.end()
        ended_at = time.time()
    async with system.http() as http:
        report = await ready_report(http, call.session_id)
        transcript = await shown(http, call.session_id, "transcript")
        first = await shown(http, call.session_id, "transcript?limit=2")
        rest = await shown(
            http, call.session_id, f"transcript?limit={2 * asked}&cursor={first['cursor']}"
        )
        lines = (await http.get(f"/api/sessions/{call.session_id}/transcript?format=text")).text
        timeline = (await shown(http, call.session_id, ""))["timeline"]

    items = transcript["items"]
    roles = ["assistant", "assistant", *["user", "assistant"] * asked]
    assert [item["role"] for item in items] == roles
    assert items[0]["text"] == CONSENT
    assert first["items"] + rest["items"] == items
    assert rest["cursor"] is None
    for before, after in pairwise(items):
        assert before["startedAt"] < before["endedAt"] <= after["endedAt"]
    assert all(item["attempt"] == 1 and not item["interrupted"] for item in items)
    assert THE_TIME.understood.search(" ".join(i["text"] for i in items if i["role"] == "user"))
    assert "user: " in lines.splitlines()[2]
    assert len(lines.splitlines()) == len(items)
    assert "conversation.item" not in {entry["name"] for entry in timeline}

    assert (report["status"], report["reason"], report["attempts"]) == (
        "ended",
        "user_requested",
        1,
    )
    turns = report["turns"]
    assert (turns["count"], turns["interrupted"]) == (asked, 0)
    assert set(turns["latencies"]) == {
        "e2e_latency_s",
        "transcription_delay_s",
        "end_of_turn_delay_s",
        "llm_ttft_s",
        "tts_ttfb_s",
    }
    for figures in turns["latencies"].values():
        assert figures["count"] == asked
        assert 0 < figures["p50"] <= figures["p90"] <= figures["p99"] <= figures["max"] < ANSWER_S

    outcome = report["outcome"]
    assert "time" in outcome["summary"].lower()
    assert [verdict["met"] for verdict in outcome["criteria"]] == [True, False]
    assert outcome["success"] is False
    assert outcome["extracted"] == {"caller_name": None, "wish": "time"}
    assert outcome["missing"] == {}
    _check_cost(report["usage"])
    assert report["sdk"]["1"]["user_turns"] == asked
    assert report["errors"] == []
    assert report["ended"] < ended_at + scaled(5)
    await _check_sound(system, call.session_id, report, items)
    assert list((folder / "spool").iterdir()) == [], "what is stored is gone from the worker's host"

    async with system.http() as http:
        figures = (await http.get("/metrics")).text
        lately = (await http.get("/api/figures")).json()
        assert (await http.delete(f"/api/sessions/{call.session_id}")).status_code == 200
    for labels in ('agent="reporter",latency="e2e_latency"', 'agent="reporter",kind="stt"'):
        assert labels in figures
    assert 'assistant_cost_total{agent="reporter"' in figures
    _check_lately(lately, report)
    assert [path for path in s3.folder.rglob("*") if path.is_file()] == []


def _check_lately(lately: dict[str, Any], report: dict[str, Any]) -> None:
    """The one conversation of the last hour, minute by minute, is what its report says."""
    points = lately["points"]
    assert sum(point["started"] for point in points) == 1
    assert sum(point["active"] for point in points) == 1
    assert sum(point["ended"] for point in points) == 1
    assert sum(point["turns"] for point in points) == report["turns"]["count"]
    counts = [point["latencies"].get("e2e_latency", {"count": 0})["count"] for point in points]
    assert sum(counts) == report["turns"]["count"]
    assert lately["currency"] == "EUR"
    assert sum(point["cost"] for point in points) == pytest.approx(report["usage"]["cost"])


async def _check_sound(
    system: System, session_id: str, report: dict[str, Any], items: list[dict[str, Any]]
) -> None:
    """Each side is heard on its channel when the transcript says that it spoke, and only then."""
    (recording,) = report["recordings"]
    async with system.http() as http:
        answer = await http.get(f"/api/sessions/{session_id}/recording")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/ogg")
    assert len(answer.content) == recording["bytes"]
    sound = decoded(answer.content)
    for item in items:
        first, last = (
            round((item[name] - recording["startedAt"] + shift_s) * RATE_HZ)
            for name, shift_s in (("startedAt", 0.3), ("endedAt", -0.3))
        )
        speaker, listener = (0, 1) if item["role"] == "user" else (1, 0)
        levels = [loudness(sound[channel, first:last]) for channel in (0, 1)]
        assert levels[speaker] > AUDIBLE_RMS, (item, levels)
        assert levels[listener] < AUDIBLE_RMS / 2, (item, levels)


def decoded(ogg: bytes) -> npt.NDArray[np.float32]:
    """The samples of both channels, caller and agent, from -1 to 1."""
    with av.open(io.BytesIO(ogg), mode="r") as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels) == (RATE_HZ, 2)
        return np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)


def loudness(samples: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0


def _check_cost(usage: dict[str, Any]) -> None:
    """Each cost is its quantities at the table's prices; the total is their sum."""
    by_kind = {model["kind"]: model for model in usage["models"]}
    llm, stt, tts = by_kind["llm"], by_kind["stt"], by_kind["tts"]
    assert (llm["provider"], stt["provider"], tts["provider"]) == ("groq", "assemblyai", "inworld")
    assert llm["inputTokens"] > 300, "the report's own requests count as well"
    assert llm["cost"] == pytest.approx(llm["inputTokens"] / 1e3 + llm["outputTokens"] / 500)
    assert tts["cost"] == pytest.approx(tts["characters"] / 100)
    assert stt["cost"] == pytest.approx(stt["audioS"] / 100)
    assert usage["currency"] == "EUR"
    assert usage["cost"] == pytest.approx(sum(model["cost"] for model in usage["models"]))


async def test_an_interrupted_agent_without_a_price(system: System) -> None:
    """On record is what was heard of it. Its cost is not 0, but unknown; nobody judged it."""
    async with system.service() as service, Call(service, config={"agent": "unpriced"}) as call:
        await call.agent_joins()
        await call.greeting()
        asked_at = time.monotonic()
        await call.caller.type(f"Repeat after me: {LONG}")
        await call.caller.wait_for_speech(ANSWER_S, since=asked_at)
        spoken = await call.caller.say(await speak("Stop it please, I have heard enough."))
        await call.caller.wait_for_line(
            "agent", lambda line: line.first_at >= spoken.started, ANSWER_S
        )
        await call.caller.wait_for_agent_state("listening", ANSWER_S)
        await call.end()
    async with system.http() as http:
        report = await ready_report(http, call.session_id)
        items = (await shown(http, call.session_id, "transcript"))["items"]
    (cut,) = [item for item in items if item["interrupted"]]
    assert cut["role"] == "assistant"
    assert 0 < len(cut["text"]) < len(LONG) / 2
    assert LONG.lower().startswith(cut["text"].lower().rstrip(" .,"))
    assert report["turns"]["interrupted"] == 1
    costs = {model["kind"]: model["cost"] for model in report["usage"]["models"]}
    assert costs["llm"] is None
    assert costs["tts"] > 0
    assert report["usage"]["cost"] is None
    assert (report["outcome"], report["outcomeMissing"]) == (None, None)


async def test_a_killed_job_takes_nothing_with_it(system: System) -> None:
    """What was said and spent before the kill is in transcript and report, beside what followed.

    Of what was being said, what was heard but for the last second; the next agent goes on.
    """
    config = {"agent": "reporter"}
    async with system.service() as service, Call(service, config=config) as call:
        await call.agent_joins()
        await call.greeting()
        # Enough sound for the recorder to have written some of it.
        await call.turn(await speak("Tell me a joke."))
        await call.caller.type("My name is Ada.")
        await call.caller.wait_for_line("agent", lambda line: "Ada" in line.text, ANSWER_S)
        await call.caller.wait_for_agent_state("listening", ANSWER_S)
        asked_at = time.monotonic()
        await call.caller.type(f"Repeat after me: {LONG}")
        await call.caller.wait_for_line(
            "agent",
            lambda line: line.first_at >= asked_at and len(line.text) > len(LONG) / 2,
            ANSWER_S,
        )
        before = await whereabouts(system, call.session_id)
        async with watched(system, call.caller.room_name) as watch:
            kill_job(before.job_pid)
            await watch.joined(identity(call.session_id, 2), RECOVERY_S)
        taken_over_at = time.monotonic()
        await call.caller.wait_for_line(
            "agent", lambda line: line.first_at >= taken_over_at, RECOVERY_S
        )
        await call.caller.wait_for_agent_state("listening", RECOVERY_S)
        await call.caller.type("What is my name?")
        told = "Your name is Ada"
        await call.caller.wait_for_line("agent", lambda line: told in line.text, ANSWER_S)
        await call.caller.wait_for_agent_state("listening", ANSWER_S)
        await call.end()
    async with system.http() as http:
        report = await ready_report(http, call.session_id)
        transcript = await shown(http, call.session_id, "transcript")
    said = [(item["attempt"], item["text"]) for item in transcript["items"]]
    assert (1, "My name is Ada.") in said
    assert said[-2:] == [(2, "What is my name?"), (2, f"{told}.")]
    (cut,) = [item for item in transcript["items"] if item["interrupted"]]
    assert (cut["role"], cut["attempt"]) == ("assistant", 1)
    assert len(LONG) / 5 < len(cut["text"]) < len(LONG)
    assert LONG.lower().startswith(cut["text"].lower().rstrip(" .,"))
    assert report["attempts"] == 2
    assert [entry["name"] for entry in report["errors"]] == ["agent.lost"]
    assert report["turns"]["count"] == 3
    assert report["outcome"]["extracted"]["caller_name"] == "Ada"
    assert set(report["sdk"]) == {"2"}, "a killed process reports nothing"
    await _both_are_stored(system, call.session_id)


async def _both_are_stored(system: System, session_id: str) -> None:
    """The second attempt's recording by its job, that of the killed one by its worker."""
    async with system.http() as http, asyncio.timeout(REPORT_S):
        while True:
            recordings = (await shown(http, session_id, "report"))["recordings"]
            if len(recordings) == 2:
                break
            await asyncio.sleep(STEP_S)
        answer = await http.get(f"/api/sessions/{session_id}/recording?attempt=1")
    sound = decoded(answer.content)
    assert loudness(sound[1]) > AUDIBLE_RMS / 2, "the greeting, before the kill"


async def test_a_job_killed_at_the_end_leaves_a_report(system: System) -> None:
    """Without what a language model would have made of it; the report says so.

    The slots in fleet and worker were free while it was still asked.
    """
    config = {"agent": "reporter"}
    slow = {"service": "groq", "kind": "slow", "delay_s": 6, "count": 2}
    async with system.service() as service, Call(service, config=config) as call:
        await call.agent_joins()
        await call.greeting()
        await call.caller.type("What is two plus three?")
        await call.caller.wait_for_line("agent", lambda line: "5" in line.text, ANSWER_S)
        await call.caller.wait_for_agent_state("listening", ANSWER_S)
        found = await whereabouts(system, call.session_id)
        async with httpx.AsyncClient(base_url=system.stand_ins_url) as stand_ins:
            assert (await stand_ins.post("/control/faults", json=slow)).status_code == 201
        ended_at = time.monotonic()
        await call.end()
        async with system.http() as http, asyncio.timeout(SLOT_S):
            while True:
                stats = (await http.get("/stats")).json()
                if stats["slots"]["used"] == stats["pool"]["jobs"] == 0:
                    break
                await asyncio.sleep(STEP_S)
            assert time.monotonic() - ended_at < SLOT_S
            assert not (await shown(http, call.session_id, "report"))["ready"]
        kill_job(found.job_pid)
    async with system.http() as http:
        report = await ready_report(http, call.session_id)
    assert report["outcome"] is None
    assert "process was gone" in report["outcomeMissing"]
    assert report["turns"]["count"] == 1
    assert report["usage"]["cost"] > 0
    async with httpx.AsyncClient(base_url=system.stand_ins_url) as stand_ins:
        await stand_ins.delete("/control/faults")


async def test_no_word_of_a_silent_session_is_left(system: System, folder: Path) -> None:
    """Neither while it lives nor after, in Redis or in a log; its figures are all there."""
    spoken = "marmalade sandwiches in a zeppelin"
    async with system.service() as service, Call(service, config={"agent": "silent"}) as call:
        await call.agent_joins()
        await call.greeting()
        turn = await asks_aloud(call, question(f"Repeat after me: {spoken}.", r"\bsandwiches\b"))
        await call.caller.type("Repeat after me: the quick brown armadillo.")
        await call.caller.wait_for_line("agent", lambda line: "armadillo" in line.text, ANSWER_S)
        await call.caller.wait_for_agent_state("listening", ANSWER_S)
        words = [*spoken.split(), *turn.understood.split(), "armadillo"]
        words = [word.strip(".,").lower() for word in words if len(word) > 7]
        assert len(words) > 4
        assert keys_with(system.redis_url, *words) == []
        await call.end()
    async with system.http() as http:
        report = await ready_report(http, call.session_id)
        transcript = await shown(http, call.session_id, "transcript")
    assert keys_with(system.redis_url, *words) == []
    assert keys_with(system.redis_url, call.session_id)
    for log in (folder / "logs").iterdir():
        if log.name.startswith(("worker", "service")):
            told = log.read_text(encoding="utf-8").lower()
            assert told
            assert [word for word in words if word in told] == []
    assert (transcript["items"], report["toolCalls"], report["recordings"]) == ([], [], [])
    assert (report["outcome"], report["userMessages"]) == (None, None)
    assert "no word" in report["outcomeMissing"]
    answers = len(call.turns) + 1  # and one in writing
    assert report["turns"]["count"] == answers
    assert report["turns"]["latencies"]["llm_ttft_s"]["count"] == answers
    assert report["usage"]["cost"] > 0


async def test_numbers_are_redacted_and_the_end_is_announced(system: System) -> None:
    """What was typed and what was answered, in transcript, sum and Redis; the talk itself is as is.

    The caller hears of the end before it comes.
    """
    config = {"agent": "careful", "maxDuration": CAREFUL_S}
    async with system.service() as service, Call(service, config=config) as call:
        await call.agent_joins()
        await call.greeting()
        said = "my card is 4111 1111 1111 1111 and I am jane dot doe at example dot com"
        await call.caller.type(f"Repeat after me: {said}.")
        await call.caller.wait_for_line("agent", lambda line: "4111" in line.text, ANSWER_S)
        warned = await call.caller.wait_for_line(
            "agent", lambda line: line.text.strip() == WARNING, scaled(CAREFUL_S)
        )
        _, gone_at = await call.caller.wait_for_disconnect(scaled(WARNING_S + 10))
        assert 0.5 < gone_at - warned.first_at < scaled(WARNING_S + 5)
        assert (await call.session()).reason == "max_duration"
    async with system.http() as http:
        report = await ready_report(http, call.session_id)
        items = (await shown(http, call.session_id, "transcript"))["items"]
    texts = [item["text"].lower() for item in items]
    cleaned = "my card is [card] and i am [email]"
    assert [cleaned in text for text in texts] == [False, True, True, False]
    assert texts[-1] == WARNING.lower()
    assert "[card]" in report["outcome"]["summary"].lower() or report["outcome"]["missing"]
    assert keys_with(system.redis_url, "1111 1111", "1111111", "jane dot doe") == []


async def test_a_budget_outlives_its_job_and_ends_the_session(system: System) -> None:
    """What a killed job had used counts; then comes the farewell, and no further question."""
    async with system.service() as service, Call(service, config={"agent": "thrifty"}) as call:
        await call.agent_joins()
        await call.greeting()
        await call.caller.type("What is two plus three?")
        await call.caller.wait_for_line("agent", lambda line: "5" in line.text, ANSWER_S)
        await call.caller.wait_for_agent_state("listening", ANSWER_S)
        before = await whereabouts(system, call.session_id)
        async with watched(system, call.caller.room_name) as watch:
            kill_job(before.job_pid)
            await watch.joined(identity(call.session_id, 2), RECOVERY_S)
        await call.caller.wait_for_agent_state("listening", RECOVERY_S)
        await call.caller.type("What is three plus four?")
        await call.caller.wait_for_line("agent", lambda line: "7" in line.text, ANSWER_S)
        await call.caller.wait_for_line("agent", lambda line: FAREWELL in line.text, ANSWER_S)
        await call.caller.wait_for_disconnect(ANSWER_S)
        assert (await call.session()).reason == "budget"
    async with system.http() as http:
        report = await ready_report(http, call.session_id)
    assert (report["reason"], report["detail"]) == ("budget", "its budget is used up: tokens")
    (llm,) = [model for model in report["usage"]["models"] if model["kind"] == "llm"]
    assert 200 <= llm["inputTokens"] + llm["outputTokens"] < 400
    assert report["outcome"]["missing"]["judgement"] == "the budget is used up"
