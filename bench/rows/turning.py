"""How soon the agent answers, and how soon it falls silent when it is spoken to.

In one call a caller asks and hears a short answer, asks for a long one, and asks something else
over it at a moment that is drawn alike for all contenders. Recognition is scripted, so that all
understand the same. Row 5 is the wait for the short answer, whose text is there at once, less the
delays that the providers' stand-ins add one after another; E, the floor, answers with a tone and
has no such delays. Row 5b is from the caller's first audible sample until the agent's last one.
"""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from bench.errors import NothingCameError
from bench.peers.contenders import Make, contenders, in_turn, versions
from bench.peers.dispatched import Shared, Stock, Tone
from bench.peers.ours import Ours
from bench.peers.peer import Peer
from bench.peers.stage import INJECTED_S
from bench.peers.started import SpawnedPool
from bench.peers.visit import PATIENCE_S, Visit, visit
from bench.results import Row

from assistant.rehearsal.speech import Speech, speak

NUMBERS = ("5", "5b")
MAKERS: Sequence[Make] = (Ours, Stock, Tone, Shared, SpawnedPool)
TURNS_A_CALL = 2
#: A start that is lost has no turns; it counts in the rows that are about starts.
CALLS_TRIED = 3
#: Says where a round's interruptions fall into the answers.
SEED = 5
#: The second sentence has no commas: a pause would be taken for the silence that is measured.
ANSWER = (
    "There is a good train for that. The night train leaves from the north station at nine and "
    "stops in every little town along the coast and takes until seven in the morning and has a "
    "dining car where they serve soup and bread and tea and a sleeping car for everybody who has "
    "booked a bed in it."
)
SHORT = "It is nine."
QUESTION = "Tell me about the train."
#: Long enough to lie behind the silence that it causes.
INTERRUPTION = "Please tell me what time it is in the town right now."
#: What is heard of both: no beginning of it may sound like a sentence that goes on.
UNDERSTOOD = ("Time please.", "Train please.", "Time please.")
SCRIPT = {
    "replies": [{"pattern": "train", "reply": ANSWER}, {"pattern": "time", "reply": SHORT}],
    "utterances": list(UNDERSTOOD),
}
REPLY_TIMEOUT_S = 15.0
#: In the second sentence; the answer lasts some fifteen seconds.
INTO_ANSWER_S = (3.5, 5.5)
QUIET_S = 0.7


@dataclass(frozen=True)
class Turns:
    """Of one call: end of speech to the answer's first sound; interruption to silence."""

    replies_s: list[float]
    stops_s: list[float]


async def converse(caller: Visit, speeches: tuple[Speech, Speech], rng: random.Random) -> Turns:
    """The rest of the greeting; then the turns.

    Raises:
        WaitTimedOutError: something was not answered.
    """
    ear, (question, interruption) = caller.caller, speeches
    await ear.wait_for_quiet(REPLY_TIMEOUT_S)
    turns = Turns([], [])
    for _ in range(TURNS_A_CALL):
        asked = await ear.say(question)
        answer = await ear.wait_for_speech(REPLY_TIMEOUT_S, since=asked.ended)
        turns.replies_s.append(answer.started - asked.ended)
        await ear.wait_for_quiet(REPLY_TIMEOUT_S)
        if not caller.peer.has_providers:
            continue
        asked = await ear.say(question)
        await ear.wait_for_speech(REPLY_TIMEOUT_S, since=asked.ended)
        await asyncio.sleep(rng.uniform(*INTO_ANSWER_S))
        spoken = await ear.say(interruption)
        stop_s = await ear.wait_for_silence(spoken.started, REPLY_TIMEOUT_S, quiet_s=QUIET_S)
        turns.stops_s.append(stop_s)
        await ear.wait_for_speech(REPLY_TIMEOUT_S, since=spoken.started + stop_s)
        await ear.wait_for_quiet(REPLY_TIMEOUT_S)
    return turns


async def one(peer: Peer, speeches: tuple[Speech, Speech], seed: str) -> Turns:
    """One call with its turns, the interruptions at moments that the seed gives.

    Raises:
        NothingCameError: no agent came, however often one was asked for.
        WaitTimedOutError: something was not answered.
    """
    for _ in range(CALLS_TRIED):
        await peer.warm()
        async with visit(peer) as caller:
            if not (await caller.start()).came:
                continue
            rng = random.Random(seed)  # noqa: S311 - it places interruptions in time
            turns = await converse(caller, speeches, rng)
        await peer.warm()  # A pool that fills up again would do it in the next contender's turn.
        print(json.dumps({"contender": peer.name, **asdict(turns)}), flush=True)
        return turns
    raise NothingCameError(peer.name, CALLS_TRIED, PATIENCE_S)


async def conversations(peers: Sequence[Peer], rounds: int) -> dict[str, list[Turns]]:
    """One call of each contender a round."""
    speeches = await speak(QUESTION), await speak(INTERRUPTION)
    found: dict[str, list[Turns]] = defaultdict(list)
    for number in range(rounds):
        for peer in in_turn(peers, number):
            found[peer.name].append(await one(peer, speeches, f"{SEED}-{number}"))
    return found


def rows(
    found: dict[str, list[Turns]],
    injected_s: Mapping[str, float],
    made_of: dict[str, dict[str, str]],
) -> list[Row]:
    replies = {
        name: [[reply_s - injected_s[name] for reply_s in turns.replies_s] for turns in every]
        for name, every in found.items()
    }
    stops = {
        name: [turns.stops_s for turns in every]
        for name, every in found.items()
        if all(turns.stops_s for turns in every)
    }
    return [
        Row(
            number="5",
            title="end of speech → reply heard, less the providers' delays",
            unit="s",
            better="lower",
            versions=made_of,
            statistic="p50",
            rounds=replies,
            note=f"The providers take {INJECTED_S:g} s one after another, which is taken off; "
            f"E has none. E ends a caller's speech after {Tone.silence_s:g} s of silence, the "
            "least that the recogniser's stand-in takes for an end. Whose start is lost calls "
            "again.",
        ),
        Row(
            number="5b",
            title="interruption → silence at the caller's ear",
            unit="s",
            better="lower",
            versions=made_of,
            statistic="p50",
            rounds=stops,
            note=f"{INTO_ANSWER_S[0]:g} to {INTO_ANSWER_S[1]:g} s into a long answer.",
        ),
    ]


async def measure(rounds: int) -> list[Row]:
    with TemporaryDirectory() as folder:
        script = Path(folder) / "script.yaml"
        script.write_text(yaml.safe_dump(SCRIPT), encoding="utf-8")
        stand_ins = {
            "ASSISTANT_STAND_IN_STT_MODE": "scripted",
            "ASSISTANT_STAND_IN_SCRIPT": str(script),
        }
        async with contenders(MAKERS, stand_ins=stand_ins) as peers:
            injected_s = {peer.name: INJECTED_S if peer.has_providers else 0.0 for peer in peers}
            return rows(await conversations(peers, rounds), injected_s, versions(peers))
