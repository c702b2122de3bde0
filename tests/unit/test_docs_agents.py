"""Every example in docs/agents.md is a valid part of an agent."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.catalog import Catalog

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(
    r"^```yaml\n(.*?)^```$",
    (ROOT / "docs" / "agents.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


def test_there_are_examples() -> None:
    """An empty list would check nothing."""
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split(":")[0])
def test_an_example_is_valid(tmp_path: Path, example: str) -> None:
    """A whole file, or a part of the shipped default agent: it loads, and unknown keys do not."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "agents.yaml").read_text(encoding="utf-8"))
    shown = yaml.safe_load(example)
    if "version" in shown:
        document = shown
    else:
        document["agents"]["assistant"] |= shown
    file = tmp_path / "agents.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert Catalog.load(file).agents
