"""The worker's catalog: a changed agents.yaml takes its place while conversations run.

Jobs of sessions get their agent from the session's record. What idle job processes hold of the
catalog beside that is named by `held`, and only a change of it replaces them.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from assistant import log
from assistant.catalog.catalog import Catalog
from assistant.catalog.in_force import CatalogInForce, read_again, refuse
from assistant.catalog.tools import PythonTool
from assistant.errors import SettingsError
from assistant.hangup import Hangup
from assistant.worker.errors import MissingExtraError, RestartNeededError, WeightsMissingError
from assistant.worker.process.pool import Pool
from assistant.worker.process.preflight import check_keys
from assistant.worker.process.setup import Setup
from assistant.worker.providers import registry

_log = log.get(__name__)


def held(catalog: Catalog) -> tuple[Any, ...]:
    """What an idle job process has of the catalog: modules, functions, prices, the default agent.

    The default agent is for jobs that come without a session.
    """
    agents = catalog.agents.values()
    functions = {
        tool.function for agent in agents for tool in agent.tools if isinstance(tool, PythonTool)
    }
    return (
        registry.modules_for(agents),
        sorted(functions),
        catalog.prices,
        catalog.agents[catalog.default],
    )


def shared_models(catalog: Catalog) -> frozenset[str]:
    """The modules whose models run in one process for all jobs."""
    return registry.SHARED_MODELS.intersection(registry.modules_for(catalog.agents.values()))


def check_models(catalog: Catalog) -> None:
    """Refuse agents whose vendors' plugins or shared models are not on this host.

    Raises:
        MissingExtraError: a provider's package is not installed.
        WeightsMissingError: a model that jobs share was not downloaded.
    """
    registry.check_installed(catalog.agents.values())
    for module in shared_models(catalog):
        shared = registry.load(module)
        for agent in catalog.agents.values():
            shared.check(agent)


class CatalogKeeper:
    """Takes a changed file, or says why not; `setup` is what new job processes begin with.

    `on_taken` is called with each catalog that takes the place of the one before.
    """

    def __init__(
        self,
        path: str,
        catalog: Catalog,
        setup: Setup,
        pool: Pool,
        *,
        on_taken: Callable[[Catalog], None] = lambda _catalog: None,
    ) -> None:
        self._path = path
        self._in_force = CatalogInForce(catalog)
        self._setup = setup
        self._pool = pool
        self._on_taken = on_taken
        #: Their process is started with the worker, or never.
        self._shared_models = shared_models(catalog)

    @property
    def digest(self) -> str:
        """Of the catalog that idle job processes have."""
        return self._in_force.now.digest

    async def run(self, hangup: Hangup) -> None:
        """Read the file at each SIGHUP."""
        while True:
            await hangup.wait()
            catalog = await asyncio.to_thread(read_again, self._path)
            if catalog is not None:
                await self._take(catalog)

    async def _take(self, catalog: Catalog) -> None:
        before = self._in_force.now
        if catalog.digest == before.digest:
            _log.info("catalog.unchanged", digest=catalog.digest)
            return
        try:
            self._check(catalog)
        except SettingsError as error:
            refuse(*(str(problem) for problem in error.problems))
            return
        except (MissingExtraError, RestartNeededError, WeightsMissingError) as error:
            refuse(str(error))
            return
        self._setup.source = catalog.source
        if held(catalog) != held(before):
            why = await self._pool.renew()
            if why is not None:
                self._setup.source = before.source
                refuse(f"job processes do not get ready with it: {why}")
                return
        self._in_force.replace(catalog)
        self._on_taken(catalog)

    def _check(self, catalog: Catalog) -> None:
        check_keys(catalog, os.environ)
        for agent in catalog.agents.values():
            model = agent.turn_detection.model
            module = registry.TURN_DETECTION.get(model)
            if module in registry.SHARED_MODELS and module not in self._shared_models:
                raise RestartNeededError(agent.name, model)
        check_models(catalog)
