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
from tests.acceptance.system import System
from tests.acceptance.test_main_job import CLOCK

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUESTION = "What is two plus three?"
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
  absent: &quiet
    title: For whoever falls silent
    instructions: You wait.
    stt: {provider: assemblyai}
    llm: {provider: groq}
    tts: {provider: inworld, voice: Ashley}
    away: {prompts: ["Are you there?"], end: true}
    limits: {user_away_timeout_s: 1}
  brief:
    <<: *quiet
    away: {}
    limits: {max_duration_s: 4, warning_s: 2, warning_sentence: Our time is almost up.}
  poor:
    <<: *quiet
    away: {}
    budget: {max_tokens: 1, sentence: That was all.}
  stuck:
    <<: *quiet
    away: {}
    dead_air: {after_s: 1, end_after_s: 2, sentence: One moment.}
    llm: {provider: openai-compatible, base_url: "http://127.0.0.1:9/v1", model: m, max_retries: 0}
  stuck-aloud:
    <<: *quiet
    away: {}
    dead_air: {after_s: 3, end_after_s: 5, sentence: One moment.}
    llm: {provider: openai-compatible, base_url: "http://127.0.0.1:9/v1", model: m, max_retries: 0}
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


async def test_the_terminal_keeps_company(
    system: System, environ: dict[str, str], tmp_path: Path
) -> None:
    """`away`, `limits`, `budget` and `dead_air` are read, and end the talk, as in a session.

    Aloud, the apology is made ahead and heard, though nobody answers.
    """
    vendors = ("GROQ", "ASSEMBLYAI", "INWORLD")
    shared = [f"ASSISTANT_{vendor}_URL" for vendor in vendors]
    shared += [f"{vendor}_API_KEY" for vendor in vendors]
    environ |= {name: system.environ[name] for name in (*shared, "ASSISTANT_SPEECH_CACHE")}

    async def written(agent: str) -> tuple[int, list[str], str]:
        ran = await run_command(
            *("console", "--text", "--agent", agent),
            environ=environ,
            cwd=tmp_path,
            written=f"{QUESTION}\n",
            goes_on=True,
        )
        question, *answers = ran.out.splitlines()
        assert question == f"you: {QUESTION}"
        return ran.code, answers, ran.err.splitlines()[-1]

    async def aloud() -> None:
        question, heard = tmp_path / "question.wav", tmp_path / "heard.wav"
        (await speak(QUESTION)).save_wav(question)
        ran = await run_command(
            *("console", "--wav", str(question), "--out", str(heard), "--agent", "stuck-aloud"),
            environ=environ,
            cwd=tmp_path,
        )
        assert ran.code == FAILED, ran.text
        assert "the caller is told" in ran.err
        assert "the conversation broke: no_answer" in ran.err
        assert load_wav(heard).audible_s() is not None

    answer = "2 plus 3 is 5."
    expected = {
        "absent": (OK, [answer, "Are you there?"], "the session ends: user_away"),
        "brief": (OK, [answer, "Our time is almost up."], "the session ends: max_duration"),
        "poor": (
            OK,
            [answer, "That was all."],
            "the session ends: budget: its budget is used up: tokens",
        ),
        "stuck": (
            FAILED,
            ["One moment."],
            "the conversation broke: no_answer: the caller waited 2 s for an answer",
        ),
    }
    *results, _ = await asyncio.gather(*map(written, expected), aloud())
    for (agent, (code, words, end)), result in zip(expected.items(), results, strict=True):
        assert result == (code, [f"{agent}: {line}" for line in words], end)
