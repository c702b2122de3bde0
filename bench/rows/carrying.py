"""What conversations cost: memory and CPU of an idle worker, and of one, two, four talking callers.

One contender runs at a time, its worker alone on the first core; LiveKit, the stand-ins and the
callers share the second. Its callers come one after another and stay; at each number of them memory
and CPU are read over a whole period of question and answer. Recognition is scripted. Of ours there
are eight in the end, for the growth. Peers with packages of their own take part in fewer rounds.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, linear_regression
from tempfile import TemporaryDirectory

import yaml
from bench.errors import UnansweredError
from bench.goals import BY_NUMBER
from bench.peers.contenders import Make, contenders, in_turn, versions
from bench.peers.dispatched import Shared, Stock
from bench.peers.footprint import cpu_s, memory_mb
from bench.peers.light import PERIOD_S, LightCrowd, light_crowd
from bench.peers.ours import SEATS, Ours, OursDense
from bench.peers.peer import IDLE, Peer
from bench.peers.started import SpawnedPool
from bench.results import Better, Row

from assistant.rehearsal.speech import Speech, speak

NUMBERS = ("2", "2b", "3", "3b", "6-cpu", "6-memory")
MAKERS: Mapping[str, tuple[type[Peer], int]] = {
    # With how many rounds at most: an environment of its own starts slowly.
    "ours": (Ours, 1000),
    "ours dense": (OursDense, 3),
    "D": (Stock, 1000),
    "O": (Shared, 2),
    "S pool": (SpawnedPool, 2),
}
STEPS = (1, 2, 4)
#: At which ours also goes on to.
MANY = 8
WORKER_CORE, OTHER_CORES = 0, {1}
#: What a start leaves to be done has been done.
SETTLE_S = 3.0
WATCHED_S = 1.5 * PERIOD_S
COMMON = f"{IDLE} idle processes; the whole tree counts, alone on one core."
QUESTION = "Tell me about the train."
SCRIPT = {
    "replies": [{"pattern": "train", "reply": "The night train leaves at nine from the station."}],
    "utterances": [QUESTION],
}
#: Of all questions; one in so many may go under where a machine is busy.
MAX_UNANSWERED = 0.1


@dataclass(frozen=True)
class Reading:
    """The whole worker at one number of callers."""

    memory_mb: float
    cpu_s_a_minute: float


@dataclass
class Course:
    """One contender's turn: readings by number of callers, 0 first."""

    readings: dict[int, Reading] = field(default_factory=dict)

    def memory_slope_mb(self) -> float:
        """What each further caller adds, by the line through the readings that have callers."""
        line = linear_regression(STEPS, [self.readings[step].memory_mb for step in STEPS])
        return line.slope

    def added_mb(self, few: int, many: int) -> float:
        """Memory of each caller from `few` on to `many`."""
        grown = self.readings[many].memory_mb - self.readings[few].memory_mb
        return grown / (many - few)

    def cpu_a_session(self, callers: int) -> float:
        """The worker's CPU seconds in a minute, its idle processes' among them, per caller."""
        return self.readings[callers].cpu_s_a_minute / callers

    def added_cpu(self, callers: int) -> float:
        """The same without what the idle worker takes."""
        idle = self.readings[0].cpu_s_a_minute
        return (self.readings[callers].cpu_s_a_minute - idle) / callers


async def watch(peer: Peer) -> Reading:
    before = cpu_s(peer)
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(WATCHED_S)
    spent = cpu_s(peer) - before
    took_s = asyncio.get_running_loop().time() - began
    return Reading(memory_mb(peer), spent * 60 / took_s)


async def course(peer: Peer, crowd: LightCrowd, steps: Sequence[int]) -> Course:
    """The idle worker, then with more and more callers.

    Raises:
        UnansweredError: too many questions had no answer for this to be a figure of conversations.
    """
    found = Course()
    for callers in (0, *steps):
        await crowd.grow(callers)
        await asyncio.sleep(SETTLE_S)
        found.readings[callers] = await watch(peer)
    asked = sum(caller.asked for caller in crowd.callers)
    if crowd.unanswered > MAX_UNANSWERED * asked:
        raise UnansweredError(peer.name, crowd.unanswered, asked)
    return found


