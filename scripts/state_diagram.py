"""Write the current state diagram into docs/architecture.md."""  # noqa: INP001 - a script

from pathlib import Path

from assistant.sessions.diagram import rewritten

DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"

if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
