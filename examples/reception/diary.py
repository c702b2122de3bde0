"""The practice's diary, as an MCP server over standard input and output.

Every conversation starts one, so the diary itself is a file, and two callers cannot have the same
time.
"""

import argparse
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from mcp.server import MCPServer
from pydantic import Field

TIMES = ("9:00", "9:30", "10:30", "14:00", "15:30")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday"]
Time = Annotated[str, Field(pattern=r"^[0-9]{1,2}[:.][0-9]{2}$", description="Such as 9:30.")]

server = MCPServer("diary")
files: list[Path] = []


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(files[0], timeout=2)) as diary, diary:
        diary.execute(
            "CREATE TABLE IF NOT EXISTS visits (day, time, name, PRIMARY KEY (day, time))"
        )
        yield diary


def next_date(day: str) -> date:
    today = datetime.now().astimezone().date()
    return today + timedelta(days=(DAYS.index(day) - today.weekday() - 1) % 7 + 1)


def free(diary: sqlite3.Connection, when: date) -> list[str]:
    rows = diary.execute("SELECT time FROM visits WHERE day = ?", (when.isoformat(),))
    taken = {row[0] for row in rows}
    return [time for time in TIMES if time not in taken]


@server.tool()
def free_times(day: Day) -> str:
    """Which times are free on the next such day."""
    with opened() as diary:
        times = free(diary, next_date(day))
    return f"{day.title()}: {', '.join(times) or 'nothing is free'}"


@server.tool()
def book_time(day: Day, time: Time, name: str) -> str:
    """Book a free time for a caller, by name."""
    when, time = next_date(day), time.replace(".", ":").removeprefix("0")
    if time not in TIMES:
        return f"There is no appointment at {time}."
    try:
        with opened() as diary:
            diary.execute("INSERT INTO visits VALUES (?, ?, ?)", (when.isoformat(), time, name))
    except sqlite3.IntegrityError:
        return f"{time} was just taken."
    return f"Booked: {day.title()} at {time} for {name}"


@server.tool()
def clear_diary() -> str:
    """Cancel every appointment. For the practice's own staff."""
    with opened() as diary:
        diary.execute("DELETE FROM visits")
    return "Every appointment was cancelled."


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    default = Path(tempfile.gettempdir()) / "harbour-dental.sqlite3"
    options.add_argument("--file", type=Path, default=default)
    files.append(options.parse_args().file)
    server.run()
