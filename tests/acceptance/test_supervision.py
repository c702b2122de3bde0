"""Faults that hit many sessions at once: each record is true soon after, and nothing is left."""

import json
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.acceptance import rows
from tests.acceptance.system import System, running_system
from tests.acceptance.webhook_post import WebhookPost

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def post() -> AsyncIterator[WebhookPost]:
    async with WebhookPost(seed=1).open() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(
    tmp_path_factory: pytest.TempPathFactory, post: WebhookPost
) -> AsyncIterator[System]:
    """Two workers, and LiveKit's webhooks in our hands."""
    folder = tmp_path_factory.mktemp("supervision")
    rows.write_agents(folder / "agents.yaml")
    environ = {
        "ASSISTANT_AGENTS_FILE": str(folder / "agents.yaml"),
        "PREWARM_POOL_SIZE": "2",
        "ASSISTANT_RATE_LIMIT": "1000",
    }
    async with running_system(folder, environ=environ, webhook_port=post.port) as running:
        post.target = running.service_url
        await rows.add_workers(running, 1)
        yield running


@pytest.fixture
def seed() -> int:
    """A new one each time, shown when a test fails."""
    return random.randrange(1_000_000)  # noqa: S311 - it places faults in time


def show(row: str, seed: int | None, figures: rows.Figures) -> None:
    print(json.dumps({"row": row, "seed": seed, **figures}))  # noqa: T201 - the record of the run


async def test_starts_under_kills_get_one_agent_or_a_named_failure(
    system: System, seed: int
) -> None:
    """20 starts while workers are killed (-9): one agent each, and nothing is left behind."""
    figures = await rows.starts_under_kills(system, n=20, at_once=5, seed=seed)
    show("starts", seed, figures)
    assert figures["kills"]


async def test_livekit_that_was_killed_finds_its_sessions_true(system: System) -> None:
    """LiveKit is killed (-9) and comes back: within 15 s each record is true of its room."""
    show("livekit", None, await rows.livekit_restarts(system))


async def test_redis_that_was_killed_finds_its_sessions_true(system: System) -> None:
    """Our Redis is killed (-9): requests get 503, talk goes on, no agent is replaced for it."""
    show("redis", None, await rows.redis_restarts(system))


async def test_a_killed_replica_keeps_its_promises(system: System, seed: int) -> None:
    """A replica is killed (-9) amid starts: what it answered becomes true, and retries are safe."""
    show("replica", seed, await rows.replica_dies(system, n=8, seed=seed))


async def test_lost_and_doubled_webhooks_change_no_fate(system: System, post: WebhookPost) -> None:
    """Sessions end alike with LiveKit's webhooks as sent, all lost, or all doubled and shuffled."""
    expected = {
        "leaves": ("ended", "user_left"),
        "never_comes": ("ended", "user_never_joined"),
        "deleted": ("ended", "room_deleted"),
        "ended": ("ended", "user_requested"),
    }
    for mode in ("plain", "lost", "doubled"):
        before = post.handled[mode]
        assert await rows.fates(system, mode) == expected, mode
        assert post.handled[mode] > before, "LiveKit sent none, which proves nothing"
