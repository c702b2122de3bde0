"""One replica of the service: its parts put together, run, and taken down in order."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address

import uvicorn

from assistant import log
from assistant.catalog import Catalog, CatalogInForce
from assistant.hangup import Hangup
from assistant.sessions.actions import Limits
from assistant.sessions.recordings import Recordings
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.client import connect
from assistant.sessions.store.commands import CommandStore
from assistant.sessions.store.delivery_log import DeliveryLog
from assistant.sessions.store.figures import SessionFigures
from assistant.sessions.store.glances import Glances
from assistant.sessions.store.idempotency import IdempotencyStore
from assistant.sessions.store.listing import SessionListing
from assistant.sessions.store.outbox import Outbox
from assistant.sessions.store.queue import DueQueue
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.standby import StandbyStore
from assistant.sessions.store.workers import WorkerRegistry
from token_service.announcing import announce_reports, forget_events
from token_service.app import Backend, create_app
from token_service.board import Board
from token_service.checks import Checks
from token_service.deadline import STORE_TIMEOUT_S
from token_service.deliveries import Deliverer
from token_service.event_feed import EventFeed, blocking_client
from token_service.event_streams import EventStreams
from token_service.figures import Figures
from token_service.listening import Listening
from token_service.live_control import LiveControl
from token_service.livekit_gateway import LiveKitGateway
from token_service.metrics import Metrics
from token_service.overview import Fleet, Overview
from token_service.rate_limit import KEEP_S, RateLimiter
from token_service.reconciler import Reconciler
from token_service.reloading import keep_current
from token_service.service import Parts, SessionService
from token_service.settings import ServiceSettings
from token_service.standby_keeper import StandbyKeeper
from token_service.tokens import Minter
from token_service.words_feed import WordsFeed

BACKLOG = 2048
# A connection that is open but idle costs a few kB; callers' pools then find it still there.
KEEP_ALIVE_S = 75
# Requests take milliseconds; what is still there after this long hangs.
GRACEFUL_SHUTDOWN_S = 5
STUCK_READER_MS = 30_000
# Beyond it new requests get 503 at once: each waits for one of 32 connections to Redis.
MAX_CONCURRENT = 2000

_log = log.get(__name__)


def listen(host: str, port: int) -> socket.socket:
    """The listening socket; `port` 0 takes a free one.

    Raises:
        OSError: the address is not ours, or the port is taken.
    """
    family = socket.AF_INET
    try:
        if isinstance(ip_address(host.strip("[]")), IPv6Address):
            family = socket.AF_INET6
    except ValueError:
        pass  # A name: IPv4, as before.
    listener = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections inherit it: one whose reader takes nothing any more is not kept for good.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_READER_MS)
    return listener


async def serve(
    settings: ServiceSettings,
    catalog: Catalog,
    listener: socket.socket,
    on_server: Callable[[uvicorn.Server], None],
    hangup: Hangup,
) -> None:
    """Serve until the server is told to exit. `on_server` gets it, for signals.

    `hangup` asks to read agents.yaml again.

    Raises:
        ExceptionGroup: the reconciler died, or what delivers events; nothing would move.
    """
    secret = settings.livekit_api_secret.get_secret_value()
    catalogs = CatalogInForce(catalog)
    redis = connect(settings.redis_url)
    gateway = LiveKitGateway(settings.livekit_url, settings.livekit_api_key, secret)
    bounds = Bounds(
        max_bots=settings.max_bots,
        queue_limit=settings.queue_limit,
        keep_s=settings.session_retention_s,
    )
    limits = Limits(
        startup_timeout_s=settings.bot_startup_timeout_s,
        queue_timeout_s=settings.queue_timeout_s,
        session_timeout_s=settings.session_timeout_s,
    )
    store, commands = SessionStore(redis, bounds), CommandStore(redis)
    figures = SessionFigures(redis)
    due = DueQueue(redis)
    workers = WorkerRegistry(redis, keep_s=settings.session_retention_s)
    fleet = Fleet(workers, settings.agent_name)
    standby = StandbyStore(redis)
    keeper = StandbyKeeper(
        store=standby,
        fleet=fleet,
        gateway=gateway,
        room_prefix=settings.room_prefix,
        agent_name=settings.agent_name,
    )
    reconciler = Reconciler(
        store=store,
        due=due,
        workers=workers,
        standby=standby,
        gateway=gateway,
        limits=limits,
        room_prefix=settings.room_prefix,
        agent_name=settings.agent_name,
    )
    recordings = None
    if settings.recordings_url is not None:
        recordings = Recordings(settings.recordings_url, endpoint=settings.recordings_endpoint)
    minter = Minter(settings.livekit_api_key, secret, ttl_s=settings.token_ttl_s)
    service = SessionService(
        Parts(
            store=store,
            glances=Glances(redis, counters_keep_s=KEEP_S, within_s=STORE_TIMEOUT_S),
            commands=commands,
            figures=figures,
            due=due,
            fleet=fleet,
            catalogs=catalogs,
            gateway=gateway,
            minter=minter,
            limiter=RateLimiter(limit=settings.rate_limit),
            poke=reconciler.poke,
            settings=settings,
            limits=limits,
            recordings=recordings,
        )
    )
    archive = Archive(redis)
    feed = EventFeed(blocking_client(settings.redis_url))
    words = WordsFeed(blocking_client(settings.redis_url))
    deliverer = Deliverer(
        Outbox(redis), settings.webhooks, allow_internal=settings.webhooks_allow_internal
    )
    overview = Overview(figures, store, fleet, gateway, settings, catalogs=catalogs)
    board, deliveries = Board(overview), DeliveryLog(redis)
    backend = Backend(
        service=service,
        overview=overview,
        catalogs=catalogs,
        store=store,
        listing=SessionListing(redis),
        idempotency=IdempotencyStore(redis),
        metrics=Metrics(
            figures, fleet, max_bots=settings.max_bots, queue_limit=settings.queue_limit
        ),
        streams=EventStreams(redis, feed, words),
        deliveries=deliveries,
        archive=archive,
        recordings=recordings,
        control=LiveControl(commands, store, catalogs, feed),
        board=board,
        figures=Figures(figures),
        listening=Listening(store, minter),
        checks=Checks(
            settings=settings,
            catalogs=catalogs,
            figures=figures,
            fleet=fleet,
            gateway=gateway,
            overview=overview,
            deliveries=deliveries,
            recordings=recordings,
        ),
    )
    server = _server(settings, backend, (feed, board))
    on_server(server)
    address, port = listener.getsockname()[:2]
    _log.info("service.listening", host=address, port=port, keys=settings.has_keys)
    try:
        async with gateway, asyncio.TaskGroup() as group:
            reconciling = group.create_task(reconciler.run(), name="reconciler")
            keeping = group.create_task(keeper.run(), name="standby")
            following = group.create_task(feed.run(), name="event feed")
            hearing = group.create_task(words.run(), name="words")
            showing = group.create_task(board.run(), name="overview")
            delivering = group.create_task(deliverer.run(), name="webhooks")
            announcing = group.create_task(announce_reports(archive), name="reports")
            retention_s = settings.session_retention_s
            forgetting = group.create_task(forget_events(archive, retention_s), name="forget")
            hangup.follow(server.stop)
            reloading = group.create_task(
                keep_current(catalogs, settings.agents_file, hangup), name="agents.yaml"
            )
            await server.serve(sockets=[listener])
            for task in (
                reconciling,
                keeping,
                following,
                hearing,
                showing,
                delivering,
                announcing,
                forgetting,
                reloading,
            ):
                task.cancel()
    finally:
        await redis.aclose()
        _log.info("service.stopped")


class _Server(uvicorn.Server):
    """Ends the event streams first: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, streaming: Sequence[EventFeed | Board]) -> None:
        super().__init__(config)
        self._streaming = streaming

    def stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for source in self._streaming:
            source.close()
        await super().shutdown(sockets)


def _server(
    settings: ServiceSettings, backend: Backend, streaming: Sequence[EventFeed | Board]
) -> _Server:
    return _Server(
        uvicorn.Config(
            create_app(settings, backend),
            http="httptools",
            ws="none",
            # The reconciler lives around the server, so that its death is not overlooked.
            lifespan="off",
            log_config=None,
            log_level="warning",  # its own words about starting and stopping repeat ours
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONCURRENT,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
            backlog=BACKLOG,
        ),
        streaming,
    )
