"""agents.yaml, read and checked; and the agent that one session gets out of it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from assistant.catalog import templates
from assistant.catalog.agent import (
    AgentSettings,
    AgentSpec,
    Public,
    Voice,
)
from assistant.catalog.budget import unpriced
from assistant.catalog.document import Document, path_text, read_document
from assistant.catalog.errors import (
    CatalogError,
    OverrideNotAllowedError,
    Problem,
    UnknownAgentError,
    UnknownVoiceError,
)
from assistant.catalog.explain import Finding, explain
from assistant.catalog.fields import AgentName, Frozen
from assistant.catalog.keyterms import with_keyterms
from assistant.catalog.overrides import Overrides
from assistant.catalog.prices import Prices
from assistant.catalog.privacy import is_more
from assistant.catalog.profiles import with_profiles
from assistant.catalog.providers import SttOptions, TtsOptions
from assistant.catalog.references import check_references
from assistant.catalog.tools import TransferTool

MAX_AGENTS = 200  # each is resolved when the file is read, and listed on a page
MAX_VOICES = 500
DIGEST_CHARS = 12  # tells one file from another; nobody forges one


class AgentsFile(Frozen):
    """agents.yaml: the agents that this installation offers."""

    version: Literal[1]
    """The version of this file's format."""
    default: AgentName
    """The agent of a session that names none."""
    voices: Annotated[Mapping[AgentName, Voice], Field(max_length=MAX_VOICES)] = {}
    """Voices under names of our own; `tts.voice` and a session's `voice` may use them."""
    prices: Prices | None = None
    """What the vendors charge. None: what a session cost is not known."""
    agents: Annotated[Mapping[AgentName, AgentSettings], Field(min_length=1, max_length=MAX_AGENTS)]
    """The agents by name."""


@dataclass(frozen=True, slots=True)
class ListedAgent:
    """An agent as the talk page offers it."""

    name: str
    title: str
    language: str
    voices: tuple[str, ...]
    """What the page may offer to choose; empty: nothing."""
    voice: str | None
    """The one of `voices` that it speaks with unasked; None: its own is not among them."""
    default: bool
    """Whether it is the one that a session gets which names none."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The agents of one file. Immutable; a changed file is another Catalog."""

    default: str
    """The agent of a session that names none."""
    agents: Mapping[str, AgentSpec]
    """Every agent as a session gets it that changes nothing."""
    voices: Mapping[str, Voice]
    written: Mapping[str, AgentSettings] = field(repr=False)
    """Every agent as the file has it: a session's voice replaces an alias, not what it led to."""
    prices: Prices | None = None
    """What the vendors charge. None: not known."""
    source: str = field(default="", repr=False)
    """What the file said, as JSON: a job process builds the same catalog from it."""

    @property
    def digest(self) -> str:
        """Equal for files that say the same; comments, quotes and spaces do not count."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:DIGEST_CHARS]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read agents.yaml.

        Raises:
            CatalogError: the file is wrong; it names every problem, in order of lines.
        """
        document = read_document(Path(path))
        findings = list(check_references(document.data))
        try:
            file = _validated(document.data)
        except ValidationError as error:
            findings += explain(AgentsFile, error, yaml=True)
            raise CatalogError(_in_order(document, findings)) from error
        if document.problems or findings:
            raise CatalogError(_in_order(document, findings))
        catalog = cls._of(file, json.dumps(document.data))
        findings += _costs_unknown(catalog.agents, file.prices)
        if findings:
            raise CatalogError(_in_order(document, findings))
        return catalog

    @classmethod
    def from_source(cls, source: str) -> Self:
        """The same catalog once more; `source` is that of one that was loaded."""
        return cls._of(_validated(json.loads(source)), source)

    @classmethod
    def _of(cls, file: AgentsFile, source: str) -> Self:
        agents = {name: _decide(name, agent, file.voices) for name, agent in file.agents.items()}
        agents = {name: _with_team(agent, agents) for name, agent in agents.items()}
        return cls(
            default=file.default,
            agents=MappingProxyType(agents),
            voices=MappingProxyType(dict(file.voices)),
            written=MappingProxyType(dict(file.agents)),
            prices=file.prices,
            source=source,
        )

    def listed(self) -> tuple[ListedAgent, ...]:
        """The agents of the talk page, in the file's order."""
        return tuple(
            ListedAgent(
                name,
                spec.title,
                spec.language,
                spec.public.voices,
                voice=spec.voice if spec.voice in spec.public.voices else None,
                default=name == self.default,
            )
            for name, spec in self.agents.items()
            if spec.public is not None and spec.public.listed
        )

    def known_voices(self, provider: str) -> tuple[str, ...]:
        """A vendor's voices that a secret key may ask for: the aliases, and what the file uses."""
        aliases = {
            name
            for alias, voice in self.voices.items()
            for name in (alias, voice.voice)
            if voice.provider == provider
        }
        used = {a.tts.voice for a in self.written.values() if a.tts.provider == provider}
        return tuple(sorted(aliases | used))

    def resolve(
        self,
        overrides: Overrides,
        *,
        public: bool = False,
        session_timeout_s: float | None = None,
    ) -> AgentSpec:
        """The agent of one session.

        Args:
            overrides: The session's `config`.
            public: Whether a publishable key asks; it gets only what `public` of the agent lets
                it choose, and does not learn of agents that it may not start.
            session_timeout_s: `max_duration_s` of agents that have none. None: they have none.

        `metadata` fills in the words of the agent, and of those that it may hand over to.

        Raises:
            UnknownAgentError, UnknownVoiceError, OverrideNotAllowedError: as they say.
        """
        name = overrides.agent or self.default
        startable = {
            key: spec for key, spec in self.agents.items() if not public or spec.public is not None
        }
        if name not in startable:
            raise UnknownAgentError(name, tuple(sorted(startable)))
        voices = self.known_voices(startable[name].tts.provider)
        if public:
            voices = _check_public(name, startable[name].public or Public(), overrides)
        if overrides.voice is not None and overrides.voice not in voices:
            raise UnknownVoiceError(overrides.voice, voices)
        agent = self.written[name]
        if overrides.language is not None:
            reason = agent.stt.cannot_hear(overrides.language)
            if reason is not None:
                raise OverrideNotAllowedError("language", name, reason)
        if overrides.keyterms and not agent.stt.takes_keyterms:
            reason = f"its recognizer, {agent.stt.provider} {agent.stt.model}, takes none"
            raise OverrideNotAllowedError("keyterms", name, reason)
        spec = _decide(name, agent, self.voices, voice=overrides.voice, language=overrides.language)
        limits = spec.limits.model_copy(
            update={"max_duration_s": spec.limits.max_duration_s or session_timeout_s}
        )
        spec = spec.model_copy(update={"limits": limits})
        if public:
            _check_bounds(spec, overrides)
        spec = _with_own_words(_with_own_bounds(spec, overrides), overrides)
        spec = with_keyterms(_with_team(spec, self.agents), overrides.keyterms or ())
        self._check_cost(spec, overrides)
        return _filled(spec, overrides)

    def _check_cost(self, spec: AgentSpec, overrides: Overrides) -> None:
        """Refuse a budget in money that could not be kept."""
        if spec.budget.max_cost is None:
            return
        for path, provider, model in unpriced(spec, self.prices):
            field = "voice" if overrides.max_cost is None else "maxCost"
            reason = f"{path} uses {provider} {model}, which has no price in agents.yaml"
            raise OverrideNotAllowedError(field, spec.name, reason)


