"""The SDK's AgentServer with our settings, and the process that forks its job processes."""

import os
from typing import Any

from livekit.agents import AgentServer
from livekit.agents.utils import http_context

from assistant import log
from assistant.catalog.catalog import Catalog
from assistant.settings import WorkerSettings
from assistant.worker.process import nursery
from assistant.worker.process.keeping import check_models
from assistant.worker.process.setup import catalog_of
from assistant.worker.providers import registry

# A cold machine needs a few seconds to import the SDK and map the models for the first process.
INITIALIZE_TIMEOUT_S = 30.0
# A job's last reports take up to 5 s, and what a language model makes of it 8 s.
SHUTDOWN_TIMEOUT_S = 20.0
# The SDK gives up after so many failed connects, and leaves. Staying, with a warm pool and an
# honest /readyz, brings jobs back sooner than any restart.
NEVER_GIVE_UP = 1_000_000
# What the SDK has its fork server import last; the second one freezes everything.
SDK_PRELOADS = ("livekit.agents.ipc._preload", "livekit.agents.ipc._preload_freeze")

_log = log.get(__name__)


def preload_modules(catalog: Catalog) -> list[str]:
    """What is imported once, so that every job process has it from birth."""
    return [*registry.modules_for(catalog.agents.values()), "assistant.worker.process.warmup"]


def standby_jobs(settings: WorkerSettings) -> int:
    """How many of the pool stand by; one process at least is left for jobs of other dispatchers.

    None where jobs share processes: one that waits would keep its house from leaving, and get a
    session though the house is to have no more.
    """
    if settings.jobs_per_process > 1:
        return 0
    return min(settings.standby_jobs, settings.prewarm_pool_size - 1)


def fork_nursery(settings: WorkerSettings, catalog: Catalog) -> None:
    """Import all that jobs need, and fork what makes their processes; before there is a loop.

    Raises:
        MissingExtraError: a provider's package is not installed.
        WeightsMissingError: a model that jobs share was not downloaded.
    """
    check_models(catalog)
    catalog_of(catalog.source)
    # As the SDK's server does when it runs, which is after the fork.
    os.environ["LIVEKIT_URL"] = settings.livekit_url
    http_context._set_default_cert_env()  # noqa: SLF001
    if not nursery.prepare([*preload_modules(catalog), *SDK_PRELOADS]):
        _log.info("nursery.begins_anew")


def build_server(settings: WorkerSettings, catalog: Catalog, **options: Any) -> AgentServer:
    """The SDK's server with our settings; `options` go to its constructor.

    Raises:
        MissingExtraError: a provider's package is not installed.
        WeightsMissingError: a model that jobs share was not downloaded.
    """
    check_models(catalog)
    return AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        num_idle_processes=settings.prewarm_pool_size - standby_jobs(settings),
        preload_modules=preload_modules(catalog),
        initialize_process_timeout=INITIALIZE_TIMEOUT_S,
        shutdown_process_timeout=SHUTDOWN_TIMEOUT_S,
        job_memory_limit_mb=settings.job_memory_limit_mb,
        # Slots are counted in `on_request`; any threshold here would refuse bursts before that.
        load_threshold=float("inf"),
        max_retry=NEVER_GIVE_UP,
        host="127.0.0.1",
        port=0,
        log_level=settings.log_level.replace("warning", "warn"),
        **options,
    )
