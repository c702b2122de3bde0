"""How soon an interrupted agent is silent, and what is on record: `python -m bench.interruption`.

A caller with real speech asks for a long answer, and asks something else over it at a random
moment. One JSON line a run, then a summary for each agent: `stop_s` is from the caller's first
audible sample until the agent's last one, at the caller's ear; `reply_s` from the end of the
caller's question to the answer's first audible sample. `heard_words` is what the synthesizer's own
word times give for the time that was heard, `kept_words` what the transcript holds of the answer.

Bound: `stop_s` p95 < 0.4 s, but for `patient`, whom two words have to stop. Agents: the shipped
default one, and the same with the profile `fast` or `patient` alone. Questions come after the echo
warm-up (`aec_warmup_s`), in which nobody is heard.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import yaml
from tests.acceptance.system import PROJECT, System, running_system
from tests.timing import scaled

from assistant.local_stack.stand_ins.speech import SpokenWord
from assistant.local_stack.stand_ins.speech_request import sentences
from assistant.local_stack.stand_ins.synthesizer import Synthesizer
from assistant.local_stack.stand_ins.voices import VOICES
from assistant.rehearsal.errors import WaitTimedOutError
from assistant.rehearsal.scenario import Call
from assistant.rehearsal.speech import Speech, speak

AGENTS = ("assistant", "fast", "patient")
ANSWER = (
    "The night train leaves from the north station at nine. It stops in every little town along "
    "the coast, and the journey takes until seven in the morning. Please be there in time. Do not "
    "forget your ticket, your coat and your dog. The sea is on the left side, so choose a seat "
    "there if you can."
)
QUESTION = "What time is it?"
BOUNDS_S = {"assistant": 0.4, "fast": 0.4}
LIMIT_S = 20.0
QUIET_S = 0.7
REPLY_LIMIT_S = 8.0
RUNS_A_CALL = 6
# Into the answer; the echo warm-up of a conversation's first one is over by then.
SETTLE_S = (1.2, 6.0)
VOICE = "Ashley"


def write_agents(path: Path, min_durations_s: Sequence[float] = ()) -> list[str]:
    """The shipped default agent without a greeting, and the same with other turn handling.

    Returns the names of those that the command line asked for.
    """
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    own = document["agents"]["assistant"]
    document["agents"]["assistant"] = own = {**own, "greeting": None}
    bare = {key: value for key, value in own.items() if key != "turn_handling"}
    for profile in ("fast", "patient"):
        document["agents"][profile] = {**bare, "profile": profile}
    names = []
    for seconds in min_durations_s:
        handling = own["turn_handling"]
        interruption = {**handling["interruption"], "min_duration_s": seconds}
        names.append(f"after-{round(seconds * 1000)}-ms")
        document["agents"][names[-1]] = {
            **own,
            "turn_handling": {**handling, "interruption": interruption},
        }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return names


async def word_times() -> list[SpokenWord]:
    """When each word of the answer is over, as the stand-in speaks it."""
    synthesizer, at, words = Synthesizer("auto"), 0.0, list[SpokenWord]()
    for sentence in sentences(ANSWER):
        speech = await synthesizer.speak(sentence, VOICES[VOICE], rate=24_000)
        words += [SpokenWord(w.text, at + w.start_s, at + w.end_s) for w in speech.words]
        at += speech.duration_s
    return words


async def one_run(
    system: System, call: Call, rng: random.Random, question: Speech, words: Sequence[SpokenWord]
) -> dict[str, Any]:
    """One answer that is interrupted by a question, which is answered."""
    caller = call.caller
    asked = time.monotonic()
    await caller.type(f"Say {ANSWER}")
    first = await caller.wait_for_speech(scaled(LIMIT_S), since=asked)
    await asyncio.sleep(rng.uniform(*SETTLE_S))
    spoken = await caller.say(question)
    stop_s = await caller.wait_for_silence(spoken.started, scaled(LIMIT_S), quiet_s=QUIET_S)
    reply = None
    with suppress(WaitTimedOutError):  # the question was not understood
        moment = max(spoken.ended, spoken.started + stop_s)
        reply = await caller.hears_reply(moment, timeout_s=scaled(REPLY_LIMIT_S))
    heard_s = spoken.started + stop_s - first.started
    kept = await kept_answer(system, call.session_id)
    return {
        "into_answer_s": round(spoken.started - first.started, 3),
        "stop_s": round(stop_s, 3),
        "reply_s": None if reply is None else round(reply.started - spoken.ended, 3),
        "answered": reply is not None and "It is" in reply.text,
        "heard_words": sum(word.end_s <= heard_s for word in words),
        "kept_words": len(kept["text"].split()),
        "is_prefix": ANSWER.startswith(kept["text"].strip()),
        "interrupted": kept["interrupted"],
    }


async def kept_answer(system: System, session_id: str) -> dict[str, Any]:
    """The last long answer on record; its item is written when its speech is over."""
    async with system.http() as client:
        answer = await client.get(f"/api/sessions/{session_id}/transcript?limit=200")
    said = [item for item in answer.json()["items"] if item["role"] == "assistant"]
    long = [item for item in said if item["text"].startswith("The night")]
    return long[-1] if long else {"text": "", "interrupted": None}


def summary(agent: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of one agent, and whether the bound is kept."""
    stops = [run["stop_s"] for run in runs]
    cuts = quantiles(stops, n=20, method="inclusive")
    replies = [run["reply_s"] for run in runs if run["answered"]]
    off = [run["kept_words"] - run["heard_words"] for run in runs]
    return {
        "agent": agent,
        "runs": len(runs),
        "stop_p50_s": round(cuts[9], 3),
        "stop_p95_s": round(cuts[18], 3),
        "stop_max_s": max(stops),
        "reply_p50_s": round(median(replies), 3) if replies else None,
        "answered": len(replies),
        "interrupted": sum(bool(run["interrupted"]) for run in runs),
        "prefixes": sum(run["is_prefix"] for run in runs),
        "kept_minus_heard_words": {"min": min(off), "median": median(off), "max": max(off)},
        "bound": BOUNDS_S.get(agent),
        "kept": cuts[18] < BOUNDS_S.get(agent, LIMIT_S),
    }


