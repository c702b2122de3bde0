"""The console's parts: who talks with which stand-ins, the line to a device, the keyboard."""

import asyncio
import os
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc

from assistant.catalog import Catalog
from assistant.console.apologies import PlayedApology
from assistant.console.errors import NoSoundError, NotInConsoleError, WishError
from assistant.console.keyboard import Keyboard
from assistant.console.line import FRAME_SAMPLES, MAX_AHEAD_SAMPLES, RATE_HZ, Line, Mouth
from assistant.console.plan import Plan, plan
from assistant.console.screen import Screen
from assistant.console.sound_card import SoundCard
from assistant.errors import SettingsError
from tests.timing import scaled

FILE = """\
version: 1
default: helper
voices:
  her: {provider: inworld, voice: Ashley}
agents:
  helper:
    title: Helper
    instructions: Help {{ user_name }}.
    stt: {provider: assemblyai}
    llm: {provider: groq}
    tts: {provider: inworld, voice: her}
    record: audio
    recording: {consent: You are recorded.}
    tools: [{type: transfer, to: {house: For the house.}}]
    variables: {user_name: friend}
  house:
    title: House
    instructions: Keep house for {{ owner }}.
    stt: {provider: assemblyai}
    llm: {provider: openai-compatible, base_url: 'http://127.0.0.1:8000/v1', model: m,
          api_key_env: HOUSE_KEY}
    tts: {provider: inworld, voice: her}
    turn_detection: english
    variables: {owner: nobody}
"""
KEY = {"HOUSE_KEY": "k"}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    file: Path = tmp_path_factory.mktemp("console") / "agents.yaml"
    file.write_text(FILE)
    return Catalog.load(file)


def planned(catalog: Catalog, environ: dict[str, str], **wishes: Any) -> Plan:
    options: dict[str, Any] = {"agent": None, "voice": None, "metadata": (), "writes": False}
    return plan(catalog, environ, port=20_001, **(options | wishes))


def test_stand_ins_replace_only_what_is_needed_and_has_no_key(catalog: Catalog) -> None:
    """A vendor with a key or an address is real; who writes needs no ears and no voice."""
    names = [vendor.name for vendor in planned(catalog, KEY).stand_ins]
    assert names == ["assemblyai", "groq", "inworld"]
    own = {**KEY, "GROQ_API_KEY": "real", "LIVEKIT_URL": "ws://alone.example"}
    spoken = planned(catalog, own)
    assert [vendor.name for vendor in spoken.stand_ins] == ["assemblyai", "inworld"]
    assert spoken.environ["GROQ_API_KEY"] == "real"
    assert spoken.environ["ASSISTANT_INWORLD_URL"] == "http://127.0.0.1:20001/"
    assert planned(catalog, own, writes=True).stand_ins == ()


def test_the_agent_is_that_of_a_session(catalog: Catalog) -> None:
    """Voice and metadata as in a session's `config`; nothing is recorded, for there is no session;
    who writes hands over to those that write.
    """
    spec = planned(catalog, KEY, voice="Ashley", metadata=["user_name=Ada = B"], writes=True).spec
    assert (spec.voice, spec.instructions) == ("Ashley", "Help Ada = B.")
    assert spec.team["house"].instructions == "Keep house for nobody."
    for one in (spec, spec.team["house"]):
        assert (one.modality, one.record) == ("text", "none")


def test_a_missing_key_is_named(catalog: Catalog) -> None:
    """A vendor that no stand-in replaces needs its key, also for those that may take over."""
    with pytest.raises(SettingsError) as caught:
        planned(catalog, {})
    assert "HOUSE_KEY: is not set, and needed by agents.house.llm" in str(caught.value)


@pytest.mark.parametrize(
    ("wish", "option", "words"),
    [
        ({"agent": "nobody"}, "agent", "known agents: helper, house"),
        ({"agent": "Helper!"}, "agent", "must be 1 to 64 of a-z"),
        ({"voice": "his"}, "voice", "known voices: Ashley, her"),
        ({"metadata": ["name"]}, "metadata", "must be key=value, got 'name'"),
        ({"metadata": ["a=\x00"]}, "metadata", "a: must not contain NUL"),
    ],
)
def test_a_wrong_wish_is_refused(
    catalog: Catalog, wish: dict[str, Any], option: str, words: str
) -> None:
    """The option is named, and what there is instead."""
    with pytest.raises(WishError) as caught:
        planned(catalog, KEY, **wish)
    assert caught.value.option == option
    assert words in str(caught.value)


