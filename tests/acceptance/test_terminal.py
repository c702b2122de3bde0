"""`console`: a conversation in the terminal, by the parts of a job, with nothing else running."""

import asyncio
import os
import re
from pathlib import Path

import numpy as np
import pytest

from assistant.rehearsal.speech import load_wav, speak
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ, is_audible
from tests.acceptance.commands import run_command
from tests.acceptance.test_main_job import CLOCK

pytestmark = pytest.mark.asyncio(loop_scope="session")

OK = 0
FAILED = 1
AGENTS = """\
version: 1
default: reception
agents:
  reception:
    title: Reception
    instructions: You greet {{ user_name }}.
    greeting: Hello {{ user_name }}!
    stt: {provider: assemblyai}
    llm: {provider: groq}
    tts: {provider: inworld, voice: Ashley}
    turn_handling: {endpointing: {min_delay_s: 0.3, max_delay_s: 0.6}}
    tools:
      - type: transfer
        to: {nurse: For anything about health.}
  nurse:
    title: Nurse
    instructions: You are the nurse.
    greeting: You are speaking to the nurse.
    stt: {provider: assemblyai}
    llm: {provider: groq}
    tts: {provider: inworld, voice: Dennis}
    tools:
      - type: date_time
      - type: end_call
        goodbye: Get well soon!
  deaf:
    title: Deaf
    instructions: Your vendor is away.
    greeting: Hello.
    stt: {provider: assemblyai}
    llm: {provider: openai-compatible, base_url: "http://127.0.0.1:9/v1", model: m, max_retries: 0}
    tts: {provider: inworld, voice: Ashley}
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """No key, no LiveKit, no Redis."""
    file = tmp_path / "agents.yaml"
    file.write_text(AGENTS, encoding="utf-8")
    home = os.environ.get("HOME", "/")
    return {"PATH": os.environ["PATH"], "HOME": home, "ASSISTANT_AGENTS_FILE": str(file)}


async def test_a_conversation_in_writing(environ: dict[str, str], tmp_path: Path) -> None:
    """Piped lines get template, greeting, handoff, tools and goodbye; the agent ends it with 0,
    and the lines after are nobody's. A question that stays open is told, and makes the exit 1.
    """
    lines = "Please transfer me to the nurse.\nWhat is two plus three?\nGoodbye.\nNever said.\n"
    named = ("console", "--text", "--metadata", "user_name=Ada")
    talked, failed = await asyncio.gather(
        run_command(*named, environ=environ, cwd=tmp_path, written=lines),
        run_command(
            *("console", "--text", "--agent", "deaf"),
            environ=environ,
            cwd=tmp_path,
            written="Hello?\n",
        ),
    )
    assert talked.code == OK, talked.text
    assert talked.out.splitlines() == [
        "reception: Hello Ada!",
        "you: Please transfer me to the nurse.",
        '  tool transfer({"agent": "nurse"})',
        "  handoff reception -> nurse",
        "nurse: You are speaking to the nurse.",
        "you: What is two plus three?",
        "nurse: 2 plus 3 is 5.",
        "you: Goodbye.",
        "  tool end_call({})",
        "nurse: Get well soon!",
    ]
    assert talked.err.splitlines() == ["stand-ins for groq (language model)"]
    assert failed.code == FAILED, failed.text
    assert failed.out.splitlines() == ["deaf: Hello.", "you: Hello?"]
    assert "no answer: APIConnectionError" in failed.err
    assert "Traceback" not in failed.err


async def test_a_conversation_aloud(environ: dict[str, str], tmp_path: Path) -> None:
    """A file is heard, understood and answered aloud, by the path that a sound card takes."""
    question, answer = tmp_path / "question.wav", tmp_path / "answer.wav"
    (await speak("What time is it?")).save_wav(question)
    ran = await run_command(
        *("console", "--wav", str(question), "--out", str(answer)),
        *("--metadata", "user_name=Ada"),
        environ=environ,
        cwd=tmp_path,
    )
    assert ran.code == OK, ran.text
    assert "stand-ins for assemblyai (speech to text)" in ran.err
    greeting, understood, said = ran.out.splitlines()
    assert greeting == "reception: Hello Ada!"
    assert re.match(r"you: what time is it", understood, re.IGNORECASE)
    assert said.startswith("reception: ")
    assert CLOCK.search(said)
    samples = load_wav(answer).samples
    tenths = np.array_split(samples, samples.size // (SAMPLE_RATE_HZ // 10))
    # Greeting and answer, and between them the silence in which the question was asked.
    shape = "".join("x" if is_audible(part) else "." for part in tenths)
    assert re.search(r"x{4}.*\.{10}.*x{4}", shape), shape
