"""docs/api.md lists what the service has: its routes, its codes, its reasons."""

import re
from pathlib import Path

from assistant.sessions.record import Reason, State
from token_service import stream_places
from token_service.board import MAX_READERS
from token_service.problems import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
TROUBLE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def test_every_code_is_listed_with_its_status() -> None:
    """Callers decide by `code`."""
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|$", TEXT, re.MULTILINE))
    assert rows == {kind.code: str(kind.status) for kind in KINDS}


def test_every_status_and_reason_is_listed() -> None:
    """What a session may say of itself is written down."""
    for word in (*State, *Reason):
        assert f"`{word}`" in TEXT, word


def test_every_reason_of_a_failure_is_explained() -> None:
    """The night shift looks here first."""
    failed = TEXT.split("\nFailed: ")[1].split(";")[0]
    for reason in re.findall(r"`([a-z_]+)`", failed):
        assert f"`{reason}`" in TROUBLE, reason


def test_bounds_of_streams_are_the_codes() -> None:
    """Whoever plans for many readers reads them here."""
    told = (
        f"{stream_places.MAX_STREAMS} streams a replica and "
        f"{stream_places.MAX_STREAMS_PER_SESSION} a session; of publishable keys "
        f"{stream_places.MAX_PUBLIC_STREAMS} a replica and "
        f"{stream_places.MAX_STREAMS_PER_ADDRESS} an address"
    )
    assert told in TEXT
    assert f"{MAX_READERS} readers a replica" in TEXT
