"""`python -m token_service`: the command line, nothing else."""

import gc
import os
import signal
import sys
from types import FrameType

import dotenv
import uvicorn
import uvloop

from assistant import log
from assistant.catalog import Catalog, CatalogError
from assistant.errors import SettingsError
from assistant.hangup import Hangup
from assistant.sessions.recordings import RecordingsError
from assistant.settings import OLDER_NAMES
from token_service.serving import listen, serve
from token_service.settings import read_settings

EXIT_STOPPED, EXIT_FAILED, EXIT_MISCONFIGURED = 0, 1, 2

YOUNG_OBJECTS = 10_000  # some ten times those of the busiest moment's requests

_log = log.get(__name__)


def main() -> int:
    """Serve until SIGINT or SIGTERM; the exit status. SIGHUP reads agents.yaml again."""
    stop, hangup = _Stop(), Hangup()
    try:
        settings = read_settings({**_env_file(), **os.environ})
        log.configure(level=settings.log_level, style=settings.log_format)
        catalog = Catalog.load(settings.agents_file)
    except (SettingsError, CatalogError) as error:
        print(f"token_service cannot start:\n{error}", file=sys.stderr)  # noqa: T201
        return EXIT_MISCONFIGURED
    for name in sorted(OLDER_NAMES & os.environ.keys()):
        _log.warning("setting.ignored", variable=name)
    try:
        listener = listen(settings.http_host, settings.http_port)
    except OSError as error:
        where = f"{settings.http_host}:{settings.http_port}"
        print(f"token_service cannot listen on {where}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    if stop.asked:
        return EXIT_STOPPED
    _spare_the_collector()
    try:
        uvloop.run(serve(settings, catalog, listener, stop.watch, hangup))
    except RecordingsError as error:
        print(f"token_service cannot start: ASSISTANT_RECORDINGS_URL: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_MISCONFIGURED
    except ExceptionGroup:
        _log.exception("service.crashed")
        return EXIT_FAILED
    return EXIT_STOPPED


def _spare_the_collector() -> None:
    """Have garbage collected seldom, and nothing that was there from the start looked at again.

    A request leaves few cycles, but hundreds of objects behind it while others are under way.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


class _Stop:
    """SIGINT and SIGTERM before and after uvicorn watches for them; it raises them once more."""

    def __init__(self) -> None:
        self.asked = False
        self._server: uvicorn.Server | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def watch(self, server: uvicorn.Server) -> None:
        self._server = server
        server.should_exit = self.asked

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._server is not None:
            self._server.should_exit = True


def _env_file() -> dict[str, str]:
    return {name: value for name, value in dotenv.dotenv_values(".env").items() if value}


if __name__ == "__main__":
    sys.exit(main())
