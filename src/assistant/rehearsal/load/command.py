"""`python -m assistant load`: many callers, a report, a plot, and what to set."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from assistant.rehearsal.api import ServiceClient
from assistant.rehearsal.command import DEFAULT_TEXT, find_service
from assistant.rehearsal.errors import RehearsalError, SpeechError
from assistant.rehearsal.load.advice import Advice, advise_max_jobs, advise_pool_size
from assistant.rehearsal.load.capacity import TURN_RATIO, Search, turns_for
from assistant.rehearsal.load.cpu import CpuMeter
from assistant.rehearsal.load.crowd import Crowd
from assistant.rehearsal.load.figures import summarise
from assistant.rehearsal.load.plan import LoadPlan
from assistant.rehearsal.load.report import Step, plot_run, plot_search, to_json
from assistant.rehearsal.load.screen import REFRESH_EVERY_S, Screen, is_this_machine
from assistant.rehearsal.load.verdict import Bars, doubts, misses
from assistant.rehearsal.load.watch import FleetWatch
from assistant.rehearsal.speech import Speech, load_wav, speak

# In a search callers come this far apart, so that a step is about talking, not about starting.
SEARCH_STEP_RAMP_S = 0.5

FILE_WIDTH = 140  # where the report goes into a file or a pipe

EXIT_OK = 0
EXIT_MISSED = 1
EXIT_USAGE = 2
EXIT_STOPPED = 130


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What `python -m assistant load` was asked for.

    `starts_per_minute` and `call_s` are what is expected of real callers, for the advice; None:
    not said. With `finds_capacity` the plan's `callers` is the largest number to try.
    """

    plan: LoadPlan
    bars: Bars
    say: tuple[str, ...] = ()
    wav: tuple[Path, ...] = ()
    url: str | None = None
    agent: str | None = None
    key: str | None = field(default=None, repr=False)
    finds_capacity: bool = False
    starts_per_minute: float | None = None
    call_s: float | None = None
    json_file: Path | None = None
    plot_file: Path | None = None


async def load(options: LoadOptions, *, console: Console | None = None) -> int:
    """Carry it out; returns the exit status.

    0: every bar was kept; 1: one was missed, or there is no service; 2: wrong options;
    130: stopped by Ctrl-C.
    """
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    screen = Screen(console)
    problems = options.plan.problems()
    for path in (options.json_file, options.plot_file):
        if path is not None and not path.absolute().parent.is_dir():
            problems.append(f"there is no folder {path.parent}")
    for problem in problems:
        screen.note(problem, style="red")
    if problems:
        return EXIT_USAGE
    try:
        speeches = await _speeches(options)
    except SpeechError as error:
        screen.note(str(error), style="red")
        return EXIT_USAGE
    for note in sorted({speech.note for speech in speeches if speech.note}):
        screen.note(note, style="yellow")
    url = find_service(options.url, environ=os.environ)
    try:
        async with ServiceClient(url, key=options.key) as service:
            await service.expect()
            return await _run(service, speeches, options, screen)
    except RehearsalError as error:
        screen.note(str(error), style="red")
        return EXIT_MISSED


async def _run(
    service: ServiceClient, speeches: Sequence[Speech], options: LoadOptions, screen: Screen
) -> int:
    with _stopping() as stop:
        try:
            return await _LoadRun(service, speeches, options, screen, stop).whole()
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
            screen.note("stopped at once, without a report", style="yellow")
            return EXIT_STOPPED


async def _speeches(options: LoadOptions) -> list[Speech]:
    texts = [text for text in options.say if text.strip()]
    if not texts and not options.wav:
        texts = [DEFAULT_TEXT]
    made = [await speak(text) for text in texts]
    return made + [await asyncio.to_thread(load_wav, path) for path in options.wav]


