"""The catalog of a running process, and the changed file that takes its place."""

import time

from assistant import log
from assistant.catalog.catalog import Catalog
from assistant.catalog.errors import CatalogError

_log = log.get(__name__)


class CatalogInForce:
    """The catalog that new sessions get. Those that run keep what they started with."""

    def __init__(self, catalog: Catalog) -> None:
        self._now = catalog
        self._since = time.time()

    @property
    def now(self) -> Catalog:
        return self._now

    @property
    def since(self) -> float:
        """When it was read, in Unix seconds."""
        return self._since

    def replace(self, catalog: Catalog) -> None:
        """Another catalog is in force from here on."""
        before, self._now, self._since = self._now, catalog, time.time()
        _log.info(
            "catalog.replaced",
            digest=catalog.digest,
            previous=before.digest,
            agents=sorted(catalog.agents),
        )


def read_again(path: str) -> Catalog | None:
    """What the file says now; None: it is wrong, and the log has every problem."""
    try:
        return Catalog.load(path)
    except CatalogError as error:
        refuse(*(str(problem) for problem in error.problems))
        return None


def refuse(*problems: str) -> None:
    """Say why a changed file is not taken; the catalog in force stays."""
    for problem in problems:
        _log.error("catalog.problem", problem=problem)
    _log.error("catalog.refused", problems=len(problems))
