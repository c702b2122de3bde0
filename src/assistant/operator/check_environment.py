"""Are the settings, agents.yaml and the vendors' keys there? Nothing is asked over the network."""

from collections.abc import Iterator, Mapping

from assistant.catalog.catalog import Catalog
from assistant.catalog.environment import required_environment
from assistant.catalog.errors import CatalogError
from assistant.errors import SettingsError
from assistant.findings import Finding, fail, ok, warn
from assistant.settings import WorkerSettings, read


def read_settings(environ: Mapping[str, str]) -> tuple[WorkerSettings | None, list[Finding]]:
    """The settings as a worker reads them, and what is wrong with them; None: unreadable."""
    try:
        settings = read(WorkerSettings, environ)
    except SettingsError as error:
        remedy = "set them as docs/configuration.md says"
        return None, [
            fail(
                "settings",
                f"{problem.name} {problem.message}",
                problem.remedy or remedy,
            )
            for problem in error.problems
        ]
    return settings, [ok("settings", f"readable; LiveKit at {settings.livekit_url}")]


def check_agents(
    settings: WorkerSettings, environ: Mapping[str, str], *, has_stand_ins: bool
) -> Iterator[Finding]:
    """agents.yaml, and the keys that its agents need."""
    try:
        catalog = Catalog.load(settings.agents_file)
    except CatalogError as error:
        yield fail("agents.yaml", str(error), "correct the lines that it names")
        return
    yield ok("agents.yaml", f"{', '.join(catalog.agents)}; default {catalog.default}")
    missing: dict[tuple[str, bool], list[str]] = {}
    for agent in catalog.agents.values():
        for requirement in required_environment(agent):
            if not requirement.is_met(environ):
                stands_in = has_stand_ins and requirement.has_stand_in
                key = (" or ".join(requirement.names), stands_in)
                missing.setdefault(key, []).append(agent.name)
    if not missing:
        yield ok("vendor keys", "every agent has those that it needs")
    for (names, stands_in), agents in sorted(missing.items()):
        told = f"{names} is not set; needed by {', '.join(agents)}"
        if stands_in:
            yield warn("vendor keys", told, "a stand-in takes the vendor's place; set it for real")
        else:
            yield fail("vendor keys", told, "set it")
