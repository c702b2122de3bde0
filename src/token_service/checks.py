"""`GET /api/checks`: what this replica of the service thinks of its surroundings."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from assistant.catalog import CatalogInForce
from assistant.findings import Finding, Level, fail, ok, warn
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
# So many sessions that a webhook of theirs would have come here, if they came at all.
UNHEARD_SESSIONS = 3
# Of the events of so long; a delivery is tried for a day before it is given up.
RECENT_S = 2 * 86_400.0
OVERDUE_S = 300.0


class CheckAnswer(Answer):
    name: str
    status: Level
    """`warn`: it works, and may not for long or not everywhere."""
    says: str
    remedy: str | None
    """What to do about it; null: nothing."""


class ChecksAnswer(Answer):
    at: float
    checks: list[CheckAnswer]


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
                self._last = ChecksAnswer(
                    at=self._clock(),
                    checks=[
                        CheckAnswer(name=f.check, status=f.level, says=f.detail, remedy=f.remedy)
                        for f in found
                    ],
                )
            return self._last

    async def _look(self) -> list[Finding]:
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

    async def _part(self, name: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        try:
            async with asyncio.timeout(PART_TIMEOUT_S):
                return await look()
        except TimeoutError:
            return [fail(name, f"no answer within {PART_TIMEOUT_S:g} s", "see its log")]
        except StoreUnavailableError as error:
            if name == "redis":
                return [fail(name, str(error), "start it, or correct REDIS_URL")]
            return [fail(name, "not known without Redis", "see the check of redis")]

    async def _redis(self) -> list[Finding]:
        return await self._figures.examine()

    async def _livekit(self) -> list[Finding]:
        try:
            await self._gateway.ping()
        except LiveKitUnavailableError as error:
            if error.status == 401:
                remedy = "give LIVEKIT_API_KEY and _SECRET that are in its `keys`"
                return [fail("livekit", "it refuses our key", remedy)]
            return [fail("livekit", error.detail, "start it, or correct LIVEKIT_URL")]
        return [ok("livekit", f"answers at {self._settings.livekit_url}, and takes our key")]

    async def _webhooks(self) -> list[Finding]:
        """Each session makes LiveKit post several; with more replicas each gets its share."""
        name, now, last_at = "livekit webhooks", self._clock(), self._overview.last_webhook_at
        said = "none yet" if last_at is None else f"the last one came {now - last_at:.0f} s ago"
        quiet_since = self._began_at if last_at is None else last_at
        if await self._figures.joined(quiet_since, now) >= UNHEARD_SESSIONS:
            remedy = "name this service's /livekit/webhook under `webhook.urls` of LiveKit"
            return [warn(name, f"{said}, though agents have joined sessions since", remedy)]
        return [ok(name, said)]

    async def _workers(self) -> list[Finding]:
        beats = await self._fleet.beats()
        if not beats:
            remedy = "start one with the same REDIS_URL and ASSISTANT_AGENT_NAME"
            return [fail("workers", f"none named {self._settings.agent_name} beats", remedy)]
        taking = [beat for beat in beats if takes_jobs(beat)]
        if not taking:
            return [
                fail("workers", "none is registered with LiveKit", "see their logs and /readyz")
            ]
        warm, free = sum(beat.warm for beat in taking), sum(beat.free for beat in taking)
        says = f"{len(taking)} ready for jobs, {free} places free, {warm} processes warm"
        if free == 0:
            remedy = "run more workers, or raise ASSISTANT_MAX_JOBS"
            first = warn("workers", says, remedy)
        else:
            first = ok("workers", says)
        return [first, *_versions(taking), *_files(taking, self._catalogs.now.digest)]

    async def _endpoints(self) -> list[Finding]:
        endpoints = self._settings.webhooks
        if not endpoints:
            return [ok("webhooks out", "no endpoints are configured")]
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
                found.append(warn(name, says, remedy))
            else:
                found.append(ok(name, says if standing.pending else "nothing waits"))
        return found

    async def _place(self) -> list[Finding]:
        wanting = [a.name for a in self._catalogs.now.agents.values() if a.record == "audio"]
        if self._recordings is None:
            if wanting:
                says = f"there is no place for them, and {', '.join(wanting)} records"
                return [fail("recordings", says, "set ASSISTANT_RECORDINGS_URL")]
            return [ok("recordings", "there is no place for them, and no agent records")]
        try:
            await self._recordings.reach()
        except RecordingsError as error:
            remedy = "see ASSISTANT_RECORDINGS_URL, and the credentials of its store"
            return [fail("recordings", error.detail, remedy)]
        return [ok("recordings", f"their place can be reached: {self._settings.recordings_url}")]

    def _pages(self) -> Iterator[Finding]:
        folder = Path(self._settings.web_dir)
        pages = (
            ("talk page", self._settings.talk_page()[0], folder / "index.html"),
            ("console", self._settings.console == "on", folder / "console" / "index.html"),
        )
        for name, is_on, file in pages:
            if not is_on:
                yield ok(name, "off")
            elif file.is_file():
                yield ok(name, "served")
            else:
                remedy = "build it with `make web`, or correct ASSISTANT_WEB_DIR"
                yield fail(name, f"{file} is not there", remedy)

    def _keys(self) -> Finding:
        settings = self._settings
        if not settings.has_keys:
            if is_loopback(settings.http_host):
                return ok("keys", "none; only this machine is answered")
            return fail("keys", "none, and others can reach us", "set ASSISTANT_SECRET_KEYS")
        if not settings.secret_keys:
            return warn(
                "keys",
                "no secret key: no backend can see sessions",
                "set ASSISTANT_SECRET_KEYS",
            )
        says = f"{len(settings.secret_keys)} secret, {len(settings.publishable_keys)} publishable"
        return ok("keys", says)


def _versions(beats: list[Beat]) -> Iterator[Finding]:
    versions = sorted({beat.version for beat in beats})
    if len(versions) > 1:
        says = f"they run different versions: {', '.join(versions)}"
        yield warn("workers' versions", says, "finish the rollout")


def _files(beats: list[Beat], ours: str) -> Iterator[Finding]:
    others = sorted(beat.id for beat in beats if beat.catalog not in {None, ours})
    if others:
        says = f"{', '.join(others)} have another agents.yaml than this service"
        remedy = "give all the same file, then send each SIGHUP"
        yield warn("workers' agents.yaml", says, remedy)
