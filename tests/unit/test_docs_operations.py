"""docs/operations.md lists the metrics that there are."""

import re
from pathlib import Path

from assistant.sessions.tally import STAGES
from token_service.metrics import METRICS

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_table_of_metrics_is_the_code() -> None:
    """Names, types, labels and meanings, in the code's order."""
    rows = re.findall(r"^\| `(assistant_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", TEXT, re.MULTILINE)
    assert rows == [
        (m.name, m.kind, ", ".join(f"`{label}`" for label in m.labels), m.help)
        for m in METRICS.values()
    ]


def test_the_table_of_stages_is_the_code() -> None:
    """Each stage that the histogram knows, and what it means."""
    start = TEXT.index(f"| `{STAGES[0].name}` |")
    rows = re.findall(r"^\| `([a-z]+)` \| (.*?) \|$", TEXT[start:].split("\n\n")[0], re.MULTILINE)
    assert rows == [(stage.name, stage.meaning) for stage in STAGES]
