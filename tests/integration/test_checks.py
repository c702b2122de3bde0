"""The service's own view of its surroundings, on a real Valkey, with a clock that is set."""

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from assistant.catalog import Catalog, CatalogInForce
from assistant.findings import Level
from assistant.local_stack.ports import HOST, free_port
from assistant.sessions.recordings import Recordings
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.delivery import DeliveryStatus, score_at
from assistant.sessions.store.delivery_log import DeliveryLog
from assistant.sessions.store.figures import SessionFigures
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.workers import WorkerRegistry
from tests.integration.events_world import SECRET, live
from tests.integration.http_stack import PROJECT
from tests.integration.session_servers import beat, running_valkey
from token_service.checks import CheckAnswer, Checks
from token_service.livekit_gateway import LiveKitGateway
from token_service.overview import Fleet, Overview
from token_service.settings import ServiceSettings, read_settings

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with running_valkey(tmp_path) as url, connect(url) as client:
        yield client


@pytest_asyncio.fixture
async def world(redis: Redis, tmp_path: Path) -> AsyncIterator["World"]:
    made = World(redis, tmp_path)
    async with made.gateway:
        yield made


class World:
    """A service's checks, two seconds later at each look."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self.now = time.time()
        self.folder = folder / "recordings"
        self.settings: ServiceSettings = read_settings(
            {
                "LIVEKIT_URL": f"ws://{HOST}:{free_port()}",
                "LIVEKIT_API_KEY": "key",
                "LIVEKIT_API_SECRET": "s" * 48,
                "ASSISTANT_WEB_DIR": str(folder / "web"),
                "ASSISTANT_PUBLISHABLE_KEYS": "page:0123456789abcdef",
                "ASSISTANT_WEBHOOKS": f'[{{"name":"crm","url":"https://x.test","secret":"{SECRET}"}}]',
            }
        )
        secret = self.settings.livekit_api_secret.get_secret_value()
        gateway = self.gateway = LiveKitGateway(self.settings.livekit_url, "key", secret)
        figures = SessionFigures(redis)
        bounds = Bounds(max_bots=9, queue_limit=9, keep_s=3600.0)
        self.store = SessionStore(redis, bounds, clock=lambda: self.now)
        self.workers = WorkerRegistry(redis, keep_s=3600.0)
        fleet = Fleet(self.workers, self.settings.agent_name)
        self.catalogs = CatalogInForce(Catalog.load(PROJECT / "agents.yaml"))
        self.overview = Overview(
            figures, self.store, fleet, gateway, self.settings, catalogs=self.catalogs
        )
        self.checks = Checks(
            settings=self.settings,
            catalogs=self.catalogs,
            figures=figures,
            fleet=fleet,
            gateway=gateway,
            overview=self.overview,
            deliveries=DeliveryLog(redis, clock=lambda: self.now),
            recordings=Recordings(f"file://{self.folder}"),
            clock=lambda: self.now,
        )

    async def look(self) -> dict[str, CheckAnswer]:
        self.now += 2
        return {check.name: check for check in (await self.checks.run()).checks}


async def test_what_is_wrong_is_named_with_its_remedy(redis: Redis, world: World) -> None:
    """Each thing that can be wrong is told when it is, and only then; it all comes in one look."""
    told = await world.look()
    assert (told["redis"].status, told["redis persistence"].status) == (Level.OK, Level.OK)
    assert told["livekit"].status is Level.FAIL
    assert told["workers"].says == "none named assistant beats"
    assert told["webhooks out: crm"].status is Level.OK
    assert told["recordings"].status is Level.OK
    assert (told["talk page"].says, told["console"].status) == ("off", Level.FAIL)
    assert told["keys"].says.startswith("no secret key")
    assert told["livekit webhooks"].status is Level.OK

    ours = world.catalogs.now.digest
    await world.workers.beat(beat("a", jobs=10, version="1", catalog=ours))
    await world.workers.beat(beat("b", jobs=10, version="2", catalog="another"))
    waiting = keys.endpoint_deliveries("crm", DeliveryStatus.PENDING)
    given_up = keys.endpoint_deliveries("crm", DeliveryStatus.DEAD)
    await redis.zadd(waiting, {"new": score_at(world.now), "old": score_at(world.now - 400)})
    await redis.zadd(
        given_up, {"one": score_at(world.now - 90_000), "long ago": score_at(world.now - 300_000)}
    )
    shutil.rmtree(world.folder)
    told = await world.look()
    assert told["workers"].status is Level.WARN
    assert "0 places free" in told["workers"].says
    assert told["workers' versions"].says == "they run different versions: 1, 2"
    assert told["workers' agents.yaml"].says.startswith("b have another agents.yaml")
    out = told["webhooks out: crm"]
    assert out.status is Level.WARN
    assert out.says == ("1 of the last two days were given up; 2 wait, the oldest for 402 s")
    assert told["recordings"].status is Level.FAIL
    assert all(check.remedy for check in told.values() if check.status is not Level.OK)
    assert not any(check.remedy for check in told.values() if check.status is Level.OK)


async def test_webhooks_that_do_not_come_are_missed(world: World) -> None:
    """Once agents have joined some sessions, LiveKit's silence is told; its word ends that."""
    world.now += 60
    for n in range(3):
        await live(world.store, f"s{n}")
    world.now += 60
    assert (await world.look())["livekit webhooks"].status is Level.WARN
    world.overview.webhook_arrived(world.now)
    told = (await world.look())["livekit webhooks"]
    assert (told.status, told.says) == (Level.OK, "the last one came 2 s ago")
