"""The contenders of the comparison, as far as nothing has to be started."""

import ast
from pathlib import Path

import pytest
from bench.errors import NothingCameError
from bench.peers import environments
from bench.peers.contenders import in_turn
from bench.peers.dispatched import Floor, Shared, Stock, Tone
from bench.peers.peer import IDLE, conversation
from bench.peers.started import PROGRAM
from bench.peers.visit import PATIENCE_S, Arrival, check_came
from bench.rows import bursting, joining, turning

from assistant.local_stack.stand_ins.script import Script

PINNED = ("shared", "spawned")


def test_who_comes_first_changes_from_turn_to_turn() -> None:
    """Contenders go forth and back, so that none always follows the same other."""
    assert [list(in_turn("ABC", turn)) for turn in range(3)] == [
        ["A", "B", "C"],
        ["C", "B", "A"],
        ["A", "B", "C"],
    ]


@pytest.mark.parametrize("peer", PINNED)
def test_packages_of_peers_are_pinned(peer: str) -> None:
    """Every package of an environment has one version, and the peer's own is told with results."""
    text = (environments.HERE / peer / "requirements.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        name, version = line.split("==")
        assert name
        assert version
    assert environments.versions(peer)["livekit"]


@pytest.mark.parametrize("name", PINNED)
def test_peers_with_packages_of_their_own_stand_alone(name: str) -> None:
    """Nothing of ours is imported in an environment that does not have it."""
    for program in (environments.HERE / name).glob("*.py"):
        tree = ast.parse(program.read_text(encoding="utf-8"))
        names = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        names += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not [found for found in names if found.split(".")[0] in {"bench", "assistant"}]


@pytest.mark.parametrize("program", [Stock.program, Floor.program, Tone.program, Shared.program])
def test_programs_of_peers_exist(program: Path) -> None:
    """What a contender starts is there, with a name of its own for the dispatch."""
    assert program.is_file()
    assert PROGRAM.is_file()


def test_peers_get_the_conversation_of_the_shipped_agent() -> None:
    """Prompt, greeting, model and voice are those of agents.yaml, so that all talk alike."""
    given = conversation()
    assert given["PEER_GREETING"].startswith("Hello!")
    assert given["PEER_VOICE"] == "Ashley"
    assert all(given.values())


def test_a_start_is_told_by_both_ways_of_asking() -> None:
    """The product by its start request, the bare dispatch beside it; the floor counts as seen."""
    found = {
        "ours": [[Arrival(0.4, 0.6)]],
        "ours by dispatch": [[Arrival(0.3, 0.5)]],
        "D": [[Arrival(0.45, 0.7)]],
        "F": [[Arrival(0.32, None)]],
    }
    one, one_b = joining.rows(found, {})
    assert one.rounds == {
        "ours": [[0.4]],
        "ours by dispatch": [[0.3]],
        "D": [[0.45]],
        "F": [[0.32]],
    }
    assert one_b.rounds["ours"] == [[0.6]]
    assert one_b.rounds["F"] == [[0.32]]


def test_injected_delays_are_taken_off_a_turn() -> None:
    """Row 5 leaves the provider's delays out, and row 5b whoever cannot be interrupted."""
    found = {
        "ours": [turning.Turns([0.5, 0.75], [0.2])],
        "D": [turning.Turns([0.75, 1.0], [0.7])],
        "E": [turning.Turns([0.25], [])],
    }
    injected = {"ours": 0.25, "D": 0.25, "E": 0.0}
    five, five_b = turning.rows(found, injected, {})
    assert five.rounds == {"ours": [[0.25, 0.5]], "D": [[0.5, 0.75]], "E": [[0.25]]}
    assert set(five_b.rounds) == {"ours", "D"}


def test_the_script_of_turns_is_one_the_stand_ins_take() -> None:
    """What the caller is understood to say is answered by the script, not by a guess."""
    script = Script.model_validate(turning.SCRIPT)
    assert len(script.utterances) == 3
    assert len(script.replies) == 2


def test_bursts_are_larger_than_the_pool() -> None:
    """A burst that the idle processes cover would not show how more are made."""
    assert bursting.BURST > IDLE


def test_a_lost_start_counts_as_what_was_waited_for_it() -> None:
    """In every row of starts, for ours as for peers: seen and never heard, or never seen."""
    came, mute = Arrival(1.0, 2.0), Arrival(1.0, PATIENCE_S)
    lost, unseen = Arrival(PATIENCE_S, PATIENCE_S), Arrival(PATIENCE_S, None)
    assert [each.came for each in (came, mute, lost, unseen)] == [True, False, False, False]
    found = {"ours": [[came, mute]], "ours by dispatch": [[came, came]], "D": [[came, lost]]}
    check_came(found)
    burst, (one, one_b) = bursting.rows(found, {})[0], joining.rows(found, {})
    for row in (burst, one):
        assert (row.in_vain("ours"), row.in_vain("D")) == ([0], [1])
    for row, ours in ((burst, "ours to the greeting"), (one_b, "ours")):
        assert row.in_vain(ours) == [1]
        assert row.by_round(ours) == [PATIENCE_S if row is burst else (2.0 + PATIENCE_S) / 2]
    with pytest.raises(NothingCameError, match=r"F brought an agent to none of 2 callers"):
        check_came({**found, "F": [[unseen, unseen]]})
