"""Which agent talks in the terminal, and which of its vendors a stand-in replaces."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from assistant.catalog.agent import AgentSpec
from assistant.catalog.catalog import Catalog
from assistant.catalog.document import path_text
from assistant.catalog.environment import EnvRequirement, required_environment
from assistant.catalog.errors import OverrideError
from assistant.catalog.explain import explain
from assistant.catalog.overrides import Overrides
from assistant.catalog.prices import Prices
from assistant.catalog.turns import TextTurnDetection
from assistant.console.errors import NotInConsoleError, WishError
from assistant.errors import SettingProblem, SettingsError
from assistant.local_stack.choices import (
    LIVEKIT_NAMES,
    Vendor,
    choose,
    reaching_loopback,
    vendor_environ,
)

_OPTIONS = {"agent": "agent", "voice": "voice", "metadata": "metadata"}


@dataclass(frozen=True, slots=True)
class Plan:
    """`environ` is this process's with the addresses of the stand-ins, which listen at `port`.

    `prices` as in agents.yaml; None: it has none.
    """

    spec: AgentSpec
    stand_ins: tuple[Vendor, ...]
    port: int
    environ: Mapping[str, str]
    prices: Prices | None

    @property
    def voice_is_stand_in(self) -> bool:
        return any(vendor.name == self.spec.tts.provider for vendor in self.stand_ins)


def plan(
    catalog: Catalog,
    environ: Mapping[str, str],
    *,
    port: int,
    agent: str | None,
    voice: str | None,
    metadata: Iterable[str],
    writes: bool,
) -> Plan:
    """Decide everything before anything starts.

    `metadata` as `key=value`; `writes`: both sides write instead of speaking.

    Raises:
        WishError: an option names what is not there, or a `{{ name }}` stays open.
        NotInConsoleError: the agent hears with a model that only workers have.
        SettingsError: a key is missing that no stand-in replaces; names each, and who needs it.
    """
    spec = _for_terminal(_resolved(catalog, agent, voice, metadata), writes=writes)
    if isinstance(spec.turn_detection, TextTurnDetection) and spec.modality == "voice":
        raise NotInConsoleError(spec.name, spec.turn_detection.model)
    # LiveKit's variables are no matter here, whether complete or not.
    ours = {name: value for name, value in environ.items() if name not in LIVEKIT_NAMES}
    needed = [need for each in (spec, *spec.team.values()) for need in required_environment(each)]
    choices = choose(
        {name: value for name, value in ours.items() if name != "ASSISTANT_HTTP_PORT"},
        {name for need in needed for name in need.names},
    )
    complete = {**reaching_loopback(ours), **vendor_environ(ours, choices, port)}
    _check_keys(needed, complete)
    return Plan(spec, choices.stand_ins, port, complete, catalog.prices)


def _resolved(
    catalog: Catalog, agent: str | None, voice: str | None, metadata: Iterable[str]
) -> AgentSpec:
    facts = dict(_pair(text) for text in metadata)
    wishes = {"agent": agent, "voice": voice, "metadata": facts or None}
    try:
        return catalog.resolve(Overrides.model_validate_json(json.dumps(wishes)))
    except ValidationError as error:
        finding = explain(Overrides, error)[0]
        field, *inner = finding.path
        place = f"{path_text(tuple(inner))}: " if inner else ""
        raise WishError(_OPTIONS[str(field)], f"{place}{finding.message}") from error
    except OverrideError as error:
        raise WishError(_OPTIONS.get(error.field, error.field), str(error)) from error


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise WishError("metadata", f"must be key=value, got {text[:60]!r}")
    return key, value


def _for_terminal(spec: AgentSpec, *, writes: bool) -> AgentSpec:
    """The agent without recording, for which there is no session; without voice where it writes."""
    changes: dict[str, object] = {
        "record": "none",
        "team": {name: _for_terminal(one, writes=writes) for name, one in spec.team.items()},
    }
    if writes:
        changes["modality"] = "text"
    return spec.model_copy(update=changes)


def _check_keys(needed: Iterable[EnvRequirement], environ: Mapping[str, str]) -> None:
    problems = tuple(
        SettingProblem(
            " or ".join(need.names),
            f"is not set, and needed by agents.{need.agent}.{need.stage} ({need.provider})",
            "set it, or choose another agent with --agent",
        )
        for need in needed
        if not need.is_met(environ)
    )
    if problems:
        raise SettingsError(problems)