def _costs_unknown(agents: Mapping[str, AgentSpec], prices: Prices | None) -> Iterable[Finding]:
    """Every budget in money of which nobody could say when it is used up."""
    for name, agent in agents.items():
        if agent.budget.max_cost is not None:
            for path, provider, model in unpriced(agent, prices):
                message = f"{path} has no price: add prices.models.{provider}.{model}"
                yield Finding(("agents", name, "budget", "max_cost"), message)
                break  # one problem a path; the next one follows when it is mended


def _validated(data: dict[str, Any]) -> AgentsFile:
    # As JSON, since strict validation takes a list for a tuple from there alone.
    return AgentsFile.model_validate_json(json.dumps(with_profiles(data)))


def _in_order(document: Document, findings: Iterable[Finding]) -> tuple[Problem, ...]:
    problems = {problem.path: problem for problem in document.problems}
    for finding in findings:
        text = path_text(finding.path)
        line = document.line(finding.path)
        problem = Problem(document.file, line, text, finding.message, finding.suggestion)
        # One problem a path: what could not be read is not also of the wrong type.
        problems.setdefault(text, problem)
    return tuple(sorted(problems.values(), key=lambda problem: (problem.line or 0, problem.path)))


def _decide(
    name: str,
    agent: AgentSettings,
    voices: Mapping[str, Voice],
    *,
    voice: str | None = None,
    language: str | None = None,
) -> AgentSpec:
    """The agent with its voice looked up and its language told to the vendors.

    A session's `voice` and `language` go before the alias's, which go before the agent's.
    """
    wanted = voice or agent.tts.voice
    fallbacks = agent.fallbacks.model_copy(
        update={
            "stt": tuple(_hearing(stt, agent, language) for stt in agent.fallbacks.stt),
            "tts": tuple(
                _speaking(tts, tts.voice, agent, voices, language) for tts in agent.fallbacks.tts
            ),
        }
    )
    fields = {key: getattr(agent, key) for key in AgentSettings.model_fields}
    fields["language"] = language or agent.language
    fields["stt"] = _hearing(agent.stt, agent, language)
    fields["tts"] = _speaking(agent.tts, wanted, agent, voices, language)
    fields["fallbacks"] = fallbacks
    return AgentSpec(name=name, voice=wanted, **fields)


