"""What every job process begins with; each gets it as it is when the process is started."""

import os
from dataclasses import dataclass
from functools import lru_cache

from livekit.agents import JobProcess

from assistant.catalog.catalog import Catalog
from assistant.catalog.tools import PythonTool
from assistant.settings import WorkerSettings, read
from assistant.worker.process import first_join
from assistant.worker.providers import registry
from assistant.worker.tools import python_function

_KIT = "kit"


@dataclass(frozen=True)
class Kit:
    """What a job process has ready before a job comes."""

    settings: WorkerSettings
    #: Of this, jobs of sessions use nothing but what `keeping.held` names.
    catalog: Catalog
    #: The agent of jobs that come without a session (`connect`, SIP rules, other dispatchers).
    default_agent: str
    #: The name under which the worker beats.
    worker: str
    #: Where the end-of-turn model answers; None: each job has it itself.
    turn_model: str | None


@lru_cache(maxsize=1)
def catalog_of(source: str) -> Catalog:
    """The catalog; what was read before the fork is every process's."""
    return Catalog.from_source(source)


def kit_of(process: JobProcess) -> Kit:
    """What Setup has put there."""
    kit: Kit = process.userdata[_KIT]
    return kit


@dataclass
class Setup:
    """Sent to each new job process, and called there.

    `source` is that of the catalog in force: no process reads agents.yaml by itself, so that a
    file which is wrong, or half written, keeps none of them from getting ready.
    `worker` is the name under which the worker beats; `default_agent` talks in jobs that come
    without a session, None: the catalog's default. `turn_model` is the address of the model that
    conversations share. `awaited`: a job waits for the process, and is better off without what
    takes more time than it saves.
    """

    worker: str
    source: str
    default_agent: str | None = None
    turn_model: str | None = None
    awaited: bool = False

    def __call__(self, process: JobProcess) -> None:
        """Load everything that a job would otherwise load while a caller waits."""
        settings = read(WorkerSettings, os.environ)
        catalog = catalog_of(self.source)
        for module in registry.modules_for(catalog.agents.values()):
            registry.load(module)
        for tool in (tool for agent in catalog.agents.values() for tool in agent.tools):
            if isinstance(tool, PythonTool):
                python_function.load(tool)
        if not self.awaited:
            first_join.rehearse()
        default = self.default_agent or catalog.default
        process.userdata[_KIT] = Kit(settings, catalog, default, self.worker, self.turn_model)
