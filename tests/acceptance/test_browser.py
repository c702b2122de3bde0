"""The talk page in a real browser, against the whole system."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Route

from assistant.local_stack.parts import service_part
from assistant.local_stack.ports import HOST, free_port
from tests.acceptance.asking import MAX_ASKS, THE_TIME
from tests.acceptance.browser import Visit, chromium, microphone_file, visit
from tests.acceptance.system import PROJECT, System
from tests.acceptance.test_main_job import CLOCK, settled
from tests.acceptance.wire import Wire, wire
from tests.timing import scaled
from token_service.problems import problem_of

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
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


# It ends long after the microphone has spoken into it.
LONG_GREETING = "Hello. " + "Let me tell you at some length what I can do for you today. " * 4
INTERRUPTED_AFTER_S = 4.0
LIMIT_S = 15
LIMITED = {"greeting": LONG_GREETING, "maxDuration": LIMIT_S}
LOST_WITHIN_S = 10.0
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

    The response times are shown, and what was said can be kept.
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
        await page.turn("user", THE_TIME.understood.pattern, UNDERSTOOD_WITHIN_S)
        before = await page.wait_for("probe.energy()", 1)
        await page.turn("agent", CLOCK.pattern, ANSWER_WITHIN_S)
        await page.page.click("#mute")
        # The words may be there before their sound is.
        await page.wait_for(f"(await probe.energy()) > {before + SPOKEN_ENERGY}", ANSWER_WITHIN_S)

        heard = await page.probe()
        greeting_s = (heard["audibleAt"] - heard["clickedAt"]) / 1000
        record_property("click_to_greeting_audible_s", round(greeting_s, 3))
        print(f"click to greeting audible: {greeting_s:.2f} s")  # noqa: T201 - shown by pytest -rP
        assert all(url.startswith(f"stun:{HOST}:") for url in heard["iceServers"])
        assert heard["playing"] == 1
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
        lines = (tmp_path / "kept.txt").read_text().splitlines()
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


async def test_without_a_microphone_a_person_is_told_and_may_type(
    system: System, tmp_path: Path
) -> None:
    """A refused microphone is explained and costs no agent; typing then works without one.

    All of it by the keyboard alone, and every state of the page without a fault for axe-core.
    """
    async with chromium(None) as browser, visit(browser, system.service_url, tmp_path) as page:
        await page.accessible()
        await page.tab_to("#settings")
        await page.page.keyboard.press("Enter")
        await page.accessible()
        await page.page.keyboard.press("Escape")
        assert await page.page.evaluate("document.activeElement.id") == "settings"
        await page.tab_to("#talk")
        refused = await talk(page, by_key=True)
        assert await page.shown("#error-title") == "The microphone is blocked"
        assert "Allow the microphone for this page" in await page.shown("#error-advice")
        assert await page.shown("#status-words") == "Not connected"
        async with system.service() as service:
            assert (await service.session(refused)).status == "created"

        await page.accessible()
        await page.tab_to("#type-instead")
        second = await talk(page, by_key=True)
        assert second != refused
        # Written before anybody is there, it waits until somebody is.
        await page.page.keyboard.type("What is two plus three?")
        await page.page.keyboard.press("Enter")
        await page.turn("agent", r"\b5\b", ANSWER_WITHIN_S)
        await page.accessible()
        await page.page.locator("#end").focus()
        await page.page.keyboard.press("Enter")
        assert "You ended the conversation." in await page.shown("#summary-why")
        assert await page.page.evaluate("document.activeElement.id") == "talk"
        await page.accessible()
        assert await settled(system, second) == "ended"
        assert page.errors == []


async def test_an_absent_microphone_is_told(system: System, tmp_path: Path) -> None:
    """Who has none learns that, and leaves no agent behind."""
    async with (
        chromium(None, has_devices=False) as browser,
        visit(browser, system.service_url, tmp_path) as page,
    ):
        await page.page.context.grant_permissions(["microphone"])
        session_id = await talk(page)
        assert await page.shown("#error-title") == "No microphone found"
        assert "type instead" in await page.shown("#error-advice")
        assert await page.page.locator("#type-instead").is_visible()
        await page.accessible()
        assert await settled(system, session_id) == "ended"
        assert page.errors == []


async def test_devices_are_changed_while_they_talk(system: System, tmp_path: Path) -> None:
    """Another microphone, another speaker, half as loud: from the settings, without a new call."""
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


async def test_a_lost_connection_is_regained(system: System, tmp_path: Path) -> None:
    """The person sees that the line is down, and what they write meanwhile is answered after it."""
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    port = free_port()
    async with wire(system.ports["livekit"]) as line:
        environ = {**system.environ, "ASSISTANT_LIVEKIT_PUBLIC_URL": f"ws://{HOST}:{line.port}"}
        part = service_part(name="service-by-wire", port=port, env=environ, cwd=PROJECT)
        await system.supervisor.start(part)
        try:
            url = f"http://{HOST}:{port}"
            async with chromium(quiet) as browser, visit(browser, url, tmp_path) as page:
                await regain(system, page, line)
        finally:
            await system.supervisor.stop("service-by-wire")


async def regain(system: System, page: Visit, line: Wire) -> None:
    """Loses the connection in the middle of the greeting, and has it back."""
    session_id = await talk(page)
    await page.turn("agent", GREETING, GREETING_WITHIN_S)
    await line.cut()
    lost = page.page.locator("#headline", has_text="Connection lost. Reconnecting")
    await lost.wait_for(timeout=scaled(LOST_WITHIN_S) * 1000)
    await write(page, "What is two plus three?")
    waiting = page.page.locator(".turn[data-who=user][data-final=false] .words")
    assert await waiting.inner_text() == "What is two plus three?"
    await line.mend()
    await page.turn("agent", r"\b5\b", ANSWER_WITHIN_S)
    assert not await lost.is_visible()
    async with system.service() as service:
        assert (await service.session(session_id)).status == "active"
    await page.page.click("#end")
    assert await settled(system, session_id) == "ended"


async def test_leaving_the_page_ends_the_session(system: System, tmp_path: Path) -> None:
    """Who goes elsewhere without a goodbye leaves no agent behind that talks to nobody."""
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    async with chromium(quiet) as browser, visit(browser, system.service_url, tmp_path) as page:
        session_id = await talk(page)
        await page.turn("agent", "hello", GREETING_WITHIN_S)
        await page.page.goto("about:blank")
        assert await settled(system, session_id) == "ended"
        async with system.service() as service:
            ended = await service.session(session_id)
        # The page asked for the end; its own word for why is kept beside.
        assert (ended.reason, ended.detail) == ("user_requested", "user_left")


@pytest.mark.parametrize(
    ("code", "title", "advice"),
    [
        ("capacity_exhausted", "Every line is taken", "Try again in 2 seconds."),
        ("store_unavailable", "The server has lost its memory", "Try again in 3 seconds."),
        ("livekit_unavailable", "The audio server does not answer", "Try again in 3 seconds."),
    ],
)
async def test_a_refused_start_is_told_in_words(
    system: System, tmp_path: Path, code: str, title: str, advice: str
) -> None:
    """Each 503 of the service reaches the person as what it means and when to try again."""
    answer = problem_of(code)
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    async with chromium(quiet) as browser, visit(browser, system.service_url, tmp_path) as page:
        await page.page.route(
            "**/api/session/start",
            lambda route: route.fulfill(
                status=answer.status_code, headers=dict(answer.headers), body=bytes(answer.body)
            ),
        )
        await talk(page)
        assert title in await page.shown("#error-title")
        assert advice in await page.shown("#error-advice")
        assert await page.shown("#talk-words") == "Try again"
        assert not await page.page.locator("#end").is_visible()


async def test_a_service_without_workers_says_so(system: System, tmp_path: Path) -> None:
    """A start that fails in earnest: the person waits in line, and then is told why it failed."""
    port = free_port()
    alone = {
        **system.environ,
        # A database of its own: none of the system's workers beats in it.
        "REDIS_URL": system.redis_url.rstrip("/").removesuffix("/0") + "/1",
        "ASSISTANT_QUEUE_TIMEOUT": "2",
    }
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    part = service_part(name="service-alone", port=port, env=alone, cwd=PROJECT)
    await system.supervisor.start(part)
    try:
        url = f"http://{HOST}:{port}"
        async with chromium(quiet) as browser, visit(browser, url, tmp_path) as page:
            await talk(page)
            await page.page.locator("#headline", has_text="You are next in line").wait_for()
            assert await page.shown("#error-title", 20) == "No assistant is on duty"
            assert "Try again later" in await page.shown("#error-advice")
    finally:
        await system.supervisor.stop("service-alone")