def test_a_model_that_only_workers_have_is_refused(catalog: Catalog) -> None:
    """An agent that hears with it can still be written to."""
    with pytest.raises(NotInConsoleError, match="runs in a worker only"):
        planned(catalog, KEY, agent="house")
    assert planned(catalog, KEY, agent="house", writes=True).spec.name == "house"


def frame(seconds: float, level: int = 1000) -> rtc.AudioFrame:
    samples = np.full(round(seconds * RATE_HZ), level, dtype=np.int16)
    return rtc.AudioFrame(samples.tobytes(), RATE_HZ, 1, samples.size)


class Played:
    """What the mouth told of its utterances."""

    def __init__(self, mouth: Mouth) -> None:
        self.begun = 0
        self.ended: list[tuple[float, bool]] = []
        mouth.on("playback_started", self._on_started)
        mouth.on("playback_finished", self._on_finished)

    def _on_started(self, _event: object) -> None:
        self.begun += 1

    def _on_finished(self, event: Any) -> None:
        self.ended.append((round(event.playback_position, 3), event.interrupted))


async def test_an_utterance_is_over_when_the_device_has_it() -> None:
    """Its position is what was taken, to the sample; silence follows, and the next one waits."""
    mouth = Mouth()
    played = Played(mouth)
    await mouth.capture_frame(frame(0.02))
    mouth.flush()
    next_one = asyncio.create_task(mouth.capture_frame(frame(0.01, level=7)))
    assert mouth.take(FRAME_SAMPLES).tolist() == [1000] * FRAME_SAMPLES
    await asyncio.sleep(0)
    assert (played.begun, played.ended, next_one.done()) == (1, [], False)
    assert mouth.take(FRAME_SAMPLES * 2).tolist() == [1000] * FRAME_SAMPLES + [0] * FRAME_SAMPLES
    await next_one
    assert played.ended == [(0.02, False)]
    assert mouth.take(FRAME_SAMPLES)[0] == 7


async def test_a_paused_mouth_is_silent_and_goes_on() -> None:
    """A false interruption loses no word."""
    mouth = Mouth()
    await mouth.capture_frame(frame(0.02))
    mouth.pause()
    assert not mouth.take(FRAME_SAMPLES).any()
    mouth.resume()
    assert mouth.take(2 * FRAME_SAMPLES).all()


@pytest.mark.parametrize("complete", [True, False])
async def test_an_interruption_ends_an_utterance_where_it_was(complete: bool) -> None:
    """It is over once, as interrupted, whether its maker had finished or still adds to it."""
    mouth = Mouth()
    played = Played(mouth)
    await mouth.capture_frame(frame(0.05))
    mouth.take(FRAME_SAMPLES)
    if complete:
        mouth.flush()
    mouth.clear_buffer()
    if not complete:
        await mouth.capture_frame(frame(0.05))
        mouth.flush()
    assert not mouth.take(FRAME_SAMPLES).any()
    await asyncio.sleep(0)
    assert played.ended == [(0.01, True)]
    await mouth.capture_frame(frame(0.01))
    mouth.flush()
    mouth.take(FRAME_SAMPLES)
    await asyncio.sleep(0)
    assert played.ended == [(0.01, True), (0.01, False)]


async def test_an_apology_is_heard_beside_the_answer() -> None:
    """It goes over whatever the mouth says, at its own rate, and stops when nobody waits."""
    line = Line()
    sound = np.full(480, 20_000, dtype=np.int16)
    apology = PlayedApology(line.aside, lambda: [rtc.AudioFrame(sound.tobytes(), 48_000, 1, 480)])
    waited = True
    telling = asyncio.create_task(apology.tell(lambda: waited))
    await asyncio.sleep(0)
    await line.mouth.capture_frame(frame(0.01, level=20_000))
    silence = np.zeros(FRAME_SAMPLES, dtype=np.int16)
    assert (line.exchange(silence[:10]) == np.iinfo(np.int16).max).all()
    assert line.exchange(silence[:100]).any()
    waited = False
    await asyncio.wait_for(telling, scaled(5))
    line.mouth.clear_buffer()
    assert not line.exchange(silence).any()