def _with_team(spec: AgentSpec, agents: Mapping[str, AgentSpec]) -> AgentSpec:
    """The agent with all those that a chain of transfers may lead to."""
    team: dict[str, AgentSpec] = {}
    ahead = [spec]
    while ahead:
        for tool in ahead.pop().tools:
            for name in tool.to if isinstance(tool, TransferTool) else ():
                if name not in team and name != spec.name:
                    team[name] = agents[name].model_copy(update={"team": {}})
                    ahead.append(agents[name])
    return spec.model_copy(update={"team": team}) if team else spec


def _filled(spec: AgentSpec, overrides: Overrides) -> AgentSpec:
    values = overrides.metadata or {}
    for agent in (spec, *spec.team.values()):
        lacking = templates.missing(agent, values)
        if lacking:
            raise OverrideNotAllowedError("metadata", agent.name, f"must give {', '.join(lacking)}")
    team = {name: templates.fill(agent, values) for name, agent in spec.team.items()}
    return templates.fill(spec.model_copy(update={"team": team}), values)


def _hearing(stt: SttOptions, agent: AgentSettings, language: str | None) -> SttOptions:
    return stt.hearing(language or agent.language, asked=language is not None)


def _speaking(
    tts: TtsOptions,
    wanted: str,
    agent: AgentSettings,
    voices: Mapping[str, Voice],
    language: str | None,
) -> TtsOptions:
    alias = voices.get(wanted)
    if alias is not None and alias.provider != tts.provider:
        alias = None  # another vendor's, which happens to bear the name of one of this vendor's
    return tts.model_copy(
        update={
            "voice": wanted if alias is None else alias.voice,
            "model": (alias and alias.model) or tts.model,
            "language": language or (alias and alias.language) or tts.language or agent.language,
        }
    )


def _check_public(agent: str, public: Public, overrides: Overrides) -> tuple[str, ...]:
    """Refuse what the agent does not let a publishable key choose; the voices that it may."""
    allowed = {"agent", *public.fields, *(("voice",) if public.voices else ())}
    for given in overrides.given():
        if given not in allowed:
            choice = ", ".join(sorted(allowed - {"agent"})) or "nothing"
            reason = f"a publishable key may choose {choice} of this agent"
            raise OverrideNotAllowedError(given, agent, reason)
    return tuple(sorted(public.voices))


def _check_bounds(spec: AgentSpec, overrides: Overrides) -> None:
    """Refuse a publishable key more time, money, tokens or record than the agent gives."""
    own = {
        "maxDuration": (overrides.max_duration, spec.limits.max_duration_s, " s"),
        "maxTokens": (overrides.max_tokens, spec.budget.max_tokens, ""),
        "maxCost": (overrides.max_cost, spec.budget.max_cost, ""),
    }
    for name, (asked, limit, unit) in own.items():
        if asked is not None and limit is not None and asked > limit:
            reason = f"a publishable key may not exceed {limit:g}{unit}, got {asked:g}{unit}"
            raise OverrideNotAllowedError(name, spec.name, reason)
    if overrides.record is not None and is_more(overrides.record, spec.record):
        allowed = f"a publishable key may not record more than '{spec.record}'"
        reason = f"{allowed}, got '{overrides.record}'"
        raise OverrideNotAllowedError("record", spec.name, reason)


def _with_own_words(spec: AgentSpec, overrides: Overrides) -> AgentSpec:
    changes: dict[str, Any] = {}
    if overrides.system_prompt is not None:
        changes["instructions"] = overrides.system_prompt
    if "greeting" in overrides.model_fields_set:
        greeting = overrides.greeting
        changes["greeting"] = greeting if greeting and greeting.strip() else None
        # Whatever is in it is this session's, and goes with it.
        changes["personal"] = True
    return spec.model_copy(update=changes)


def _with_own_bounds(spec: AgentSpec, overrides: Overrides) -> AgentSpec:
    budget, limits = spec.budget, spec.limits
    asked = {"max_tokens": overrides.max_tokens, "max_cost": overrides.max_cost}
    changes: dict[str, Any] = {
        "limits": limits.model_copy(
            update={"max_duration_s": overrides.max_duration or limits.max_duration_s}
        ),
        "budget": budget.model_copy(
            update={name: value for name, value in asked.items() if value is not None}
        ),
        "record": overrides.record or spec.record,
    }
    return spec.model_copy(update=changes)
