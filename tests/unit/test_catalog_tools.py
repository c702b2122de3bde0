"""Tools, transfers and templates in agents.yaml: every mistake is named, every default holds."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.catalog import Catalog, CatalogError
from assistant.catalog.environment import required_environment
from assistant.catalog.errors import OverrideNotAllowedError
from assistant.catalog.overrides import Overrides

AGENT: dict[str, Any] = {
    "title": "A",
    "instructions": "Help {{ user_name }}.",
    "greeting": "Hello {{user_name}}, this is {{ shop }}.",
    "variables": {"shop": "Books & Co"},
    "stt": {"provider": "assemblyai"},
    "llm": {"provider": "groq"},
    "tts": {"provider": "inworld", "voice": "Ashley"},
}
HTTP: dict[str, Any] = {"type": "http", "name": "order", "description": "Looks an order up."}


def load(folder: Path, agents: dict[str, Any]) -> Catalog:
    file = folder / "agents.yaml"
    document = {"version": 1, "default": "a", "agents": agents}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return Catalog.load(file)


def chain(folder: Path) -> Catalog:
    def to(name: str) -> list[dict[str, Any]]:
        return [{"type": "transfer", "to": {name: "When asked."}}]

    return load(
        folder,
        {
            "a": {**AGENT, "tools": to("b")},
            "b": {**AGENT, "instructions": "B {{ team }}.", "tools": to("c")},
            "c": {**AGENT, "tools": to("a")},
        },
    )


@pytest.mark.parametrize(
    ("tool", "where", "why"),
    [
        ({"type": "telepathy"}, "tools.0", "expected one of 'date_time'"),
        ({"type": "python", "function": "no_colon"}, "tools.0", "import path"),
        ({**HTTP, "url": "ftp://x"}, "tools.0", "must begin with http://"),
        ({**HTTP, "url": "http://{host}/x"}, "tools.0", "its host holds no argument"),
        ({**HTTP, "url": "http://x/{id}"}, "tools.0", "must be a required property"),
        ({**HTTP, "url": "http://x/#y"}, "tools.0", "must not hold spaces or '#'"),
        ({**HTTP, "url": "http://x", "parameters": {"type": 5}}, "tools.0", "not a JSON Schema"),
        ({**HTTP, "url": "http://x", "parameters": {}}, "tools.0", "must be of type 'object'"),
        ({**HTTP, "url": "http://x", "headers": {"a b": "c"}}, "tools.0", "not a header's name"),
        ({**HTTP, "url": "http://x", "timeout_s": 100}, "tools.0", "60"),
        ({**HTTP, "url": "http://x", "errors": {"oops": "x"}}, "tools.0", "a status such as"),
        ({"type": "mcp", "allow": ["x"]}, "tools.0", "needs either url or command"),
        ({"type": "mcp", "url": "http://x", "allow": []}, "tools.0", "at least 1"),
        ({"type": "date_time", "time_zone": "Mars"}, "tools.0", "not a time zone"),
        ({"type": "transfer", "to": {"nobody": "Never."}}, "tools.0", "no agent of that name"),
        ({"type": "transfer", "to": {"a": "Never."}}, "tools.0", "cannot hand over to itself"),
        ({"type": "end_call", "colour": 1}, "tools.0", "colour"),
        ({"type": "end_call", "goodbye": "Bye {{ user_name }}!"}, "tools.0", "'{{ user_name }}'"),
        ({**HTTP, "name": "transfer", "url": "http://x"}, "tools", "comes with the assistant"),
    ],
)
def test_a_mistake_in_a_tool_is_named(
    tmp_path: Path, tool: dict[str, Any], where: str, why: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, {"a": {**AGENT, "tools": [tool]}})
    text = str(caught.value)
    assert f"agents.a.{where}" in text.replace("[0]", ".0"), text
    assert why in text, text


def test_two_tools_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="two tools are called 'end_call'"):
        load(tmp_path, {"a": {**AGENT, "tools": [{"type": "end_call"}, {"type": "end_call"}]}})


def test_what_tools_need_of_the_environment_is_required(tmp_path: Path) -> None:
    """`check` and the worker's start refuse it by name; a text agent needs no voices' keys."""
    tool = {**HTTP, "url": "${SHOP}/x", "headers": {"Key": "${SHOP_KEY}"}}
    catalog = load(tmp_path, {"a": {**AGENT, "tools": [tool], "modality": "text"}})
    needed = [str(each) for each in required_environment(catalog.agents["a"])]
    assert needed == [
        "GROQ_API_KEY must be set: agents.a.llm uses groq",
        "SHOP must be set: agents.a.tools uses order",
        "SHOP_KEY must be set: agents.a.tools uses order",
    ]


def test_a_session_holds_everybody_it_may_be_handed_to(tmp_path: Path) -> None:
    """Along the whole chain and filled in, so that a new agents.yaml changes nothing for it."""
    metadata: dict[str, str | int | float | bool] = {"user_name": "Ada", "team": 5}
    spec = chain(tmp_path).resolve(Overrides(agent="a", metadata=metadata))
    assert set(spec.team) == {"b", "c"}
    assert spec.team["b"].instructions == "B 5."
    assert spec.team["c"].instructions == "Help Ada."
    assert all(not member.team for member in spec.team.values())


def test_words_are_filled_in_from_metadata(tmp_path: Path) -> None:
    """A value that looks like a variable is not looked into."""
    catalog = load(tmp_path, {"a": AGENT})
    spec = catalog.resolve(Overrides(agent="a", metadata={"user_name": "{{ shop }}"}))
    assert spec.greeting == "Hello {{ shop }}, this is Books & Co."
    assert spec.personal
    assert not catalog.agents["a"].personal


def test_a_missing_variable_is_refused_by_name(tmp_path: Path) -> None:
    """Of one's own agent, and of one that it may hand over to."""
    with pytest.raises(OverrideNotAllowedError, match="user_name"):
        chain(tmp_path).resolve(Overrides(agent="a"))
    with pytest.raises(OverrideNotAllowedError, match="must give team"):
        chain(tmp_path).resolve(Overrides(agent="a", metadata={"user_name": "Ada"}))
