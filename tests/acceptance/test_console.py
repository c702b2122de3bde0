"""The operator's console in a real browser: a conversation that runs, and ones that are over."""

import asyncio
import json
import re
import time
import wave
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
import pytest_asyncio
from playwright.async_api import expect

from assistant.rehearsal.scenario import Call
from assistant.sessions import events as ev
from assistant.sessions.item import Item, ToolUse
from assistant.sessions.record import Reason
from assistant.sessions.recordings import Recordings
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.usage import Spent, Usage
from tests.acceptance.asking import THE_TIME, asks_aloud
from tests.acceptance.browser import Visit, chromium, microphone_file, visit
from tests.acceptance.system import PROJECT, System
from tests.acceptance.test_live_control import (
    ANSWER_S,
    LONG,
    QUIET_S,
    STOPS_WITHIN_S,
    asks,
    prompt_of,
)
from tests.acceptance.test_livekit_js_client import service_for
from tests.acceptance.test_main_job import settled
from tests.integration.events_world import SECRET, Receiver, running_receiver
from tests.integration.http_stack import BACKEND_KEY, PAGE_KEY, WITH_KEYS, Stack, running_stack
from tests.integration.session_servers import new_session
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = (PROJECT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()
SHOWN_S = 20.0
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
ORDER = "The kitchen closes at ten tonight."
VIEWS = {
    "overview": "Workers",
    "sessions": "Past",
    "agents": "Hotel concierge",
    "webhooks": "Given up",
    "checks": "redis",
}
RATE_HZ = 48_000
# Keeps every state of the lines that grow while they are spoken.
WATCH_LINES = """
    globalThis.grown = [];
    new MutationObserver(() => {
        for (const line of document.querySelectorAll('.said[data-growing="true"]'))
            grown.push([line.dataset.who, line.querySelector(".said-words").textContent]);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
"""


async def accessible(visited: Visit, *, where: str) -> None:
    """What axe-core finds wrong with what is shown now: nothing, light and dark."""
    for scheme in ("light", "dark"):
        await visited.page.emulate_media(
            color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
        )
        await visited.page.evaluate(f"globalThis.axe ?? (() => {{ {AXE} }})()")
        found = await visited.page.evaluate(
            "axe.run(document).then(({ violations }) => violations)"
        )
        told = [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found
            for node in each["nodes"]
        ]
        assert not told, (where, scheme, told)


async def shows(visited: Visit, selector: str, text: str | re.Pattern[str]) -> None:
    found = visited.page.locator(selector).filter(has_text=text).first
    await expect(found).to_be_visible(timeout=scaled(SHOWN_S) * 1000)


async def button(visited: Visit, name: str | re.Pattern[str]) -> None:
    await visited.page.get_by_role("button", name=name).first.click()


async def orders(console: Visit, words: str, how: str = "Say") -> None:
    await console.page.get_by_label("What to do with the words").select_option(label=how)
    await console.page.get_by_role("textbox", name="Words").fill(words)
    await button(console, "Send")


async def silences(console: Visit, call: Call, name: str) -> None:
    """Has something long said, and presses a button that takes the agent's voice away."""
    await orders(console, LONG)
    # Whoever is stopped before a word was heard has said nothing.
    await shows(console, '.said[data-growing="true"]', LONG[:11])
    press = console.page.get_by_role("button", name=name)
    await expect(press).to_be_enabled(timeout=scaled(SHOWN_S) * 1000)
    pressed_at = time.monotonic()
    await press.click()
    went_on_s = await call.caller.wait_for_silence(pressed_at, ANSWER_S, quiet_s=QUIET_S)
    assert went_on_s < STOPS_WITHIN_S, name


async def steers(system: System, console: Visit, call: Call) -> None:
    """Interrupt and mute are heard by the caller; what the agent is told, its model knows."""
    await silences(console, call, "Interrupt")
    await shows(console, ".said-note", "Interrupted")
    await silences(console, call, "Mute agent")
    mute = console.page.get_by_role("button", name="Mute agent")
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await mute.click()
    await expect(mute).to_have_attribute("aria-pressed", "false")
    await orders(console, "The order is number 4711.", "Tell the agent")
    await shows(console, ".told", "The agent knows it.")
    await orders(console, "You are a captain.", "Instruct")
    await shows(console, ".told", "It has the new instructions.")
    await asks(call, "What is two plus three?", "5")
    prompt = await prompt_of(system, "two plus three")
    told = [message["content"] for message in prompt if message["role"] == "system"]
    assert told == ["You are a captain.", "The order is number 4711."]


async def takes_along(console: Visit, path: Path) -> None:
    """The transcript as text, into the clipboard and as a file: the same."""
    await console.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await button(console, "Copy transcript")
    await shows(console, ".keep", "Copied")
    copied = await console.page.evaluate("navigator.clipboard.readText()")
    assert f"Agent: {ORDER}" in copied
    async with console.page.expect_download() as kept:
        await button(console, "Download transcript")
    await (await kept.value).save_as(path)
    assert (await asyncio.to_thread(path.read_text)).strip() == copied


async def test_an_operator_follows_and_steers_a_conversation(
    system: System, tmp_path: Path
) -> None:
    """What happens to a call is shown while it does, without a reload; what is ordered is heard."""
    url = f"{system.service_url}/console#/sessions"
    async with (
        chromium(None) as browser,
        visit(browser, url, tmp_path) as console,
        system.service() as service,
    ):
        await shows(console, ".lamp", "Live")
        async with Call(service, user_id="ada") as call:
            # The list was empty of it, and the page is never loaded again.
            await console.page.locator(f"#option-{call.session_id}").click(
                timeout=scaled(SHOWN_S) * 1000
            )
            await call.agent_joins()
            await shows(console, ".session-head .pill", "active")
            await shows(console, ".session-facts", "with ada")
            await console.page.evaluate(WATCH_LINES)
            await call.greeting()
            await asks_aloud(call, THE_TIME)
            await shows(console, '.said[data-who="user"] .said-words', re.compile("time\\b"))
            await shows(console, ".wait-total", re.compile(r"^\d\.\d\d\ss$"))
            parts = await console.page.locator(".wait-bar").last.get_attribute("aria-label")
            assert parts is not None
            for part in ("transcribing", "model", "voice"):
                assert part in parts

            await button(console, "Listen in")
            await shows(console, ".listening", "You hear both")
            await console.wait_for("(await probe.energy()) >= 0", 1)
            ordered_at = time.monotonic()
            await orders(console, ORDER)
            await call.caller.wait_for_line("agent", lambda line: "kitchen" in line.text, SHOWN_S)
            await call.caller.wait_for_speech(scaled(SHOWN_S), since=ordered_at)
            # Who listens in hears it as well.
            await console.wait_for("(await probe.energy()) > 0.02", SHOWN_S)
            item = '.said[data-who="assistant"]:not([data-growing]) .said-words'
            await shows(console, item, ORDER)
            grown = await console.page.evaluate("grown")
            assert "user" in {who for who, _ in grown}
            before_its_end = {text for who, text in grown if who == "assistant"} - {ORDER}
            assert any(ORDER.startswith(text) for text in before_its_end), before_its_end
            await accessible(console, where="a live conversation")
            await steers(system, console, call)
            await takes_along(console, tmp_path / "transcript.txt")
            await call.caller.wait_for_agent_state("listening", scaled(SHOWN_S))
            await call.caller.type(f"Repeat the words {HOSTILE}")
            await shows(console, '.said[data-who="user"] .said-words', HOSTILE)

            mute = console.page.get_by_role("button", name="Mute user")
            await mute.click()
            await expect(mute).to_have_attribute("aria-pressed", "true")
            await console.page.get_by_label("Hand over to another agent").select_option("concierge")
            await shows(console, ".session-facts", "concierge, after assistant")
            await console.page.reload()
            await expect(mute).to_have_attribute("aria-pressed", "true")
            await console.page.get_by_role("tab", name="Timeline").click()
            for says in ("job process claimed", "agent was heard", "listens in", "Another agent"):
                await shows(console, ".stage", says)
            async with console.page.expect_download() as kept:
                await button(console, "Download events")
            await (await kept.value).save_as(tmp_path / "events.txt")
            told = (tmp_path / "events.txt").read_text()
            assert re.search(r"^\d{4}-\d\d-\d\dT\S+Z agent.claimed .*attempt=1", told, re.MULTILINE)
            assert re.search(r" agent.transferred .*agent=concierge$", told, re.MULTILINE)
            await console.page.get_by_role("tab", name="Logs").click()
            await shows(console, ".log-line", "turn.completed")
            await button(console, re.compile("^End$"))
            await button(console, "End it for good")
            await shows(console, ".session-head .pill", "ended")
            await call.caller.wait_for_disconnect(scaled(SHOWN_S))
        await shows(console, ".log-line", "turn.completed")
        async with console.page.expect_download() as kept:
            await button(console, "Download log")
        await (await kept.value).save_as(tmp_path / "session.log")
        lines = (tmp_path / "session.log").read_text()
        assert re.search(r"^\d{4}-\S+Z info turn.completed attempt=1 ", lines, re.MULTILINE)
        assert ORDER not in lines
        await accessible(console, where="logs")
        await console.page.get_by_role("tab", name="Report").click()
        await shows(console, ".report .facts", "by the agent")
        await shows(console, ".report table", "Answer begins")
        await button(console, re.compile("^Erase$"))
        await button(console, "Erase all of it for good")
        await expect(console.page.locator(".session")).to_have_count(0)
        async with system.http() as http:
            assert (await http.get(f"/api/sessions/{call.session_id}")).status_code == 404
        assert await console.page.evaluate("window.hacked") is None
        assert await console.page.locator(".panel :is(img, script)").count() == 0
        assert (await console.probe())["violations"] == []
        assert console.errors == []
        livekit = system.livekit_url
        assert (
            console.strangers(system.service_url, livekit, livekit.replace("ws", "http", 1)) == []
        )


async def test_an_operator_talks_to_an_agent(system: System, tmp_path: Path) -> None:
    """In the console itself and with its key, though there is no talk page; its frame ends it."""
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    async with (
        service_for(system, "https://elsewhere.example", **WITH_KEYS) as service,
        chromium(quiet) as browser,
        visit(browser, f"{service}/console#/agents", tmp_path) as console,
    ):
        await sign_in(console, BACKEND_KEY)
        await button(console, "Talk to Hotel concierge")
        frame = console.page.frame_locator(".talk iframe")
        async with console.page.expect_response("**/api/session/start") as answered:
            await frame.locator("#talk").click()
        session_id = (await (await answered.value).json())["sessionId"]
        said = frame.locator(".turn[data-who=agent] .words", has_text="concierge").first
        await expect(said).to_be_visible(timeout=scaled(SHOWN_S) * 1000)
        await console.page.get_by_role("link", name="Sessions").click()
        await shows(console, f"#option-{session_id}", "active")
        await console.page.locator(f"#option-{session_id}").click()
        await console.page.get_by_label("Hand over to another agent").select_option("storyteller")
        # The frame names whoever talks now.
        named = frame.locator(".turn[data-who=agent] .who", has_text="Storyteller").first
        await expect(named).to_be_visible(timeout=scaled(SHOWN_S) * 1000)
        await accessible(console, where="talking")
        await frame.locator("#close").click()
        assert await settled(system, session_id) == "ended"
        assert not [asked for asked in console.requests if BACKEND_KEY in asked]
        assert (await console.probe())["violations"] == []
        assert [line for line in console.errors if "401" not in line] == []


@dataclass(frozen=True)
class Past:
    """A service with keys, and sessions that are over."""

    stack: Stack
    receiver: Receiver
    talked: str
    failed: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def past(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Past]:
    folder = tmp_path_factory.mktemp("console")
    place = f"file://{folder}/recordings"
    async with running_receiver() as receiver:
        endpoint = {"name": "crm", "url": receiver.url(), "secret": SECRET, "events": ["session.*"]}
        environ = {
            **WITH_KEYS,
            "ASSISTANT_WEB_DIR": str(PROJECT / "web" / "dist"),
            "ASSISTANT_WEBHOOKS": json.dumps([endpoint]),
            "ASSISTANT_WEBHOOKS_ALLOW_INTERNAL": "true",
            "ASSISTANT_RECORDINGS_URL": place,
            # There is no worker behind the beat: whoever is started waits, and others in line.
            "MAX_BOTS": "1",
            "BOT_STARTUP_TIMEOUT": "600",
        }
        with ExitStack() as running:
            stack = await asyncio.to_thread(running.enter_context, running_stack(folder, **environ))
            stack.has_worker()
            ids = await _sessions(stack, Recordings(place), folder)
            yield Past(stack, receiver, *ids)


async def _sessions(stack: Stack, recordings: Recordings, folder: Path) -> tuple[str, str]:
    """One that was talked in, with a report and a recording, and one whose agent never came."""
    spec = await asyncio.to_thread(stack.default_spec, BACKEND_KEY)
    async with connect(stack.redis_url) as redis:
        store = SessionStore(redis, Bounds(max_bots=100, queue_limit=100, keep_s=3600))
        archive = Archive(redis)
        now = time.time() - 60
        for name in ("talked", "failed"):
            session = new_session(name, user_id=HOSTILE, spec=spec, created_at=now)
            begun = (ev.Started(at=now, task_id=name), ev.Admitted(at=now + 0.1))
            await store.create(session, *begun)
            await store.record(name, ev.Dispatched(at=now + 0.2, attempt=1))
        lost = ev.AgentLost(at=now + 9, attempt=1, detail=HOSTILE)
        failed = ev.Failed(at=now + 9, reason=Reason.ALL_WORKERS_FULL, detail="12 of 12 jobs")
        await store.record("failed", lost, failed)
        await store.record(
            "talked",
            ev.Accepted(at=now + 0.3, attempt=1, worker="w-1"),
            ev.Claimed(at=now + 0.4, attempt=1, worker="w-1", pid=7),
            ev.AgentJoined(at=now + 0.9, attempt=1),
        )
        for item in _items(now):
            await archive.keep("talked", 1, item)
        figures = dict.fromkeys(("transcription_delay_s", "llm_ttft_s", "tts_ttfb_s"), 0.2)
        turn = ev.TurnCompleted(
            at=now + 7,
            attempt=1,
            turn=1,
            interrupted=False,
            end_of_turn_delay_s=0.5,
            e2e_latency_s=1.0,
            **figures,
        )
        await store.note("talked", turn)
        await store.record(
            "talked", ev.EndRequested(at=now + 9, reason=Reason.USER_LEFT), ev.Closed(at=now + 9)
        )
        llm = Usage(kind="llm", provider="groq", model="llama", input_tokens=1234)
        await archive.spend("talked", 1, Spent(models=(llm,)))
        sound = await asyncio.to_thread(_ogg, folder / "sound.ogg")
        address = await recordings.put("talked", 1, sound)
        stored = {
            "address": address,
            "bytes": sound.stat().st_size,
            "started_at": now,
            "stored_at": now + 9,
        }
        analysis = {
            "summary": HOSTILE,
            "criteria": [{"criterion": "The caller was told.", "met": False, "reason": HOSTILE}],
            "extracted": {"name": HOSTILE},
            "missing": {},
        }
        parts = {"recording:1": stored, "analysis": analysis, "sdk:1": {"note": HOSTILE}}
        await archive.finish("talked", 1, parts, last=True)
    return "talked", "failed"


def _items(now: float) -> list[Item]:
    tool = ToolUse(name="look_up", call_id="c", arguments=HOSTILE, output=HOSTILE, is_error=True)
    said = [("user", 2.0), ("tool", 4.0), ("assistant", 5.0)]
    return [
        Item.model_validate(
            {
                "id": f"item-{role}",
                "role": role,
                "text": "" if role == "tool" else f"{role} {HOSTILE}",
                "interrupted": role == "assistant",
                "at": now + after,
                "started_at": now + after,
                "ended_at": now + after + 1,
                "attempt": 1,
                "tool": tool if role == "tool" else None,
            }
        )
        for role, after in said
    ]


def _ogg(path: Path) -> Path:
    """Ten seconds of silence, as a recording is stored."""
    source = path.with_suffix(".wav")
    with wave.open(str(source), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(bytes(RATE_HZ * 4 * 10))
    with av.open(str(source)) as silence, av.open(str(path), "w", format="ogg") as ogg:
        stream = ogg.add_stream("libopus", rate=RATE_HZ, layout="stereo")
        for frame in silence.decode(audio=0):
            ogg.mux(stream.encode(frame))
        ogg.mux(stream.encode(None))
    return path


async def sign_in(console: Visit, key: str) -> None:
    await console.page.get_by_label("Secret key").fill(key)
    await button(console, "Sign in")


async def test_only_a_secret_key_opens_the_console(past: Past, tmp_path: Path) -> None:
    """Other keys are refused in words; a good one lies nowhere but in this tab, until sign-out."""
    url = f"{past.stack.url}/console"
    async with chromium(None) as browser, visit(browser, url, tmp_path) as console:
        await accessible(console, where="sign-in")
        await sign_in(console, "nonsense")
        await shows(console, "[role=alert]", "does not know this key")
        await sign_in(console, PAGE_KEY)
        await shows(console, "[role=alert]", "publishable key")
        await sign_in(console, BACKEND_KEY)
        await shows(console, ".lamp", "Live")
        for view, text in VIEWS.items():
            await console.page.goto(f"{url}#/{view}")
            await shows(console, "#main", text)
            await accessible(console, where=view)
        await console.page.reload()
        await shows(console, ".lamp", "Live")
        kept = await console.page.evaluate("JSON.stringify([localStorage, document.cookie])")
        assert BACKEND_KEY not in kept
        assert not [asked for asked in console.requests if BACKEND_KEY in asked]
        await button(console, "Sign out")
        await shows(console, "label", "Secret key")
        assert await console.page.evaluate("sessionStorage.length") == 0
        assert (await console.probe())["violations"] == []


async def test_what_became_of_a_session_can_be_looked_into(past: Past, tmp_path: Path) -> None:
    """Why no agent came, the words, report, sound and webhooks; hostile text is but characters."""
    url = f"{past.stack.url}/console"
    async with chromium(None) as browser, visit(browser, url, tmp_path) as console:
        await sign_in(console, BACKEND_KEY)
        await console.page.get_by_role("link", name="Sessions").click()
        await button(console, "Failed")
        await console.page.locator(f"#option-{past.failed}").click()
        await shows(console, ".verdict", "Every worker ran as many jobs as it may (12 of 12 jobs)")
        await console.page.get_by_role("tab", name="Timeline").click()
        await shows(console, '.stage[data-bad="true"]', HOSTILE)
        await accessible(console, where="timeline")

        await button(console, "All")
        await shows(console, f"#option-{past.talked}", past.talked)
        # By the keyboard: the other session is below or above the chosen one.
        await console.page.get_by_role("listbox").focus()
        first = await console.page.locator(".list-row").first.get_attribute("id")
        await console.page.keyboard.press("Home" if first == f"option-{past.talked}" else "End")
        await shows(console, f"#option-{past.talked}[aria-selected=true]", past.talked)
        await console.page.get_by_role("tab", name="Conversation").click()
        await shows(console, ".said-note", "Interrupted")
        await shows(console, ".wait-sum", "0.20 + 0.30 + 0.20 + 0.20 + 0.10")
        await console.page.locator(".said summary").click()
        await shows(console, ".said pre", HOSTILE)
        await accessible(console, where="conversation")

        await console.page.get_by_role("tab", name="Report").click()
        await shows(console, ".summary", HOSTILE)
        await button(console, re.compile("Play attempt 1"))
        await console.wait_for("document.querySelector('audio')?.currentTime > 0", SHOWN_S)
        assert await console.page.locator(".lane-block").count() == 3
        await accessible(console, where="report")

        await console.page.get_by_role("tab", name="Webhooks").click()
        await shows(console, ".delivery", "session.ended")
        await past.receiver.until(lambda: len(_ends(past)) == 1)
        await button(console, "Send again session.ended")
        await past.receiver.until(lambda: len(_ends(past)) == 2)
        await shows(console, ".delivery", "2 attempts")
        # Somebody else's doing is shown as well: what became of a delivery is told, not asked for.
        with past.stack.client(BACKEND_KEY) as http:
            made = http.get(f"/api/sessions/{past.talked}/deliveries").json()["deliveries"]
            (end,) = [each["id"] for each in made if each["event"] == "session.ended"]
            assert http.post(f"/api/deliveries/{end}/replay").status_code == 202
        await shows(console, ".delivery", "3 attempts")
        await accessible(console, where="webhooks")
        assert len(set(_ends(past))) == 1, "a repetition bears the same id"
        assert await console.page.evaluate("window.hacked") is None
        assert await console.page.locator("#main :is(img, script)").count() == 0
        assert (await console.probe())["violations"] == []
        # Before the sign-in the service had refused, as it should; the browser tells of that.
        assert [line for line in console.errors if "401" not in line] == []


async def test_sessions_are_found_and_counted(past: Past, tmp_path: Path) -> None:
    """By id, user, agent and state; who waits knows their place; charts show what happens."""
    url = f"{past.stack.url}/console"
    rows = ".list-row"
    async with chromium(None) as browser, visit(browser, url, tmp_path) as console:
        await sign_in(console, BACKEND_KEY)
        await console.page.get_by_role("link", name="Sessions").click()
        with past.stack.client(BACKEND_KEY) as http:
            past.stack.has_worker()
            for name in ("holder", "waiter"):
                body = {"sessionId": name, "userId": f"user-of-{name}"}
                assert http.post("/api/session/start", json=body).status_code == 200
            await shows(console, "#option-waiter", "at place 1 in the queue")
            find = console.page.get_by_role("searchbox")
            for search in ("holder", "user-of-holder"):
                await find.fill(search)
                await expect(console.page.locator(rows)).to_have_count(1)
                await shows(console, rows, "user-of-holder")
            await find.fill("")
            await expect(console.page.locator(rows)).to_have_count(2)
            agent = console.page.get_by_label("Agent", exact=True)
            await agent.select_option("concierge")
            await expect(console.page.locator(rows)).to_have_count(0)
            await agent.select_option("assistant")
            await expect(console.page.locator(rows)).to_have_count(2)

            await console.page.goto(f"{url}#/overview")
            now = "1 slots in use and 1 sessions in the queue now."
            await expect(console.page.get_by_label(now).first).to_be_attached()
            drawn = """[...document.querySelectorAll(".charts canvas")].filter((canvas) => canvas
                .getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
                .data.some((value) => value > 0)).length >= 4"""
            await console.wait_for(drawn, SHOWN_S)
            await shows(console, ".number-tile", re.compile("Answers begin after.*p90"))
            for name in ("waiter", "holder"):
                http.delete(f"/api/sessions/{name}").raise_for_status()
        await shows(console, ".number-tile", re.compile("In the queue\\s*0"))


def _ends(past: Past) -> list[str]:
    return [
        post.id
        for post in past.receiver.taken()
        if post.session == past.talked and post.said["type"] == "session.ended"
    ]
