"""What must be true before a worker starts: a readable agents.yaml, and every key it needs."""

from collections.abc import Mapping

from assistant.catalog.catalog import Catalog
from assistant.catalog.environment import required_environment
from assistant.errors import SettingProblem, SettingsError


def check_keys(catalog: Catalog, environ: Mapping[str, str]) -> None:
    """Refuse to start without the keys that the agents' vendors need.

    Raises:
        SettingsError: names each missing variable, and the agents that need it.
    """
    needed: dict[str, list[str]] = {}
    for agent in catalog.agents.values():
        for requirement in required_environment(agent):
            if not requirement.is_met(environ):
                needed.setdefault(" or ".join(requirement.names), []).append(agent.name)
    if needed:
        raise SettingsError(
            tuple(
                SettingProblem(
                    names,
                    f"is not set, and needed by agent {', '.join(agents)}",
                    "set it, or take what needs it out of agents.yaml",
                )
                for names, agents in sorted(needed.items())
            )
        )
