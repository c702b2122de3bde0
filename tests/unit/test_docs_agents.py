"""docs/agents.md shows every key of agents.yaml; every example in it and in vendors.md is valid."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from assistant.catalog import Catalog
from assistant.catalog.catalog import AgentsFile
from assistant.catalog.reference import TABLES, rewritten

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
VENDORS = (ROOT / "docs" / "vendors.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT + VENDORS, re.MULTILINE | re.DOTALL)
Key = tuple[str, str]
"""A model, and one of its fields as agents.yaml writes it."""


def whole(example: str) -> tuple[dict[str, Any], set[str] | None]:
    """The example within a whole file, and its agent's keys; None: it is a whole file itself."""
    shown = yaml.safe_load(example)
    if "version" in shown:
        return shown, None
    document: dict[str, Any] = yaml.safe_load((ROOT / "agents.yaml").read_text(encoding="utf-8"))
    document["agents"]["assistant"] |= shown
    return document, set(shown)


def declared(model: type[BaseModel], name: str) -> Key:
    """A field under the model that declares it, which others may share."""
    owner = next(m for m in reversed(model.__mro__) if name in vars(m).get("__annotations__", {}))
    return owner.__name__, model.model_fields[name].alias or name


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def every_key() -> set[Key]:
    """All that agents.yaml may hold."""
    found: set[Key] = set()
    ahead: list[type[BaseModel]] = [AgentsFile]
    seen: set[type[BaseModel]] = set()
    while ahead:
        model = ahead.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, field in model.model_fields.items():
            found.add(declared(model, name))
            ahead += models_in(field.annotation)
            ahead += [part for each in field.metadata for part in models_in(each)]
    return found


def keys_in(value: Any, only: set[str] | None = None) -> Iterator[Key]:
    """What a part of a file that was read really says."""
    if isinstance(value, BaseModel):
        for name in value.model_fields_set if only is None else only:
            yield declared(type(value), name)
            yield from keys_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from keys_in(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from keys_in(each)


def test_every_key_is_shown() -> None:
    """Whoever adds a key shows it to those who write agents.yaml."""
    shown = {declared(model, name) for _, model in TABLES for name in model.model_fields}
    for example in EXAMPLES:
        document, only = whole(example)
        file = AgentsFile.model_validate_json(json.dumps(document))
        shown |= set(keys_in(file if only is None else file.agents["assistant"], only))
    missing = sorted(f"{model}.{key}" for model, key in every_key() - shown)
    assert not missing, (
        f"docs/agents.md does not show {', '.join(missing)}: use each in a ```yaml block of the "
        "page, with a word on what it is for. The options of vendors have tables instead: add "
        "their model to TABLES in assistant/catalog/reference.py, and run "
        "`python scripts/agents_reference.py`"
    )


def test_the_tables_are_current() -> None:
    """Defaults and meanings are those of the models."""
    assert rewritten(DOCUMENT) == DOCUMENT, "run `python scripts/agents_reference.py`"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split(":")[0])
def test_an_example_is_valid(tmp_path: Path, example: str) -> None:
    """A whole file, or a part of the shipped default agent: it loads, and unknown keys do not."""
    file = tmp_path / "agents.yaml"
    file.write_text(yaml.safe_dump(whole(example)[0]), encoding="utf-8")
    assert Catalog.load(file).agents