@contextmanager
def _stopping() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one cancels whatever still goes on."""
    stop = asyncio.Event()
    loop, me = asyncio.get_running_loop(), asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set() and me is not None:
            me.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class _LoadRun:
    """One invocation: a step, or the steps of a search."""

    def __init__(
        self,
        service: ServiceClient,
        speeches: Sequence[Speech],
        options: LoadOptions,
        screen: Screen,
        stop: asyncio.Event,
    ) -> None:
        self._service = service
        self._speeches = speeches
        self._options = options
        self._screen = screen
        self._stop = stop
        self._watch = FleetWatch(service)
        self._meter = CpuMeter()
        self._steps: list[Step] = []
        self._left_behind: list[str] = []
        self._same_machine = is_this_machine(service.url)

    async def whole(self) -> int:
        began_at = time.time()
        await self._watch.look()
        watching = asyncio.create_task(self._watch.run(), name="watch the fleet")
        search: Search | None = None
        try:
            if self._options.finds_capacity:
                search = await self._find_capacity()
            else:
                await self._step(self._options.plan, self._options.bars)
            if not self._stop.is_set():
                await self._watch.settle()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return self._conclude(search, began_at)

    async def _find_capacity(self) -> Search:
        options, plan = self._options, self._options.plan
        most = self._watch.most_sessions
        search = Search(most=min(plan.callers, most[0]) if most else plan.callers)
        bars = options.bars
        while (callers := search.next) is not None and not self._stop.is_set():
            step = await self._step(
                replace(
                    plan,
                    callers=callers,
                    calls=1,
                    together=True,
                    turns=turns_for(callers, plan.turns),
                    ramp_s=SEARCH_STEP_RAMP_S * (callers - 1),
                ),
                bars,
            )
            if self._stop.is_set():
                break
            search.tried(callers, kept=not step.misses)
            reply = step.summary.reply
            if callers == 1 and reply is not None and bars.turn_p95_s is None:
                bars = replace(bars, turn_p95_s=TURN_RATIO * reply.p95)
                self._screen.note(
                    f"the bar: turn p95 {TURN_RATIO:g} x {reply.p95:.2f} s alone = "
                    f"{bars.turn_p95_s:.2f} s"
                )
            # The next step begins with full pools, as this one did.
            await self._watch.settle()
        return search

    async def _step(self, plan: LoadPlan, bars: Bars) -> Step:
        """Run one plan to its end and show what came of it."""
        screen = self._screen
        screen.note(f"callers: {plan.callers}, turns of each: {plan.turns}", style="bold")
        crowd = Crowd(self._service, self._speeches, plan, config=self._config())
        self._meter.restart()
        screen.begin()
        running = asyncio.create_task(crowd.run(self._stop), name="crowd")
        try:
            while not (await asyncio.wait((running,), timeout=REFRESH_EVERY_S))[0]:
                screen.show(
                    crowd.calls(),
                    took_s=time.monotonic() - crowd.began_at,
                    limit_s=plan.limit_s,
                    cpu=self._meter.read(),
                )
            calls = await running
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            screen.finish()
        self._left_behind += crowd.left_behind
        summary = summarise(
            calls,
            took_s=time.monotonic() - crowd.began_at,
            cpu=self._meter.read(),
            together_only=plan.together,
        )
        missed = misses(summary, bars)
        step = Step(plan=plan, bars=bars, calls=calls, summary=summary, misses=missed)
        self._steps.append(step)
        screen.result(summary)
        screen.misses(missed)
        return step

    def _config(self) -> dict[str, Any]:
        return {"agent": self._options.agent} if self._options.agent else {}

    def _conclude(self, search: Search | None, began_at: float) -> int:
        options, screen = self._options, self._screen
        # Of a search, the step with most callers says most.
        fullest = max(self._steps, key=lambda step: step.plan.callers)
        said = doubts(fullest.summary, same_machine=self._same_machine)
        screen.doubts(said)
        advice = self._advice(search)
        if search is not None:
            more = "" if search.missed is None else f"; {search.missed} did not"
            screen.note(
                f"callers at once that kept the bar: {search.kept}{more}", style="bold green"
            )
        screen.advice(advice)
        for session in self._left_behind:
            screen.note(f"could not be ended: session {session}", style="bold red")
        capacity = None if search is None else search.kept
        if options.json_file is not None:
            told = to_json(
                self._steps,
                url=self._service.url,
                began_at=began_at,
                doubts=said,
                advice=advice,
                capacity=capacity,
                left_behind=self._left_behind,
            )
            self._write(options.json_file, json.dumps(told, indent=1) + "\n")
        if options.plot_file is not None:
            one = capacity is None
            plot = plot_run(self._steps[-1]) if one else plot_search(self._steps, capacity or 0)
            self._write(options.plot_file, plot)
        if self._stop.is_set():
            screen.note("stopped; the sessions of this run were ended", style="yellow")
            return EXIT_STOPPED
        kept = bool(capacity) if search is not None else not self._steps[-1].misses
        return EXIT_OK if kept and not self._left_behind else EXIT_MISSED

    def _advice(self, search: Search | None) -> list[Advice]:
        """What to set: pool size after any run, the number of jobs after a search."""
        options, watch = self._options, self._watch
        advice = []
        max_jobs: int | None = None
        if search is not None:
            most = watch.most_sessions
            limit = most[1] if most and search.missed is None and search.kept == most[0] else None
            if search.missed is None and limit is None:
                limit = "--callers"
            advice.append(
                advise_max_jobs(
                    callers=search.kept,
                    workers=watch.workers,
                    same_machine=self._same_machine,
                    limited_by=limit,
                )
            )
            max_jobs = advice[0].value
        elif watch.first is not None and watch.first.serving:
            max_jobs = max(worker.max_jobs for worker in watch.first.serving)
        per_minute = options.starts_per_minute
        advice.append(
            advise_pool_size(
                refill=watch.refill(sum(step.summary.joined for step in self._steps)),
                starts_per_s=None if per_minute is None else per_minute / 60,
                max_jobs=max_jobs,
                call_s=options.call_s,
                workers=watch.workers,
            )
        )
        return advice

    def _write(self, path: Path, text: str) -> None:
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RehearsalError(f"{path} cannot be written: {error.strerror}") from error
        self._screen.note(f"written: {path}")
