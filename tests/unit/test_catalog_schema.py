"""The JSON Schema of agents.yaml, as an editor uses it."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from assistant.catalog.schema import json_schema, schema_text

ROOT = Path(__file__).parents[2]
SHIPPED = yaml.safe_load((ROOT / "agents.yaml").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_committed_schema_is_that_of_the_models() -> None:
    """Whoever opens agents.yaml gets what this version understands; `make schema` mends it."""
    committed = (ROOT / "agents.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run `make schema`"


def test_agents_yaml_names_its_schema() -> None:
    """Editors find the schema by the file's first line, and the shipped file is valid by it."""
    first, *_ = (ROOT / "agents.yaml").read_text(encoding="utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=agents.schema.json"
    assert [error.message for error in VALIDATOR.iter_errors(SHIPPED)] == []


def test_the_schema_is_one_that_editors_read() -> None:
    """It is valid by its own dialect, and by draft 7, with which editors' servers check schemas."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.Draft7Validator.check_schema(json_schema())


TOOL = {"type": "http", "name": "t", "description": "D.", "url": "http://h/", "method": "FETCH"}
#: Where in the agent `assistant`, what is written there, and where an editor underlines it.
MISTAKES: list[tuple[tuple[str, ...], Any, tuple[str | int, ...]]] = [
    (("greting",), "Hello", ()),
    (("llm", "provider"), "grok", ("llm",)),
    (("llm", "temperature"), 3, ("llm",)),
    (("stt", "model"), "universal-9", ("stt",)),
    (("profile",), "slow", ("profile",)),
    (("language",), "English, please", ("language",)),
    (("limits", "user_away_timeout_s"), "15", ("limits", "user_away_timeout_s")),
    (
        ("turn_handling", "endpointing", "min_delay_s"),
        -1,
        ("turn_handling", "endpointing", "min_delay_s"),
    ),
    (("public", "fields"), ["lang"], ("public",)),
    (("tools",), [TOOL], ("tools", 0)),
    (("modality",), "video", ("modality",)),
]


@pytest.mark.parametrize(("keys", "value", "place"), MISTAKES, ids=str)
def test_a_mistake_is_underlined_where_it_is(
    keys: tuple[str, ...], value: Any, place: tuple[str | int, ...]
) -> None:
    """What the worker would refuse, an editor marks while it is typed."""
    data = copy.deepcopy(SHIPPED)
    owner = data["agents"]["assistant"]
    for key in keys[:-1]:
        owner = owner[key]
    owner[keys[-1]] = value
    deepest = max(
        (tuple(error.absolute_path) for error in VALIDATOR.iter_errors(data)), key=len, default=None
    )
    assert deepest is not None
    assert deepest[: 2 + len(place)] == ("agents", "assistant", *place)


def test_names_that_do_not_fit_are_refused() -> None:
    """Agents and voices are called as their pattern says, and nothing else."""
    data = copy.deepcopy(SHIPPED)
    data["agents"]["Helper!"] = data["agents"]["assistant"]
    (error,) = VALIDATOR.iter_errors(data)
    assert "Helper!" in error.message


def test_completion_writes_no_whole_parts() -> None:
    """A part's default is in its keys; an editor would insert it as text."""
    owners = json_schema()["$defs"]
    whole = [
        f"{owner}.{key}"
        for owner, model in owners.items()
        for key, about in model.get("properties", {}).items()
        if isinstance(about.get("default"), dict) and len(about["default"]) > 1
    ]
    assert whole == []


def test_hovers_are_words() -> None:
    """Descriptions are single paragraphs, and no key has a title that repeats its name."""
    found: list[Any] = [json_schema()]
    for value in found:
        if isinstance(value, dict):
            assert "\n" not in str(value.get("description", ""))
            found += value.values()
        elif isinstance(value, list):
            found += value
    titles = [
        key
        for model in json_schema()["$defs"].values()
        for key, about in model.get("properties", {}).items()
        if "title" in about
    ]
    assert titles == []
    assert json.loads(schema_text()) == json_schema()
