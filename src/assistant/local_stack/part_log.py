"""A part's log file, bounded: the part appends to it, and it is cut when it grows too long."""

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 16 * 1024 * 1024  # with the older half, a day of a busy part's info lines
TAIL_BYTES = 64 * 1024  # enough for any sensible number of last lines
TAIL_LINES = 20


class PartLog:
    """`path` is what is written now; `path`.1 what came before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.older = path.with_name(f"{path.name}.1")

    def begin(self) -> None:
        """Set an earlier run's log aside."""
        if self.path.exists():
            self.path.replace(self.older)

    def open(self) -> int:
        """A descriptor to give to the part. In append mode, so that cutting works under it."""
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def cut(self, limit_bytes: int = LIMIT_BYTES) -> bool:
        """Set the content aside if it is too long; lines written meanwhile may be lost."""
        if not self.path.exists() or self.path.stat().st_size <= limit_bytes:
            return False
        shutil.copyfile(self.path, self.older)
        os.truncate(self.path, 0)
        return True

    def tail(self, lines: int = TAIL_LINES) -> tuple[str, ...]:
        """The last lines that are not blank."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ()
        return tuple(line for line in text.splitlines() if line.strip())[-lines:]
