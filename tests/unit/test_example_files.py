"""Each folder of `examples/` is a complete agent: `check` finds nothing, its README leads on."""

import re
from pathlib import Path

import pytest

from assistant.catalog import Catalog
from assistant.catalog.tools import PythonTool
from assistant.worker.process.report import print_report
from assistant.worker.tools import python_function

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(file.parent for file in EXAMPLES.glob("*/agents.yaml"))
ENVIRON = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "s" * 32,
    "GROQ_API_KEY": "k",
    "ASSEMBLYAI_API_KEY": "k",
    "INWORLD_API_KEY": "k",
}
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


def variables(readme: str) -> dict[str, str]:
    """What the README's command sets for `make up`."""
    command = re.search(r"^((?:[A-Z_]+=\S+ (?:\\\n)?)+)make up$", readme, re.MULTILINE)
    assert command is not None
    return dict(re.findall(r"([A-Z_]+)=(\S+)", command[1]))


def test_there_are_five() -> None:
    assert [folder.name for folder in FOLDERS] == [
        *("orders", "reception", "survey", "triage", "tutor"),
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_example_runs_as_its_readme_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the variables of its command `check` is content; its functions can be tools."""
    monkeypatch.chdir(EXAMPLES.parent)
    given = variables((folder / "README.md").read_text(encoding="utf-8"))
    assert print_report({**ENVIRON, **given}) == 0, capsys.readouterr().out
    catalog = Catalog.load(given["ASSISTANT_AGENTS_FILE"])
    assert catalog.agents[catalog.default].report.asks
    for tool in (tool for agent in catalog.agents.values() for tool in agent.tools):
        if isinstance(tool, PythonTool):
            python_function.load(tool)


def test_check_counts_the_stand_ins_of_a_running_stack(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside `make up` no vendor's key is missing; a key that has no stand-in still is."""
    environ = {name: value for name, value in ENVIRON.items() if name.startswith("LIVEKIT_")}
    agents = {"ASSISTANT_AGENTS_FILE": str(EXAMPLES / "orders" / "agents.yaml")}
    shop = {"SHOP_URL": "http://127.0.0.1:8090", "SHOP_KEY": "demo"}
    assert print_report({**environ, **agents, **shop}, has_stand_ins=True) == 0
    assert "groq, until GROQ_API_KEY is set" in capsys.readouterr().out
    assert print_report({**environ, **agents}, has_stand_ins=True) != 0
    assert "SHOP_KEY" in capsys.readouterr().out
    assert print_report({**environ, **agents, **shop}) != 0


@pytest.mark.parametrize("readme", sorted(EXAMPLES.glob("**/README.md")), ids=str)
def test_every_link_of_a_readme_leads_to_a_file(readme: Path) -> None:
    links = _LINK.findall(readme.read_text(encoding="utf-8"))
    assert [link for link in links if not (readme.parent / link).exists()] == []
