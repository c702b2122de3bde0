"""agents.yaml: what agents there are, and what a session may change of them."""

from assistant.catalog.agent import AgentSettings, AgentSpec, Limits, Public, Voice
from assistant.catalog.catalog import AgentsFile, Catalog, ListedAgent
from assistant.catalog.environment import EnvRequirement, required_environment
from assistant.catalog.errors import (
    AgentCatalogError,
    CatalogError,
    OverrideError,
    OverrideNotAllowedError,
    Problem,
    UnknownAgentError,
    UnknownVoiceError,
)
from assistant.catalog.explain import Finding, explain
from assistant.catalog.in_force import CatalogInForce, read_again
from assistant.catalog.overrides import Overrides
from assistant.catalog.schema import json_schema

__all__ = [
    "AgentCatalogError",
    "AgentSettings",
    "AgentSpec",
    "AgentsFile",
    "Catalog",
    "CatalogError",
    "CatalogInForce",
    "EnvRequirement",
    "Finding",
    "Limits",
    "ListedAgent",
    "OverrideError",
    "OverrideNotAllowedError",
    "Overrides",
    "Problem",
    "Public",
    "UnknownAgentError",
    "UnknownVoiceError",
    "Voice",
    "explain",
    "json_schema",
    "read_again",
    "required_environment",
]
