"""The talk page in a real browser, against the whole system."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Route

from assistant.local_stack.ports import HOST
from assistant.rehearsal.speech import speak
from tests.acceptance.asking import MAX_ASKS, THE_TIME
from tests.acceptance.browser import Visit, chromium, microphone_file, visit
from tests.acceptance.recovery import kill_job, whereabouts
from tests.acceptance.system import System
from tests.acceptance.test_live_control import voice_of
from tests.acceptance.test_main_job import CLOCK, settled
from tests.acceptance.test_voice import fault
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = "voice assistant"
GREETING_WITHIN_S = 15.0
ANSWER_WITHIN_S = 20.0
# The microphone opens with the click; the greeting is over some five seconds after it.
QUESTION_AFTER_S = 6.5
# Long enough for the answer to come, and for the microphone to be muted after it.
AGAIN_AFTER_S = 8.0
UNDERSTOOD_WITHIN_S = ANSWER_WITHIN_S + (MAX_ASKS - 1) * AGAIN_AFTER_S
# What the answer must add to the sound received; the spoken time of day adds about 0.35.
SPOKEN_ENERGY = 0.1
TIMING = re.compile(
    r"Answered in \d\.\d\d\ss \(transcript .*\ss, end of turn .*\ss, model .*\ss, voice .*\ss\)"
)
# Long enough to be told from the moment between two others, which LiveKit tells as one.
THOUGHT_S = 0.4
SLOW_FOR_S = 60
COURSE = ["connecting", "speaking", "listening", "thinking", "speaking", "listening"]
COURSE_TAKEN = f"""{COURSE}.reduce(
    (at, state) => (at < 0 ? at : probe.seen.states.indexOf(state, at) + 1 || -1), 0) > 0"""
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


# It ends long after the microphone has spoken into it.
LONG_GREETING = "Hello. " + "Let me tell you at some length what I can do for you today. " * 4
INTERRUPTED_AFTER_S = 4.0
LIMIT_S = 15
EARLY_S = 0.2
LIMITED = {"greeting": LONG_GREETING, "maxDuration": LIMIT_S}
LOST_WITHIN_S = 10.0
REPLACED_WITHIN_S = 45.0
# Its first one makes the session: the start, or the token where it still waits for a microphone.
FIRST_CALL = re.compile(r"/api/(session/start|token)$")


async def talk(visited: Visit, *, by_key: bool = False) -> str:
    """Clicks, or presses what has the focus; returns the id of the session that the page makes."""
    async with visited.page.expect_request(FIRST_CALL) as asked:
        if by_key:
            await visited.page.keyboard.press("Enter")
        else:
            await visited.page.click("#talk")
    body = (await asked.value).post_data_json
    assert body is not None
    return str(body["sessionId"])


async def write(visited: Visit, text: str) -> None:
    await visited.page.fill("#message", text)
    await visited.page.click("#send")


async def test_a_person_talks_on_the_page(
    system: System, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Click, be greeted aloud, ask by voice, be answered, end: and nothing goes astray.

    The page shows who is listening, thinking and speaking, and words while they are still being
    heard; the response times are shown, and what was said can be copied and kept.
    """
    question = await microphone_file(
        tmp_path / "question.wav",
        text=THE_TIME.text,
        after_s=scaled(QUESTION_AFTER_S),
        again_after_s=scaled(AGAIN_AFTER_S),
    )
    async with chromium(question) as browser, visit(browser, system.service_url, tmp_path) as page:
        assert await page.shown("#status-words") == "Ready when you are"
        await page.page.click("#settings")
        await page.page.click("#timings")
        session_id = await talk(page)
        await page.turn("agent", GREETING, GREETING_WITHIN_S)
        await page.wait_for("probe.seen.audibleAt !== null", GREETING_WITHIN_S)
        # One voice, in one element; later an apology for a long wait may have another.
        await page.wait_for("probe.report().playing === 1", GREETING_WITHIN_S)
        # What is prepared while they speak takes one request, and what is asked in earnest another.
        slow = {"kind": "slow", "delay_s": THOUGHT_S, "for_s": SLOW_FOR_S}
        await fault(system, service="groq", operation="chat", **slow)
        await page.turn("user", THE_TIME.understood.pattern, UNDERSTOOD_WITHIN_S)
        before = await page.wait_for("probe.energy()", 1)
        await page.turn("agent", CLOCK.pattern, ANSWER_WITHIN_S)
        async with httpx.AsyncClient(base_url=system.stand_ins_url) as stand_ins:
            (await stand_ins.delete("/control/faults")).raise_for_status()
        await page.page.click("#mute")
        await page.wait_for(COURSE_TAKEN, ANSWER_WITHIN_S)
        # The words may be there before their sound is.
        await page.wait_for(f"(await probe.energy()) > {before + SPOKEN_ENERGY}", ANSWER_WITHIN_S)

        heard = await page.probe()
        # The agent is called while the page still connects, or nobody is greeted in time.
        assert heard["startAskedAt"] < heard["connectedAt"]
        assert heard["interim"], "no words of the person were shown before they were final"
        greeting_s = (heard["audibleAt"] - heard["clickedAt"]) / 1000
        record_property("click_to_greeting_audible_s", round(greeting_s, 3))
        print(f"click to greeting audible: {greeting_s:.2f} s")  # noqa: T201 - shown by pytest -rP
        assert all(url.startswith(f"stun:{HOST}:") for url in heard["iceServers"])
        turns = [who for who, _ in await page.transcript()]
        assert turns == ["agent", *["user", "agent"] * (len(turns) // 2)]
        assert len(turns) <= 1 + 2 * MAX_ASKS

        timing = page.page.locator(".turn[data-who=agent] .timing").last
        await timing.wait_for(timeout=scaled(ANSWER_WITHIN_S) * 1000)
        assert TIMING.fullmatch(await timing.inner_text())

        await page.page.click("#end")
        assert await page.shown("#summary-why") == "You ended the conversation."
        figures = await page.page.locator("#figures div").all_inner_texts()
        assert [figure.split("\n")[::-1] for figure in figures][1] == [str(len(turns)), "Turns"]
        assert "Typical response" in figures[2]
        async with page.page.expect_download() as kept:
            await page.page.click("#download")
        await (await kept.value).save_as(tmp_path / "kept.txt")
        text = (tmp_path / "kept.txt").read_text()
        await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.page.click("#copy")
        assert await page.shown("#notice") == "Copied."
        assert await page.page.evaluate("navigator.clipboard.readText()") == text
        lines = text.splitlines()
        names = {"agent": "Assistant", "user": "You"}
        kept_turns = [line.partition("] ")[2].partition(":")[0] for line in lines]
        assert kept_turns == [names[who] for who in turns]
        assert await settled(system, session_id) == "ended"
        async with system.service() as service:
            assert (await service.session(session_id)).reason == "user_requested"

        left = await page.probe()
        assert left["playing"] == 0
        assert left["violations"] == []
        assert page.errors == []
        livekit = system.livekit_url
        assert page.strangers(system.service_url, livekit, livekit.replace("ws", "http", 1)) == []


async def test_devices_and_the_assistant_change_while_they_talk(
    system: System, tmp_path: Path
) -> None:
    """Another microphone, another speaker, half as loud: from the settings, without a new call.

    Nor does it take one when the assistant drops out: the page says so, and another takes over.
    """
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    async with chromium(quiet) as browser, visit(browser, system.service_url, tmp_path) as page:
        session_id = await talk(page)
        await page.turn("agent", GREETING, GREETING_WITHIN_S)
        await page.page.click("#settings")
        before = await page.probe()
        for kind in ("microphone", "speaker"):
            await page.page.select_option(f"#{kind}", index=1)
        await page.page.fill("#volume", "0.5")
        await page.wait_for(f"probe.report().sending[0] !== '{before['sending'][0]}'", 5)
        sink = await page.page.input_value("#speaker")
        await page.wait_for(
            f"probe.report().sinks.some(([sink, loud]) => sink === '{sink}' && loud === 0.5)", 5
        )
        assert not await page.page.locator("#notice").is_visible()
        await page.page.keyboard.press("Escape")
        await write(page, "What is two plus three?")
        await page.turn("agent", r"\b5\b", ANSWER_WITHIN_S)

        kill_job((await whereabouts(system, session_id)).job_pid)
        dropped = page.page.locator("#headline", has_text="The assistant dropped out. Getting it")
        await dropped.wait_for(timeout=scaled(LOST_WITHIN_S) * 1000)
        await write(page, "What is two plus two?")
        await page.turn("agent", r"\b4\b", REPLACED_WITHIN_S)
        assert not await dropped.is_visible()
        await page.page.click("#end")
        assert await settled(system, session_id) == "ended"
        assert page.errors == []


async def test_what_is_said_never_becomes_markup(system: System, tmp_path: Path) -> None:
    """Hostile text, typed and said back by the agent, is shown as the characters that it is."""
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    async with chromium(quiet) as browser, visit(browser, system.service_url, tmp_path) as page:
        session_id = await talk(page)
        await page.turn("agent", GREETING, GREETING_WITHIN_S)
        await write(page, f"Repeat the words {HOSTILE}")
        assert HOSTILE in await page.turn("user", "onerror", ANSWER_WITHIN_S)
        await page.turn("agent", r"<img src=x .*</script>", ANSWER_WITHIN_S)
        assert await page.page.locator("#transcript :is(img, script)").count() == 0
        assert await page.page.evaluate("window.hacked") is None
        assert (await page.probe())["violations"] == []
        assert page.errors == []
        await page.page.click("#end")
        assert await settled(system, session_id) == "ended"


async def test_a_person_interrupts_and_is_told_of_the_limit(system: System, tmp_path: Path) -> None:
    """Who speaks into the agent's words is heard at once; the session's limit is told as such."""
    question = await microphone_file(
        tmp_path / "question.wav",
        text=THE_TIME.text,
        after_s=INTERRUPTED_AFTER_S,
        again_after_s=INTERRUPTED_AFTER_S,
    )

    async def limited(route: Route) -> None:
        body = {**(route.request.post_data_json or {}), "config": LIMITED}
        await route.continue_(post_data=json.dumps(body))

    async with chromium(question) as browser, visit(browser, system.service_url, tmp_path) as page:
        await page.page.route("**/api/session/start", limited)
        session_id = await talk(page)
        await page.turn("agent", "at some length", GREETING_WITHIN_S)
        await page.turn("agent", CLOCK.pattern, ANSWER_WITHIN_S)
        (_, greeting), (who, _), *_ = await page.transcript()
        assert who == "user"
        assert len(greeting) < 0.8 * len(LONG_GREETING)
        assert "time limit" in await page.shown("#summary-why", LIMIT_S)
        assert await settled(system, session_id) == "ended"
        assert page.errors == []


async def test_the_chosen_assistant_hears_what_was_said_before_it_came(
    system: System, tmp_path: Path
) -> None:
    """Assistant and voice are those that were chosen, and the first words are never lost.

    Who then goes elsewhere without a goodbye leaves no agent behind that talks to nobody.
    """
    early = await microphone_file(tmp_path / "early.wav", text=THE_TIME.text, after_s=EARLY_S)
    said_ms = (EARLY_S + (await speak(THE_TIME.text)).duration_s) * 1000

    async def held(route: Route) -> None:
        # Nobody is called before all of it was said; nothing of it can be heard any more.
        await page.wait_for(f"performance.now() - probe.seen.clickedAt > {said_ms} + 1000", 10)
        body = route.request.post_data_json or {}
        asked.update(body["config"])
        body["config"] = {**asked, "greeting": ""}
        await route.continue_(post_data=json.dumps(body))

    asked: dict[str, str] = {}
    async with chromium(early) as browser, visit(browser, system.service_url, tmp_path) as page:
        await page.page.select_option("#agent", "concierge")
        assert await page.page.locator("#voice option").all_inner_texts() == [
            "Its usual one",
            "inworld-female-1",
        ]
        await page.page.select_option("#voice", "inworld-female-1")
        await page.page.route("**/api/session/start", held)
        session_id = await talk(page)
        await page.turn("user", r"\w", UNDERSTOOD_WITHIN_S)
        answer = await page.turn("agent", r"\w+ \w+", ANSWER_WITHIN_S)
        assert asked == {"agent": "concierge", "voice": "inworld-female-1"}
        assert (await page.transcript())[0][0] == "user"
        assert await page.shown("#name") == "Hotel concierge"
        assert "Ashley" in await voice_of(system, " ".join(answer.split()[:2]))

        await page.page.goto("about:blank")
        assert await settled(system, session_id) == "ended"
        async with system.service() as service:
            ended = await service.session(session_id)
        # The page asked for the end; its own word for why is kept beside.
        assert (ended.reason, ended.detail) == ("user_requested", "user_left")
