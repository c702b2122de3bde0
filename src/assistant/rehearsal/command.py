"""`make call`: a call on the terminal, with both sides' words and each turn's latencies."""

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from assistant.rehearsal.api import ServiceClient
from assistant.rehearsal.caller import Reply
from assistant.rehearsal.errors import (
    RehearsalError,
    SpeechError,
    WaitTimedOutError,
)
from assistant.rehearsal.scenario import Call, CallReport, Turn
from assistant.rehearsal.speech import Speech, load_wav, speak
from assistant.rehearsal.transcript import Line

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_TEXT = "Tell me what time it is."
URL_VARIABLE = "ASSISTANT_URL"
DEFAULT_STATE_DIR = ".state"
STACK_FILE = "stack.json"
# A call is minutes long; more turns than this are a load test.
MAX_TURNS = 100

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


@dataclass(frozen=True)
class CallOptions:
    """What `python -m assistant call` was asked for.

    The utterances are the texts, blank ones left out, then the WAV files; without any the caller
    asks for the time.
    `turns` is how many are said, starting again from the first; None: each once. `agent` and
    `voice` are overrides of the session; `caller_voice` is what the caller itself speaks with.
    `url` None: `ASSISTANT_URL`, else what `make up` wrote down, else port 8080 on loopback.
    """

    say: tuple[str, ...] = ()
    wav: tuple[Path, ...] = ()
    out: Path | None = None
    url: str | None = None
    agent: str | None = None
    voice: str | None = None
    caller_voice: str | None = None
    key: str | None = field(default=None, repr=False)
    turns: int | None = None


def find_service(url: str | None, *, environ: Mapping[str, str], project_dir: Path = Path()) -> str:
    """Where the token service is: named, else in the environment, else in `make up`'s notes."""
    if url or environ.get(URL_VARIABLE):
        return url or environ[URL_VARIABLE]
    state_dir = project_dir / (environ.get("ASSISTANT_STATE_DIR") or DEFAULT_STATE_DIR)
    stack_file = state_dir / STACK_FILE
    try:
        notes = json.loads(stack_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Not started from here, or just being written.
        return DEFAULT_URL
    noted = notes.get("service_url") if isinstance(notes, dict) else None
    return noted if isinstance(noted, str) else DEFAULT_URL


async def _speeches(options: CallOptions) -> list[Speech]:
    texts = [text for text in options.say if text.strip()]
    if not texts and not options.wav:
        texts = [DEFAULT_TEXT]
    made = [await speak(text, voice=options.caller_voice) for text in texts]
    made += [await asyncio.to_thread(load_wav, path) for path in options.wav]
    return list(islice(cycle(made), options.turns or len(made)))


class _Screen:
    """Prints a call as it happens; on a terminal also the words that are still being heard."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("", spinner="dots") if console.is_terminal else None
        self._printed: set[str] = set()

    def start(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(text))
            self._status.start()

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()

    def note(self, text: str, style: str = "dim") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def line(self, line: Line) -> None:
        words = line.text.strip()
        if not words:
            return
        if not line.final:
            if self._status is not None:
                self._status.update(Text(f"{line.who}: {words}"))
            return
        self._show(line.who, words, line.segment)

    def reply(self, reply: Reply) -> None:
        if not reply.text:
            self.note(f" agent  (speaks for {reply.ended - reply.started:.1f} s, no transcript)")

    def _show(self, who: str, words: str, segment: str) -> None:
        if segment in self._printed:
            return
        self._printed.add(segment)
        style = "bold cyan" if who == "caller" else "bold green"
        self._console.print(Text.assemble((f"{who:>6}  ", style), words), soft_wrap=True)


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"


def _turn_figures(turn: Turn) -> str:
    return (
        f"        end of speech -> transcript {_seconds(turn.transcript_s)}, "
        f"-> reply audible {_seconds(turn.reply.latency_s)}"
    )


def _summary(report: CallReport) -> str:
    bound = " at most" if report.agent_was_there else ""
    parts = [f"agent in the room after{bound} {_seconds(report.agent_s)}"]
    if report.greeting_s is not None:
        parts.append(f"greeting audible after {_seconds(report.greeting_s)}")
    if report.turns:
        replies = sorted(turn.reply.latency_s for turn in report.turns)
        parts.append(f"slowest reply after {_seconds(replies[-1])}")
    closed = "room not closed" if report.closed_s is None else "room closed"
    parts.append(f"{closed} after {_seconds(report.closed_s)}" if report.closed_s else closed)
    return ", ".join(parts)


def _keep(call: Call, path: Path) -> None:
    try:
        call.caller.save_wav(path)
    except OSError as error:
        raise RehearsalError(f"{path} cannot be written: {error.strerror}") from error


async def _talk(
    service: ServiceClient, speeches: list[Speech], options: CallOptions, screen: _Screen
) -> None:
    config: dict[str, Any] = {
        name: value
        for name, value in (("agent", options.agent), ("voice", options.voice))
        if value is not None
    }
    screen.start("starting a session")
    async with Call(service, config=config, on_line=screen.line) as call:
        screen.note(f"session {call.session_id}")
        try:
            screen.start("waiting for the agent")
            await call.agent_joins()
            screen.start("listening for a greeting")
            greeting = await call.greeting()
            if greeting is not None:
                screen.reply(greeting)
            for speech in speeches:
                screen.start(f"saying {speech.text or 'the recording'}")
                turn = await call.turn(speech)
                screen.reply(turn.reply)
                screen.note(_turn_figures(turn))
        except WaitTimedOutError:
            await _explain(call, screen)
            raise
        finally:
            # What was heard helps most when the call went wrong.
            if options.out is not None:
                _keep(call, options.out)
                screen.note(f"what the caller heard is in {options.out}")
        screen.start("ending the session")
        await call.end()
        screen.stop()
        screen.note(_summary(call.report()), style="bold")


async def _explain(call: Call, screen: _Screen) -> None:
    """Say which vendors failed, where the service tells."""
    screen.stop()
    with suppress(RehearsalError):
        troubles = (await call.session()).troubles
        for trouble in troubles:
            screen.note(trouble, style="red")
        if troubles:
            screen.note("`python -m assistant doctor --vendors` asks each of them", style="red")


async def call(options: CallOptions, *, console: Console | None = None) -> int:
    """Makes one call and shows it; returns the exit status.

    0: every utterance was answered; 1: the call failed; 2: there was nothing to say.
    """
    console = console or Console(highlight=False)
    screen = _Screen(console)
    if options.turns is not None and not 1 <= options.turns <= MAX_TURNS:
        screen.note(f"--turns must be between 1 and {MAX_TURNS}", style="red")
        return EXIT_USAGE
    if options.out is not None and not options.out.absolute().parent.is_dir():
        screen.note(f"--out: there is no folder {options.out.parent}", style="red")
        return EXIT_USAGE
    try:
        speeches = await _speeches(options)
        for text in {speech.note for speech in speeches if speech.note}:
            screen.note(text, style="yellow")
        url = find_service(options.url, environ=os.environ)
        async with ServiceClient(url, key=options.key) as service:
            await _talk(service, speeches, options, screen)
    except SpeechError as error:
        screen.stop()
        screen.note(str(error), style="red")
        return EXIT_USAGE
    except RehearsalError as error:
        screen.stop()
        screen.note(str(error), style="red")
        if isinstance(error, WaitTimedOutError):
            screen.note("look at the log of `make up` for what the agent did", style="red")
        return EXIT_FAILED
    finally:
        screen.stop()
    return EXIT_OK
