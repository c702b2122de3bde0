"""What commands make of a conversation, and who has it: pure."""

from pathlib import Path

import yaml

from assistant.catalog import AgentSpec, Catalog, Overrides
from assistant.sessions.command import (
    COMMAND,
    Command,
    HandOver,
    Instruct,
    Interrupt,
    Mute,
    Order,
    Say,
    Tell,
    is_quiet,
)
from assistant.sessions.direction import MAX_FACTS, MAX_FACTS_CHARS, Direction
from assistant.sessions.item import Item, ToolUse
from assistant.worker.agent import Assistant
from assistant.worker.team import known_agents, talking_agent
from tests.unit.test_handoff import AGENTS


def order(command: Command, number: int = 1) -> Order:
    return Order(entry=f"{number}-0", id=f"c{number}", attempt=1, command=command)


def given(*commands: Command) -> Direction:
    direction = Direction()
    for number, command in enumerate(commands, start=1):
        direction = direction.after(order(command, number), talking="a", at=float(number))
    return direction


def test_each_command_is_remembered_as_long_as_it_holds() -> None:
    """Agent, mutes and each agent's instructions: the last one; facts: all; words: none."""
    direction = given(
        Instruct(instructions="First."),
        Tell(text="One."),
        Mute(who="user", muted=True),
        HandOver(agent="b", spec="{}"),
        Instruct(instructions="Second."),
        Tell(text="Two.", reply=True),
        Mute(who="agent", muted=True),
        Mute(who="user", muted=False),
    )
    assert direction.instructions == {"a": "Second."}
    assert [(fact.id, fact.text) for fact in direction.facts] == [("c2", "One."), ("c6", "Two.")]
    assert (direction.agent_muted, direction.user_muted) == (True, False)
    assert direction.muted == ("agent",)
    assert direction.successor is not None
    assert (direction.successor.name, direction.successor.at) == ("b", 4.0)
    for words in (Say(text="Hello."), Interrupt()):
        assert direction.after(order(words), talking="a", at=9.0) is direction
    told = order(Tell(text="One."), 2)
    assert direction.after(told, talking="a", at=9.0) is direction, "told before its job was lost"
    assert Direction.model_validate_json(direction.model_dump_json()) == direction


def test_facts_are_bounded_and_the_oldest_go_first() -> None:
    """Neither many small ones nor a few large ones grow without end."""
    many = given(*(Tell(text=str(number)) for number in range(MAX_FACTS + 5)))
    assert [fact.text for fact in many.facts] == [str(n) for n in range(5, MAX_FACTS + 5)]
    large = given(*(Tell(text=letter * (MAX_FACTS_CHARS // 4)) for letter in "abcde"))
    assert [fact.text[0] for fact in large.facts] == list("bcde")


def test_only_what_makes_nobody_speak_or_stop_is_quiet() -> None:
    """What is quiet may hold before the agent's first word."""
    quiet: tuple[Command, ...] = (
        Tell(text="x"),
        Instruct(instructions="x"),
        HandOver(agent="a", spec="{}"),
        Mute(who="agent", muted=True),
    )
    assert all(map(is_quiet, quiet))
    loud: tuple[Command, ...] = (Say(text="x"), Interrupt(), Tell(text="x", reply=True))
    assert not any(map(is_quiet, loud))


def test_a_command_comes_back_as_it_was_and_shows_no_text() -> None:
    """Through Redis; and no log can have its words by accident."""
    for command in (Say(text="secret", when="after"), Tell(text="secret"), Interrupt()):
        assert COMMAND.validate_json(command.model_dump_json()) == command
        assert "secret" not in repr(order(command))


def _catalog(folder: Path) -> Catalog:
    file = folder / "agents.yaml"
    document = {"version": 1, "default": "reception", "agents": AGENTS}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return Catalog.load(file)


def _transfer(name: str, at: float) -> Item:
    use = ToolUse(
        name="transfer", call_id="c", arguments=f'{{"agent":"{name}"}}', output="", is_error=False
    )
    return Item(id=f"t{at}", role="tool", text="", interrupted=False, at=at, tool=use)


def test_the_last_one_to_be_given_the_conversation_has_it(tmp_path: Path) -> None:
    """By a command or by a transfer, whichever came later; also one from outside the team."""
    catalog = _catalog(tmp_path)
    first = catalog.resolve(Overrides(agent="reception", systemPrompt="Own words."))
    vault = catalog.resolve(Overrides(agent="vault"))
    handed = given(HandOver(agent="vault", spec=vault.model_dump_json()))
    assert "vault" not in known_agents(first, Direction())
    assert known_agents(first, handed)["vault"] == vault
    assert known_agents(first, handed)["reception"].instructions == "Own words."
    assert talking_agent(first, [], Direction()) == "reception"
    assert talking_agent(first, [_transfer("nurse", 0.5)], Direction()) == "nurse"
    assert talking_agent(first, [_transfer("nurse", 0.5)], handed) == "vault"
    assert talking_agent(first, [_transfer("nurse", 2.0)], handed) == "nurse"


def test_facts_stand_where_they_were_told(tmp_path: Path) -> None:
    """The next agent reads them between what was said before and after; they are not said."""
    spec: AgentSpec = _catalog(tmp_path).agents["nurse"]
    said = [
        Item(id="i1", role="user", text="Hi.", interrupted=False, at=0.5),
        Item(id="i2", role="assistant", text="Yes?", interrupted=False, at=1.5),
    ]
    agent = Assistant(spec, said=said, facts=given(Tell(text="Seat 7.")).facts)
    read = [(m.role, m.text_content) for m in agent.chat_ctx.messages()]
    assert read[-3:] == [("user", "Hi."), ("system", "Seat 7."), ("assistant", "Yes?")]
