"""One running system for all acceptance tests; a failure shows the ends of its logs."""

from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.system import System, running_system


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The whole system, shared: a test that breaks a part starts one of its own."""
    async with running_system(tmp_path_factory.mktemp("system")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def alone(system: System) -> AsyncIterator[None]:
    """The shared worker rests, so that each test knows who serves its sessions."""
    part = system.supervisor["worker"].part
    await system.supervisor.stop("worker")
    yield
    await system.supervisor.start(part)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    running: Any = getattr(item, "funcargs", {}).get("system")
    if report.failed and running is not None:
        report.sections.append(("logs of the system", running.logs()))
    return report
