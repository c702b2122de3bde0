"""`GET /api/agents`: the agents of agents.yaml, with everything decided."""

from typing import Any

from assistant.catalog import AgentSpec, Catalog
from assistant.catalog.tools import environment_names
from token_service.answers import Answer

HIDDEN = "(hidden)"


class AgentModel(Answer):
    provider: str
    model: str


class AgentAnswer(Answer):
    name: str
    title: str
    language: str
    modality: str
    """`voice`, or `text`: it neither listens nor speaks."""
    listed: bool
    """Whether the talk page offers it."""
    voice: str
    """The one that it speaks with unless a session names another."""
    voices: tuple[str, ...]
    """Those that a page may choose from."""
    stt: AgentModel
    llm: AgentModel
    tts: AgentModel
    tools: tuple[str, ...]
    """Their names; those of an MCP server are known to the worker alone."""
    effective: dict[str, Any]
    """The whole agent as a session gets it that changes nothing, by the names of agents.yaml.
    Holds no secrets: of the headers of tools, what is not taken from the environment is hidden."""


class AgentsAnswer(Answer):
    default: str
    """The agent of a session that names none."""
    digest: str
    """That of agents.yaml, as workers' beats and `/stats` tell it."""
    agents: list[AgentAnswer]
    prices: dict[str, Any] | None
    """What the vendors charge, as agents.yaml has it; null: it does not say."""


def agents_of(catalog: Catalog) -> AgentsAnswer:
    """The catalog as backends see it."""
    return AgentsAnswer(
        default=catalog.default,
        digest=catalog.digest,
        agents=[_agent(spec) for spec in catalog.agents.values()],
        prices=None if catalog.prices is None else catalog.prices.model_dump(mode="json"),
    )


def _agent(spec: AgentSpec) -> AgentAnswer:
    return AgentAnswer(
        name=spec.name,
        title=spec.title,
        language=spec.language,
        modality=spec.modality,
        listed=spec.public is not None and spec.public.listed,
        voice=spec.voice,
        voices=() if spec.public is None else spec.public.voices,
        stt=AgentModel(provider=spec.stt.provider, model=spec.stt.model),
        llm=AgentModel(provider=spec.llm.provider, model=spec.llm.model),
        tts=AgentModel(provider=spec.tts.provider, model=spec.tts.model),
        tools=tuple(name for tool in spec.tools for name in tool.names),
        effective=_effective(spec),
    )


def _effective(spec: AgentSpec) -> dict[str, Any]:
    # Those whom it may hand over to are agents of the list.
    effective = spec.model_dump(mode="json", exclude={"team", "personal"})
    for tool in effective["tools"]:
        headers = tool.get("headers") or {}
        for name, value in headers.items():
            if not environment_names(value):
                headers[name] = HIDDEN
    return effective