def test_what_comes_between_leaves_the_prompt_last(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever sits there sees that it is still their turn."""
    screen = Screen(echoes=False)
    screen.prompt()
    screen.words("a", " Are you")
    screen.words("a", " there?")
    screen.end_line()
    screen.sentence("a", "One moment.")
    screen.user("Yes.")
    screen.words("a", "Good.")
    screen.prompt()
    screen.asks_no_more()
    said = ["you: ", "a: Are you there?", "you: ", "a: One moment.", "you: a: Good.", "you: "]
    assert capsys.readouterr().out.splitlines() == said


async def test_a_voice_that_is_far_ahead_waits() -> None:
    """However long the answer, half a minute of it is held."""
    mouth = Mouth()
    long = asyncio.create_task(mouth.capture_frame(frame(MAX_AHEAD_SAMPLES / RATE_HZ + 1)))
    await asyncio.sleep(0)
    mouth.take(FRAME_SAMPLES)
    await asyncio.sleep(0)
    assert not long.done()
    mouth.take(RATE_HZ)
    async with asyncio.timeout(scaled(5)):
        await long


async def test_lines_are_read_as_they_come() -> None:
    """Broken UTF-8, a missing last newline and blank lines do no harm; the end is the end."""
    out, into = os.pipe()
    os.write(into, "Grüße\n\n  \nhalf".encode())
    lines = Keyboard(out).lines()
    assert await anext(lines) == "Grüße"
    os.write(into, b" a line\n\xff\nlast")
    os.close(into)
    assert [line async for line in lines] == ["half a line", "\ufffd", "last"]
    os.close(out)


class Device:
    """Stands in for the sounddevice package: hears a tone, and keeps what it is given to play."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self, *, missing: str | None = None) -> None:
        self.missing = missing
        self.played: list[int] = []

    def query_devices(self, *, kind: str) -> dict[str, str]:
        if self.missing == kind:
            raise self.PortAudioError("Error querying device -1")
        return {"name": f"the {kind}"}

    def Stream(self, *, callback: Callable[..., None], **options: Any) -> Any:  # noqa: N802
        assert (options["samplerate"], options["channels"]) == (RATE_HZ, 1)
        return Running(self, callback, options["blocksize"])


class Running:
    latency = (0.01, 0.02)

    def __init__(self, device: Device, callback: Callable[..., None], block: int) -> None:
        self._device = device
        self._callback = callback
        self._block = block
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        tone = (8000 * np.sin(np.arange(self._block) * 2 * np.pi * 500 / RATE_HZ)).astype(np.int16)
        while not self._stopped.is_set():
            played = np.zeros((self._block, 1), dtype=np.int16)
            self._callback(tone.reshape(-1, 1), played, self._block, None, None)
            self._device.played += played[:, 0].tolist()
            time.sleep(0.001)


def installed(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    package = types.ModuleType("sounddevice")
    package.__dict__.update(
        query_devices=device.query_devices,
        Stream=device.Stream,
        PortAudioError=device.PortAudioError,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", package)


async def test_a_sound_card_hears_and_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the device's own thread, through the echo canceller, sound goes both ways."""
    device = Device()
    installed(monkeypatch, device)
    card, line = SoundCard(), Line()
    assert (card.microphone, card.loudspeaker) == ("the input", "the output")
    over = asyncio.Event()
    line.mouth.on("playback_finished", lambda _event: over.set())
    with card.connected(line):
        await line.mouth.capture_frame(frame(0.3))
        line.mouth.flush()
        async with asyncio.timeout(scaled(10)):
            await over.wait()
            heard = [await anext(line.ear) for _ in range(20)]
    assert {(each.sample_rate, each.samples_per_channel) for each in heard} == {
        (RATE_HZ, FRAME_SAMPLES)
    }
    assert any(np.frombuffer(each.data, dtype=np.int16).any() for each in heard)
    assert device.played.count(1000) == round(0.3 * RATE_HZ)


@pytest.mark.parametrize("missing", ["input", "output"])
def test_a_machine_without_sound_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """What is not there, how to get it, and that one can write instead."""
    installed(monkeypatch, Device(missing=missing))
    with pytest.raises(NoSoundError, match="connect a microphone") as caught:
        SoundCard()
    assert "console --text" in str(caught.value)


def test_a_machine_without_portaudio_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The package raises at its import where the library is missing."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(NoSoundError, match=r"PortAudio library not found; install PortAudio"):
        SoundCard()
