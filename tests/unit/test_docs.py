"""The documents hold what the code holds: settings, their defaults, and the words."""

import re
from pathlib import Path
from typing import Any

from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.settings import (
    NAMES,
    SERVICE_NAMES,
    STAND_IN_NAMES,
    LocalStackSettings,
    SettingsModel,
    WorkerSettings,
    names_of,
)
from token_service.settings import HttpSettings, ServiceSettings

DOCS = Path(__file__).parents[2] / "docs"
GROUPS: tuple[type[SettingsModel], ...] = (
    WorkerSettings,
    ServiceSettings,
    LocalStackSettings,
    StandInSettings,
)
_ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)

# The words of the design; the glossary may explain more.
WORDS = {
    *("room", "participant", "identity", "kind", "token", "grant", "agent", "dispatch", "job"),
    *("worker", "job process", "prewarm", "drain", "session", "attempt", "slot"),
    *("turn", "utterance", "endpointing", "interruption", "close reason", "stand-in"),
    *("`end_of_turn_delay`", "`transcription_delay`", "`llm_ttft`", "`tts_ttfb`", "`e2e_latency`"),
}


def settings_of_the_code() -> dict[str, str]:
    """Each variable, with its default as a row shows it."""
    return {
        str(field.alias): shown(field.default, required=field.is_required())
        for group in GROUPS
        for field in group.model_fields.values()
    }


def shown(default: Any, *, required: bool) -> str:
    if required:
        return "required"
    if default is None or default == ():
        return "not set"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{default}`"


def test_every_setting_has_its_row() -> None:
    """docs/configuration.md has one row for each variable that is read, with its true default."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    rows = _ROW.findall(text)
    documented = {name: default for name, default, _ in rows}
    code = settings_of_the_code()
    problems = [
        f"twice: {name}" for name in sorted(documented) if sum(row[0] == name for row in rows) > 1
    ]
    for name in sorted(documented.keys() | code.keys()):
        if name not in documented:
            problems.append(f"missing: | `{name}` | {code[name]} | … |")
        elif name not in code:
            problems.append(f"not a setting of the code: the row of {name}")
        elif documented[name] != code[name]:
            problems.append(f"{name}: the default is {code[name]}, not {documented[name]}")
    problems += [f"nothing said: {name}" for name, _, about in rows if not about.strip()]
    assert not problems, "docs/configuration.md:\n" + "\n".join(problems)


def test_the_registry_names_every_setting() -> None:
    """A name that is read but not registered would be refused as unknown."""
    assert settings_of_the_code().keys() == NAMES
    assert names_of(HttpSettings) == SERVICE_NAMES
    assert names_of(StandInSettings) == STAND_IN_NAMES


def test_a_setting_in_two_groups_has_one_default() -> None:
    """One home for each default: the service and the workers must agree."""
    homes: dict[str, set[str]] = {}
    for group in GROUPS:
        for field in group.model_fields.values():
            default = shown(field.default, required=field.is_required())
            homes.setdefault(str(field.alias), set()).add(default)
    assert [name for name, defaults in homes.items() if len(defaults) > 1] == []


def test_the_glossary_has_every_word_of_the_design() -> None:
    """The words that the code is written in are explained."""
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    explained = {
        word.strip()
        for heads in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
        for word in heads.split(",")
    }
    assert not WORDS - explained, "docs/glossary.md lacks these words"
