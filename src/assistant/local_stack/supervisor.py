"""A small process supervisor: starts parts, waits until they are ready, stops all of them.

Each part runs in a session and process group of its own, so Ctrl-C in a terminal reaches the
supervisor alone, and the parts are stopped in order. Nothing outlives the supervisor: leaving
`async with Supervisor(...)` ends every group, and the guard does where the supervisor was killed.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from assistant.local_stack import guard
from assistant.local_stack.errors import (
    PartDiedError,
    PartError,
    PartNotReadyError,
    PartNotStartedError,
)
from assistant.local_stack.part_log import TAIL_LINES, PartLog
from assistant.local_stack.probes import Probe

PROBE_EVERY_S = 0.05  # of a start-up of seconds, this loses nothing that a person sees
LOG_CHECK_EVERY_S = 5.0
LEFTOVER_GRACE_S = 1.0  # for helpers of a part (resource trackers) that end by themselves
KILLED_GRACE_S = 5.0  # SIGKILL takes effect at once, unless the disk hangs
GUARD_GRACE_S = guard.TERM_GRACE_S + 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack, as a recipe.

    `env` is its whole environment. `ready` None: ready once started. `needs` names parts that
    must be ready before it starts. On stopping, `stop_signal` goes to the process itself; with
    `stop_again_after_s`, once more after so long (livekit-server and workers take the second one
    as "now"); after `stop_timeout_s` its whole group is killed.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Probe | None = None
    needs: frozenset[str] = frozenset()
    cwd: Path | None = None
    ready_timeout_s: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    stop_again_after_s: float | None = None


class RunningPart:
    """A started part."""

    def __init__(self, part: Part, process: asyncio.subprocess.Process, log: PartLog) -> None:
        self.part = part
        self.log = log
        self.pid = process.pid  # also its process group, since it leads a session
        self.exited = asyncio.Event()
        self.stopping = False
        self.ready_after_s: float | None = None  # None: not ready yet
        self._process = process

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative after a signal."""
        return self._process.returncode

    def log_tail(self, lines: int = TAIL_LINES) -> tuple[str, ...]:
        return self.log.tail(lines)

    def death(self) -> PartDiedError:
        code = self.returncode
        assert code is not None, "asked for the death of a part that lives"  # noqa: S101
        return PartDiedError(self.part.name, self.log.path, self.log_tail(), code)