async def bench(options: argparse.Namespace) -> int:
    """Run everything; 0 if every bound was kept."""
    question, words = await speak(QUESTION), await word_times()
    kept = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = write_agents(folder / "agents.yaml", options.min_duration)
        environ = {
            "ASSISTANT_AGENTS_FILE": str(folder / "agents.yaml"),
            "PREWARM_POOL_SIZE": "2",
            "ASSISTANT_RATE_LIMIT": "1000",
        }
        async with running_system(folder, environ=environ) as system:
            for agent in options.agent or names or AGENTS:
                runs: list[dict[str, Any]] = []
                rng = random.Random(options.seed)  # noqa: S311 - it places questions in time
                while len(runs) < options.runs:
                    async with (
                        system.service() as service,
                        Call(service, config={"agent": agent}) as call,
                    ):
                        await call.agent_joins()
                        await call.caller.wait_for_agent_state("listening", scaled(LIMIT_S))
                        for number in range(min(RUNS_A_CALL, options.runs - len(runs))):
                            run = await one_run(system, call, rng, question, words)
                            run |= {"agent": agent, "seed": options.seed, "first": number == 0}
                            runs.append(run)
                            print(json.dumps(run), flush=True)
                        await call.end()
                figures = summary(agent, runs)
                print(json.dumps({"summary": figures}), flush=True)
                kept &= bool(figures["kept"])
    return 0 if kept else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--agent", choices=AGENTS, action="append")
    parser.add_argument(
        "--min-duration", type=float, nargs="*", default=(), help="tried with the default agent"
    )
    return asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
