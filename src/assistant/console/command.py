"""`console`: talk to an agent from the terminal, by typing, by microphone or by WAV files."""

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.console.keyboard import Keyboard
from assistant.console.line import Line
from assistant.console.plan import Plan
from assistant.console.screen import Screen
from assistant.console.sound_card import SoundCard
from assistant.console.talk import Talk, talking
from assistant.console.wav_device import WavDevice
from assistant.local_stack.parts import stand_ins_part
from assistant.local_stack.supervisor import Supervisor
from assistant.rehearsal.speech import Speech, load_wav
from assistant.settings import SpeechSettings, read

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # as shells tell of SIGINT
QUIT = frozenset({"/quit", "/exit"})
ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Means:
    """How the user talks: in writing, by these files, or else by microphone.

    `out`: where to keep what the agent said; None: nowhere. Only for files.
    """

    writes: bool = False
    wav: tuple[Path, ...] = ()
    out: Path | None = None


async def run(plan: Plan, means: Means) -> int:
    """Talk until the user or the agent ends it; returns the exit code.

    0: everything was answered. 1: something was not, or the conversation broke. 130: Ctrl-C.

    Raises:
        ConsoleError: there is no sound, or a file cannot be written.
        SpeechFileInvalidError: a file is no speech.
        PartError: the stand-ins do not start.
    """
    screen = Screen(echoes=not (means.writes and sys.stdin.isatty()))
    # Whatever cannot be is told before anything starts.
    speeches = [load_wav(path) for path in means.wav]
    card = None if means.writes or speeches else SoundCard()
    work = asyncio.create_task(_converse(plan, means, speeches, card, screen), name="console")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        screen.end_line()
        return EXIT_INTERRUPTED


async def _converse(
    plan: Plan, means: Means, speeches: list[Speech], card: SoundCard | None, screen: Screen
) -> int:
    line = Line()
    async with _stand_ins(plan, screen) as environ, contextlib.AsyncExitStack() as devices:
        device = None
        if speeches:
            device = await devices.enter_async_context(_running(WavDevice(line)))
        elif card is not None:
            devices.enter_context(card.connected(line))
            screen.note(
                f"microphone: {card.microphone}; loudspeaker: {card.loudspeaker}; Ctrl-C ends"
            )
        elif sys.stdin.isatty():
            screen.note("write a line; Ctrl-D or /quit ends")
        settings = read(SpeechSettings, environ)
        async with talking(plan, environ, settings, screen, line) as talk:
            if device is not None:
                code = await _play(talk, device, speeches, screen)
            elif card is not None:
                await talk.ended()
                code = EXIT_OK
            else:
                code = await _type(talk, screen)
        screen.end_line()
        if device is not None and means.out is not None:
            device.keep(means.out)
            screen.note(f"what the agent said is in {means.out}")
        if talk.error is not None:
            screen.note(f"the conversation broke: {talk.error}", style="red")
            return EXIT_FAILED
        return code


async def _type(talk: Talk, screen: Screen) -> int:
    code = EXIT_OK
    lines = Keyboard().lines()
    while not talk.is_over:
        screen.prompt()
        text = await _next_line(talk, lines)
        if text is None or text in QUIT:
            break
        screen.user(text)
        if not await talk.write(text):
            code = EXIT_FAILED
    screen.asks_no_more()
    return code


async def _next_line(talk: Talk, lines: AsyncIterator[str]) -> str | None:
    """None: there are no more, or the agent has ended the conversation meanwhile."""
    reading = asyncio.ensure_future(anext(lines, None))
    ending = asyncio.create_task(talk.ended(), name="ended")
    await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if reading.done():
        return reading.result()
    reading.cancel()
    return None


async def _play(talk: Talk, device: WavDevice, speeches: list[Speech], screen: Screen) -> int:
    for speech in speeches:
        before = talk.answers
        await device.say(speech)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await talk.answered(before)
        except TimeoutError:
            screen.note(f"no answer within {ANSWER_WITHIN_S:g} s", style="red")
            return EXIT_FAILED
        if talk.is_over:
            break
    return EXIT_OK


@contextlib.asynccontextmanager
async def _running(device: WavDevice) -> AsyncIterator[WavDevice]:
    clock = asyncio.create_task(device.run(), name="clock of the device")
    try:
        yield device
    finally:
        clock.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await clock


@contextlib.asynccontextmanager
async def _stand_ins(plan: Plan, screen: Screen) -> AsyncIterator[Mapping[str, str]]:
    """The vendors without a key, on loopback; nothing where all have one.

    Gives the environment. What a stand-in's voice says is kept nowhere.
    """
    if not plan.stand_ins:
        yield plan.environ
        return
    names = ", ".join(f"{vendor.name} ({vendor.role})" for vendor in plan.stand_ins)
    screen.note(f"stand-ins for {names}")
    with tempfile.TemporaryDirectory(prefix="assistant-console-") as folder:
        async with Supervisor(Path(folder)) as supervisor:
            await supervisor.start(stand_ins_part(port=plan.port, env=plan.environ))
            own_cache = {"ASSISTANT_SPEECH_CACHE": folder} if plan.voice_is_stand_in else {}
            yield {**plan.environ, **own_cache}
