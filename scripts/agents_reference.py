"""Write the current tables of options into docs/agents.md."""  # noqa: INP001 - a script

from pathlib import Path

from assistant.catalog.reference import rewritten

DOCUMENT = Path(__file__).parents[1] / "docs" / "agents.md"

if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
