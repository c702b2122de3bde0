"""README.md tells the truth: its examples run, its targets exist, its links lead somewhere."""

import asyncio
import os
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.acceptance.system import PROJECT, System
from tests.acceptance.test_main_job import settled
from tests.timing import scaled

README = PROJECT / "README.md"
SERVICE_OF_THE_README = "http://127.0.0.1:8080"
BLOCK_WITHIN_S = 30.0
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])

# A block of shell, whether it is marked to be run, and what stands before the next block.
_BLOCK = re.compile(
    r"(<!-- runs -->\n)?```sh\n(.*?)^```\n(.*?)(?=^```|^<!--|\Z)", re.MULTILINE | re.DOTALL
)
_ANSWERS = re.compile(r"\Aanswers `(\{.*?\})`", re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


def blocks() -> list[tuple[str, str]]:
    """Each block that is marked to be run, and the text that follows it."""
    found = _BLOCK.findall(README.read_text(encoding="utf-8"))
    return [(block, after.strip()) for mark, block, after in found if mark]


async def run_block(block: str, system: System) -> str:
    """What a block prints when a person pastes it; the service's address is this system's."""
    process = await asyncio.create_subprocess_exec(
        *(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            block.replace(SERVICE_OF_THE_README, system.service_url),
        ),
        cwd=PROJECT,
        env={**os.environ, **system.environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(scaled(BLOCK_WITHIN_S)):
        out, _ = await process.communicate()
    said = out.decode()
    assert process.returncode == 0, f"{block}\nsaid\n{said}"
    return said


@pytest.mark.asyncio(loop_scope="session")
async def test_the_examples_run(system: System) -> None:
    """Pasted one after the other, each example works and answers what the text says."""
    examples = blocks()
    assert len(examples) >= 5
    sessions: set[str] = set()
    for block, after in examples:
        said = await run_block(block, system)
        assert not re.search(r'"success":\s*false', said), f"{block}\nanswered\n{said}"
        if (promised := _ANSWERS.match(after)) is not None:
            names = re.findall(r'"(\w+)":', promised[1])
            assert names, after
            assert [name for name in names if f'"{name}":' not in said] == [], said
        sessions.update(re.findall(r'"sessionId": "([^"]+)"', block))
    # The README ends what it starts.
    for session_id in sessions:
        assert await settled(system, session_id) == "ended"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_exists(name: str) -> None:
    """No command of the documents is unknown to make."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"`[^`]+`|^```.*?^```", text, re.MULTILINE | re.DOTALL))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code))
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z%-]*):", makefile, re.MULTILINE)
    patterns = [target.replace("%", "?*") for target in targets]
    assert named
    assert [each for each in named if not any(fnmatch(each, p) for p in patterns)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    """Nobody who reads on ends nowhere."""
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []
