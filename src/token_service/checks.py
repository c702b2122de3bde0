"""`GET /api/checks`: what this replica of the service thinks of its surroundings."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal

from assistant.catalog import CatalogInForce
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.recordings import Recordings, RecordingsError
from assistant.sessions.store.delivery_log import DeliveryLog
from assistant.sessions.store.figures import SessionFigures
from assistant.sessions.store.workers import Beat
from token_service.answers import Answer
from token_service.livekit_gateway import LiveKitGateway, LiveKitUnavailableError
from token_service.overview import Fleet, Overview, takes_jobs
from token_service.settings import ServiceSettings, is_loopback

PART_TIMEOUT_S = 4.0  # Longer than LiveKit takes to say that it does not know.
# However many consoles ask, the parts are asked every other second.
AGE_S = 2.0
# LiveKit tells of every room within seconds.
WEBHOOK_PATIENCE_S = 60.0
# Of the events of so long; a delivery is tried for a day before it is given up.
RECENT_S = 2 * 86_400.0
OVERDUE_S = 300.0

Status = Literal["ok", "warn", "fail"]


class CheckAnswer(Answer):
    name: str
    status: Status
    """`warn`: it works, and may not for long or not everywhere."""
    says: str
    remedy: str | None
    """What to do about it; null: nothing."""


class ChecksAnswer(Answer):
    at: float
    checks: list[CheckAnswer]


def _ok(name: str, says: str) -> CheckAnswer:
    return CheckAnswer(name=name, status="ok", says=says, remedy=None)


def _warn(name: str, says: str, remedy: str) -> CheckAnswer:
    return CheckAnswer(name=name, status="warn", says=says, remedy=remedy)


def _fail(name: str, says: str, remedy: str) -> CheckAnswer:
    return CheckAnswer(name=name, status="fail", says=says, remedy=remedy)


class Checks:
    """Never raises: what does not answer is a finding."""

    def __init__(
        self,
        *,
        settings: ServiceSettings,
        catalogs: CatalogInForce,
        figures: SessionFigures,
        fleet: Fleet,
        gateway: LiveKitGateway,
        overview: Overview,
        deliveries: DeliveryLog,
        recordings: Recordings | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._catalogs = catalogs
        self._figures = figures
        self._fleet = fleet
        self._gateway = gateway
        self._overview = overview
        self._deliveries = deliveries
        self._recordings = recordings
        self._clock = clock
        self._began_at = clock()
        self._asking = asyncio.Lock()
        self._last: ChecksAnswer | None = None

    async def run(self) -> ChecksAnswer:
        async with self._asking:
            if self._last is None or self._clock() >= self._last.at + AGE_S:
                found = await self._look()
                self._last = ChecksAnswer(at=self._clock(), checks=found)
            return self._last

    async def _look(self) -> list[CheckAnswer]:
        asked = (
            self._part("redis", self._redis),
            self._part("livekit", self._livekit),
            self._part("livekit webhooks", self._webhooks),
            self._part("workers", self._workers),
            self._part("webhooks out", self._endpoints),
            self._part("recordings", self._place),
        )
        found = [check for checks in await asyncio.gather(*asked) for check in checks]
        return [*found, *self._pages(), self._keys()]

    async def _part(
        self, name: str, look: Callable[[], Awaitable[list[CheckAnswer]]]
    ) -> list[CheckAnswer]:
        try:
            async with asyncio.timeout(PART_TIMEOUT_S):
                return await look()
        except TimeoutError:
            return [_fail(name, f"no answer within {PART_TIMEOUT_S:g} s", "see its log")]
        except StoreUnavailableError as error:
            if name == "redis":
                return [_fail(name, str(error), "start it, or correct REDIS_URL")]
            return [_fail(name, "not known without Redis", "see the check of redis")]

    async def _redis(self) -> list[CheckAnswer]:
        server = await self._figures.server()
        says = f"version {server.version}, answers in {server.latency_s * 1000:.1f} ms"
        return [_ok("redis", says)]

    async def _livekit(self) -> list[CheckAnswer]:
        try:
            await self._gateway.ping()
        except LiveKitUnavailableError as error:
            if error.status == 401:
                remedy = "give LIVEKIT_API_KEY and _SECRET that are in its `keys`"
                return [_fail("livekit", "it refuses our key", remedy)]
            return [_fail("livekit", error.detail, "start it, or correct LIVEKIT_URL")]
        return [_ok("livekit", f"answers at {self._settings.livekit_url}, and takes our key")]

    async def _webhooks(self) -> list[CheckAnswer]:
        name, now = "livekit webhooks", self._clock()
        if (last_at := self._overview.last_webhook_at) is not None:
            return [_ok(name, f"the last one came {now - last_at:.0f} s ago")]
        counts = await self._figures.counts()
        if not counts.slots or now < self._began_at + WEBHOOK_PATIENCE_S:
            return [_ok(name, "none yet, and none was due")]
        return [
            _warn(
                name,
                "none has come to this replica since it started, though there are sessions",
                "name this service's /livekit/webhook under `webhook.urls` of LiveKit",
            )
        ]

    async def _workers(self) -> list[CheckAnswer]:
        beats = await self._fleet.beats()
        if not beats:
            remedy = "start one with the same REDIS_URL and ASSISTANT_AGENT_NAME"
            return [_fail("workers", f"none named {self._settings.agent_name} beats", remedy)]
        taking = [beat for beat in beats if takes_jobs(beat)]
        if not taking:
            return [
                _fail("workers", "none is registered with LiveKit", "see their logs and /readyz")
            ]
        warm, free = sum(beat.warm for beat in taking), sum(beat.free for beat in taking)
        says = f"{len(taking)} ready for jobs, {free} places free, {warm} processes warm"
        if free == 0:
            remedy = "run more workers, or raise ASSISTANT_MAX_JOBS"
            return [_warn("workers", says, remedy), *_versions(taking)]
        return [_ok("workers", says), *_versions(taking)]

    async def _endpoints(self) -> list[CheckAnswer]:
        endpoints = self._settings.webhooks
        if not endpoints:
            return [_ok("webhooks out", "no endpoints are configured")]
        found = []
        for endpoint in endpoints:
            name = f"webhooks out: {endpoint.name}"
            standing = await self._deliveries.standing(endpoint.name, since_s=RECENT_S)
            waited_s = standing.waited_s or 0.0
            says = f"{standing.pending} wait, the oldest for {waited_s:.0f} s"
            if standing.dead:
                says = f"{standing.dead} of the last two days were given up; {says}"
            if standing.dead or waited_s > OVERDUE_S:
                remedy = "see what its deliveries say went wrong; replay them afterwards"
                found.append(_warn(name, says, remedy))
            else:
                found.append(_ok(name, says if standing.pending else "nothing waits"))
        return found

    async def _place(self) -> list[CheckAnswer]:
        wanting = [a.name for a in self._catalogs.now.agents.values() if a.recording.enabled]
        if self._recordings is None:
            if wanting:
                says = f"there is no place for them, and {', '.join(wanting)} records"
                return [_fail("recordings", says, "set ASSISTANT_RECORDINGS_URL")]
            return [_ok("recordings", "there is no place for them, and no agent records")]
        try:
            await self._recordings.reach()
        except RecordingsError as error:
            remedy = "see ASSISTANT_RECORDINGS_URL, and the credentials of its store"
            return [_fail("recordings", error.detail, remedy)]
        return [_ok("recordings", f"their place can be reached: {self._settings.recordings_url}")]

    def _pages(self) -> Iterator[CheckAnswer]:
        folder = Path(self._settings.web_dir)
        pages = (
            ("talk page", self._settings.talk_page()[0], folder / "index.html"),
            ("console", self._settings.console == "on", folder / "console" / "index.html"),
        )
        for name, is_on, file in pages:
            if not is_on:
                yield _ok(name, "off")
            elif file.is_file():
                yield _ok(name, "served")
            else:
                remedy = "build it with `make web`, or correct ASSISTANT_WEB_DIR"
                yield _fail(name, f"{file} is not there", remedy)

    def _keys(self) -> CheckAnswer:
        settings = self._settings
        if not settings.has_keys:
            if is_loopback(settings.http_host):
                return _ok("keys", "none; only this machine is answered")
            return _fail("keys", "none, and others can reach us", "set ASSISTANT_SECRET_KEYS")
        if not settings.secret_keys:
            return _warn(
                "keys",
                "no secret key: no backend can see sessions",
                "set ASSISTANT_SECRET_KEYS",
            )
        says = f"{len(settings.secret_keys)} secret, {len(settings.publishable_keys)} publishable"
        return _ok("keys", says)


def _versions(beats: list[Beat]) -> Iterator[CheckAnswer]:
    versions = sorted({beat.version for beat in beats})
    if len(versions) > 1:
        says = f"they run different versions: {', '.join(versions)}"
        yield _warn("workers' versions", says, "finish the rollout")
