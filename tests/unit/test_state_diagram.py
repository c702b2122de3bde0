"""The diagram in docs/architecture.md is what `apply` does."""

from pathlib import Path

import pytest

from assistant.sessions import diagram
from assistant.sessions.record import HOLDS_SLOT, TERMINAL, State

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_the_document_shows_the_current_diagram() -> None:
    """Whoever changes the lifecycle sees the diagram change; scripts/state_diagram.py writes it."""
    document = DOCUMENT.read_text(encoding="utf-8")
    assert diagram.rewritten(document) == document


def test_every_kind_of_event_is_tried() -> None:
    """A new event cannot be left out of the diagram."""
    assert {type(event) for event in diagram.examples(1)} == set(diagram.kinds())


def test_the_shape_of_the_life() -> None:
    """No way out of the last states, a way into every state, and one to the end from each."""
    found = diagram.transitions()
    assert not [edge for edge in found if edge[0] in TERMINAL]
    assert {after for _, after in found} | {State.CREATED} == set(State)
    reaches = set(TERMINAL)
    for _ in State:
        reaches |= {before for before, after in found if after in reaches}
    assert reaches == set(State)
    assert (State.DISPATCHING, State.DISPATCHING) in found
    # Whoever holds a slot got it by being admitted, and gives it back with the end.
    into = {edge: names for edge, names in found.items() if edge[1] in HOLDS_SLOT}
    assert into[State.QUEUED, State.DISPATCHING] == ["session.admitted"]


def test_a_document_without_markers_is_refused() -> None:
    """Nothing is written at random into a document that has no place for it."""
    with pytest.raises(ValueError, match="there is no"):
        diagram.rewritten("# Architecture\n")