@asynccontextmanager
async def second_core() -> AsyncIterator[None]:
    """What is started meanwhile stays off the worker's core, unless it says otherwise."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, OTHER_CORES & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def turn(
    make: Make, steps: Sequence[int], question: Speech, script: Path
) -> tuple[Course, dict[str, dict[str, str]]]:
    """A contender from its start to its end; what it measured, and what it is made of."""
    stand_ins = {
        "ASSISTANT_STAND_IN_STT_MODE": "scripted",
        "ASSISTANT_STAND_IN_SCRIPT": str(script),
    }
    async with (
        second_core(),
        contenders([make], stand_ins=stand_ins) as (peer,),
        light_crowd(peer, question) as crowd,
    ):
        return await course(peer, crowd, steps), versions([peer])


Courses = Mapping[str, list[Course]]


def rows(found: Courses, made_of: dict[str, dict[str, str]]) -> list[Row]:
    """Rows 2 to 3b of every contender, and the growth of ours."""
    most, ours = STEPS[-1], {"ours": found["ours"]}
    first = ", ".join(
        f"{name} {fmean(one.added_mb(0, 1) for one in courses):.0f} MB"
        for name, courses in found.items()
    )

    def row(
        number: str,
        unit: str,
        rounds: dict[str, list[list[float]]],
        note: str,
        *,
        better: Better = "lower",
    ) -> Row:
        return Row(
            number=number,
            title=BY_NUMBER[number].what,
            unit=unit,
            better=better,
            statistic="mean",
            rounds=rounds,
            note=f"{note} {COMMON}",
            versions=made_of,
        )

    return [
        row(
            "2",
            "MB",
            _each(found, Course.memory_slope_mb),
            f"The slope over {STEPS} callers. The first caller's session also brings into memory, "
            f"once, what all share; it added {first}.",
        ),
        row(
            "2b",
            "MB",
            _each(found, lambda one: one.readings[0].memory_mb),
            "Before the first caller, with whom ours loads its turn model. O has none idle; "
            f"`ours dense` has one process, for {SEATS}.",
        ),
        row(
            "3",
            "CPU-s",
            _each(found, lambda one: one.cpu_a_session(most)),
            f"{most} callers, a question every {PERIOD_S:g} s.",
        ),
        row(
            "3b",
            "sessions",
            _each(found, lambda one: 60 / one.cpu_a_session(most)),
            f"Extrapolated from the CPU at {most} callers, which is below saturation.",
            better="higher",
        ),
        row(
            "6-cpu",
            "CPU-s",
            {
                **_each(ours, lambda one: one.added_cpu(MANY), f" at {MANY}"),
                **_each(ours, lambda one: one.added_cpu(1), " at 1"),
            },
            "Seconds a minute, without what the idle worker takes.",
        ),
        row(
            "6-memory",
            "MB",
            {
                **_each(ours, lambda one: one.added_mb(most, MANY), f" at {MANY}"),
                **_each(ours, lambda one: one.added_mb(1, 2), " at 1"),
            },
            f"What a session adds from {most} to {MANY}, and from 1 to 2: the very first also "
            "brings into memory what all share.",
        ),
    ]


def _each(
    found: Courses, figure: Callable[[Course], float], variant: str = ""
) -> dict[str, list[list[float]]]:
    return {name + variant: [[figure(one)] for one in courses] for name, courses in found.items()}


async def measure(rounds: int) -> list[Row]:
    question = await speak(QUESTION)
    found: dict[str, list[Course]] = defaultdict(list)
    made_of: dict[str, dict[str, str]] = {}
    with TemporaryDirectory() as folder:
        script = Path(folder) / "script.yaml"
        script.write_text(yaml.safe_dump(SCRIPT), encoding="utf-8")
        for number in range(rounds):
            for name, (kind, most) in in_turn(list(MAKERS.items()), number):
                if number >= most:
                    continue
                steps = (*STEPS, MANY) if kind is Ours else STEPS
                make = partial(kind, core=WORKER_CORE)
                seen, packages = await turn(make, steps, question, script)
                found[name].append(seen)
                made_of |= packages
    return rows(found, made_of)