class Supervisor:
    """Starts and stops parts; use it as an asynchronous context manager.

    `guard_fds` stay open in the guard until everything is gone, also after a SIGKILL of this
    process: a lock held by one of them is released only then. `on_ready` hears of each part.
    """

    def __init__(
        self,
        log_dir: Path,
        *,
        guard_fds: Sequence[int] = (),
        on_ready: Callable[[RunningPart], None] | None = None,
    ) -> None:
        self._log_dir = log_dir
        self._guard_fds = tuple(guard_fds)
        self._on_ready = on_ready
        self._order: list[str] = []
        self._parts: dict[str, RunningPart] = {}
        self._deaths: list[PartDiedError] = []
        self._someone_died = asyncio.Event()
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._log_task: asyncio.Task[None] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._guard_pipe: int | None = None

    async def __aenter__(self) -> Self:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        read_end, self._guard_pipe = os.pipe()
        try:
            self._guard = subprocess.Popen(  # noqa: ASYNC220 - returns after the fork, in 2 ms
                [sys.executable, "-I", "-S", guard.__file__],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=self._guard_fds,
            )
        finally:
            os.close(read_end)
        self._log_task = asyncio.create_task(self._keep_logs_short(), name="part-logs")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.stop_all()
        finally:
            await self._close()

    def __getitem__(self, name: str) -> RunningPart:
        return self._parts[name]

    @property
    def running(self) -> tuple[RunningPart, ...]:
        """The parts that live now, in the order of their start."""
        started = (self._parts.get(name) for name in self._order)
        return tuple(part for part in started if part and not part.exited.is_set())

    async def start(self, part: Part) -> RunningPart:
        """Start one part and wait until it is ready; a name may be started again after its end.

        Raises:
            PartError: it could not be started, died, or was not ready in time; it is stopped.
        """
        self._enlist([part])
        running = await self._spawn(part)
        try:
            await self._wait_ready(running)
        except PartError:
            await self.stop(part.name)
            raise
        return running

    async def start_all(self, parts: Sequence[Part]) -> None:
        """Start parts side by side, each once those that it needs are ready.

        They are stopped in the reverse of the order given here.

        Raises:
            PartError: the first part that failed; the caller leaves the context to stop the rest.
        """
        self._enlist(parts)
        ready = {part.name: asyncio.Event() for part in parts}

        async def bring_up(part: Part) -> None:
            for name in sorted(part.needs):
                if name in ready:
                    await ready[name].wait()
            await self._wait_ready(await self._spawn(part))
            ready[part.name].set()

        async def watch() -> None:
            raise await self.first_death()

        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(watch(), name="watch-while-starting")
                tasks = [group.create_task(bring_up(p), name=f"start-{p.name}") for p in parts]
                await asyncio.gather(*tasks)
                watcher.cancel()
        except* PartError as failures:
            failure = failures.exceptions[0]
        else:
            return
        raise failure

    async def first_death(self) -> PartDiedError:
        """Wait until a part ends that nobody asked to end."""
        await self._someone_died.wait()
        return self._deaths[0]

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Signal a part's whole group, as a fault; its end counts as a death."""
        guard.signal_group(self._parts[name].pid, sig)

    def kill_all(self) -> None:
        """Kill everything at once; stopping then finds it gone."""
        for running in self.running:
            running.stopping = True
            guard.signal_group(running.pid, signal.SIGKILL)

    async def stop(self, name: str) -> int | None:
        """Stop one part and whatever it left in its group; None if it would not die."""
        running = self._parts[name]
        running.stopping = True
        part = running.part
        first_s = part.stop_timeout_s
        if part.stop_again_after_s is not None:
            first_s = min(first_s, part.stop_again_after_s)
        if not await self._signal_and_wait(running, part.stop_signal, first_s):
            rest_s = part.stop_timeout_s - first_s
            stopped = rest_s > 0 and await self._signal_and_wait(running, part.stop_signal, rest_s)
            if not stopped:
                guard.signal_group(running.pid, signal.SIGKILL)
                await _wait(running.exited, KILLED_GRACE_S)
        await self._end_leftovers(running)
        return running.returncode

    async def stop_all(self) -> None:
        """Stop every part, the last one first, each before the one that it may need."""
        for name in reversed(self._order):
            if name in self._parts:
                await self.stop(name)

    def log_tail(self, name: str, lines: int = TAIL_LINES) -> tuple[str, ...]:
        return PartLog(self._log_dir / f"{name}.log").tail(lines)

    def _enlist(self, parts: Iterable[Part]) -> None:
        for part in parts:
            known = self._parts.get(part.name)
            if known and not known.exited.is_set():
                raise ValueError(f"a part named {part.name} already runs")
            if part.name in self._order:
                self._order.remove(part.name)
            self._order.append(part.name)

    async def _spawn(self, part: Part) -> RunningPart:
        log = PartLog(self._log_dir / f"{part.name}.log")
        if part.name not in self._parts:
            log.begin()
        descriptor = log.open()
        try:
            process = await asyncio.create_subprocess_exec(
                *part.argv,
                env=dict(part.env),
                cwd=part.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        except OSError as error:
            raise PartNotStartedError(part.name, log.path, str(error)) from error
        finally:
            os.close(descriptor)
        self._tell_guard(f"+{process.pid}")
        running = RunningPart(part, process, log)
        self._parts[part.name] = running
        self._watches[part.name] = asyncio.create_task(
            self._watch(running, process), name=f"watch-{part.name}"
        )
        return running

    async def _watch(self, running: RunningPart, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        running.exited.set()
        if not running.stopping:
            self._deaths.append(running.death())
            self._someone_died.set()

    async def _wait_ready(self, running: RunningPart) -> None:
        part = running.part
        started = time.monotonic()
        while part.ready is not None:
            reason = await part.ready()
            if running.exited.is_set():
                raise running.death()
            if reason is None:
                break
            waited_s = time.monotonic() - started
            if waited_s > part.ready_timeout_s:
                raise PartNotReadyError(
                    part.name,
                    running.log.path,
                    running.log_tail(),
                    waited_s=waited_s,
                    reason=reason,
                )
            if await _wait(running.exited, PROBE_EVERY_S):
                raise running.death()
        running.ready_after_s = time.monotonic() - started
        if self._on_ready:
            self._on_ready(running)

    async def _signal_and_wait(
        self, running: RunningPart, sig: signal.Signals, timeout_s: float
    ) -> bool:
        if not running.exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, sig)
        return await _wait(running.exited, timeout_s)

    async def _end_leftovers(self, running: RunningPart) -> None:
        deadline = time.monotonic() + LEFTOVER_GRACE_S
        # Only its parent hears of a process's end, and these are not our children.
        while guard.group_is_alive(running.pid) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(PROBE_EVERY_S)
        guard.signal_group(running.pid, signal.SIGKILL)
        self._tell_guard(f"-{running.pid}")

    def _tell_guard(self, line: str) -> None:
        assert self._guard_pipe is not None, "the supervisor is not entered"  # noqa: S101
        # Without a guard there is one safety net less, and nothing else to do about it.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._guard_pipe, f"{line}\n".encode())

    async def _keep_logs_short(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_EVERY_S)
            for running in self.running:
                await asyncio.to_thread(running.log.cut)

    async def _close(self) -> None:
        tasks = [task for task in (*self._watches.values(), self._log_task) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._guard_pipe is not None:
            os.close(self._guard_pipe)
            self._guard_pipe = None
        if self._guard is not None:
            await asyncio.to_thread(self._guard.wait, GUARD_GRACE_S)


async def _wait(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event came within the time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
