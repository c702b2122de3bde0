"""The HTTP application: its routes, its middleware, and its answers to errors."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from assistant.catalog import CatalogInForce
from assistant.sessions.recordings import Recordings
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.delivery_log import DeliveryLog
from assistant.sessions.store.idempotency import IdempotencyStore
from assistant.sessions.store.listing import SessionListing
from assistant.sessions.store.records import SessionStore
from token_service.auth import Authenticator
from token_service.board import Board
from token_service.checks import Checks
from token_service.event_streams import EventStreams
from token_service.exact_routes import CLIENT_GONE, ExactRoutes
from token_service.exchanges import Exchanges
from token_service.figures import Figures
from token_service.idempotency import HEADER as IDEMPOTENCY_HEADER
from token_service.idempotency import REPLAYED_HEADER, Idempotency
from token_service.listening import Listening
from token_service.live_control import LiveControl
from token_service.metrics import Metrics
from token_service.openapi import openapi
from token_service.overview import Overview
from token_service.problems import HANDLED, problem
from token_service.reference import reference, reference_headers
from token_service.routes.context import SESSION_KEY_HEADER
from token_service.routes.control import ControlRoutes
from token_service.routes.conversations import ConversationRoutes
from token_service.routes.deliveries import DeliveryRoutes
from token_service.routes.events import LAST_EVENT_ID_HEADER, EventRoutes
from token_service.routes.health import HealthRoutes
from token_service.routes.metrics import MetricsRoute
from token_service.routes.operator import OperatorRoutes
from token_service.routes.page import Assets, ConsoleRoutes, PageRoutes
from token_service.routes.sessions import SessionRoutes
from token_service.routes.webhook import WebhookRoute
from token_service.sealing import Seal
from token_service.security import (
    HostCheck,
    console_headers,
    console_talk_headers,
    hosts_to_answer,
    page_headers,
)
from token_service.service import SessionService
from token_service.settings import ServiceSettings
from token_service.webhooks import WebhookVerifier


@dataclass(frozen=True, slots=True)
class Backend:
    """What the routes call."""

    service: SessionService
    overview: Overview
    catalogs: CatalogInForce
    store: SessionStore
    listing: SessionListing
    idempotency: IdempotencyStore
    metrics: Metrics
    streams: EventStreams
    deliveries: DeliveryLog
    archive: Archive
    #: None: there is no place for recordings.
    recordings: Recordings | None
    control: LiveControl
    board: Board
    figures: Figures
    listening: Listening
    checks: Checks


def create_app(settings: ServiceSettings, backend: Backend) -> ASGIApp:
    """The application; whoever makes it runs the reconciler and closes the connections.

    Its layers are around Starlette, not inside it, whose own layers would cost each request more.
    """
    routes = _routes(settings, backend)
    hosts = hosts_to_answer(settings.allowed_hosts, has_keys=settings.has_keys)
    router = Starlette(
        routes=routes,
        exception_handlers={
            **dict.fromkeys((*HANDLED, HTTPException), _on_error),
            ClientDisconnect: _on_disconnect,
            Exception: _on_error,
        },
    )
    # A redirect would answer with the address that the request claimed.
    router.router.redirect_slashes = False
    app = _for_origins(ExactRoutes(router, routes=routes), settings.allowed_origins)
    if hosts:
        app = HostCheck(app, hosts=hosts)
    return Exchanges(app, figures=backend.metrics.http)


def _for_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """What lets pages of these origins call; without any, browsers let none without our saying."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST", "DELETE"),
        allow_headers=(
            "Authorization",
            "Content-Type",
            SESSION_KEY_HEADER,
            LAST_EVENT_ID_HEADER,
            IDEMPOTENCY_HEADER,
        ),
        expose_headers=(
            "Retry-After",
            "X-Request-Id",
            "X-Session-Id",
            SESSION_KEY_HEADER,
            REPLAYED_HEADER,
        ),
    )


def _routes(settings: ServiceSettings, backend: Backend) -> list[Route | Mount]:
    secret = settings.livekit_api_secret.get_secret_value()
    authenticator = Authenticator(settings.secret_keys, settings.publishable_keys)

    def default_agent() -> str | None:
        named = settings.agent_name in backend.catalogs.now.agents
        return None if named else settings.agent_name

    sessions = SessionRoutes(
        backend.service,
        backend.listing,
        authenticator,
        settings,
        default_agent=default_agent,
    )
    once = Idempotency(backend.idempotency, authenticator, Seal(secret)).wrap
    webhook = WebhookRoute(
        backend.service,
        WebhookVerifier(settings.livekit_api_key, secret),
        arrived=backend.overview.webhook_arrived,
    )
    events = EventRoutes(backend.streams, backend.store, authenticator)
    conversations = ConversationRoutes(
        backend.store, backend.archive, backend.recordings, authenticator
    )
    control = ControlRoutes(backend.control, authenticator)
    deliveries = DeliveryRoutes(backend.deliveries, settings.webhooks, authenticator)
    metrics = MetricsRoute(backend.metrics, authenticator)
    health = HealthRoutes(backend.overview, backend.streams, authenticator)
    headers = page_headers(settings.client_livekit_url, settings.allowed_origins)
    page = PageRoutes(backend.catalogs, settings, authenticator, headers)
    operator = OperatorRoutes(
        catalogs=backend.catalogs,
        figures=backend.figures,
        board=backend.board,
        listening=backend.listening,
        checks=backend.checks,
        authenticator=authenticator,
        settings=settings,
    )
    console = ConsoleRoutes(
        settings,
        console_headers(settings.client_livekit_url),
        console_talk_headers(settings.client_livekit_url),
    )
    description = openapi()
    explained = reference(json.loads(description))

    async def describe(_request: Request) -> Response:
        return Response(description, media_type="application/json")

    async def explain(_request: Request) -> Response:
        return Response(explained, headers=reference_headers(), media_type="text/html")

    routes: list[Route | Mount] = [
        Route("/api/token", once(sessions.token), methods=["POST"]),
        Route("/api/session/start", once(sessions.start), methods=["POST"]),
        Route("/api/session/end", once(sessions.end), methods=["POST"]),
        Route("/api/livekit/token", once(sessions.livekit_token), methods=["POST"]),
        Route("/api/sessions", sessions.index, methods=["GET"]),
        Route("/api/sessions/{session_id}", sessions.show, methods=["GET"]),
        Route("/api/sessions/{session_id}", sessions.erase, methods=["DELETE"]),
        Route("/api/sessions/{session_id}/events", events.of_session, methods=["GET"]),
        Route("/api/sessions/{session_id}/transcript", conversations.transcript, methods=["GET"]),
        Route("/api/sessions/{session_id}/recording", conversations.recording, methods=["GET"]),
        Route("/api/sessions/{session_id}/logs", conversations.logs, methods=["GET"]),
        Route("/api/sessions/{session_id}/report", conversations.report, methods=["GET"]),
        Route("/api/sessions/{session_id}/deliveries", deliveries.of_session, methods=["GET"]),
        Route("/api/sessions/{session_id}/say", once(control.say), methods=["POST"]),
        Route("/api/sessions/{session_id}/interrupt", once(control.interrupt), methods=["POST"]),
        Route("/api/sessions/{session_id}/context", once(control.context), methods=["POST"]),
        Route(
            "/api/sessions/{session_id}/instructions",
            once(control.instructions),
            methods=["POST"],
        ),
        Route("/api/sessions/{session_id}/agent", once(control.agent), methods=["POST"]),
        Route("/api/sessions/{session_id}/mute", once(control.mute), methods=["POST"]),
        Route("/api/sessions/{session_id}/listen", once(operator.listen), methods=["POST"]),
        Route("/api/agents", operator.agents, methods=["GET"]),
        Route("/api/figures", operator.figures, methods=["GET"]),
        Route("/api/overview/stream", operator.overview, methods=["GET"]),
        Route("/api/checks", operator.checks, methods=["GET"]),
        Route("/api/events", events.of_all, methods=["GET"]),
        Route("/api/deliveries", deliveries.index, methods=["GET"]),
        Route("/api/deliveries/{delivery_id}/replay", once(deliveries.replay), methods=["POST"]),
        Route("/livekit/webhook", webhook.receive, methods=["POST"]),
        Route("/livez", health.live, methods=["GET"]),
        Route("/readyz", health.ready, methods=["GET"]),
        Route("/health", health.health, methods=["GET"]),
        Route("/stats", health.stats, methods=["GET"]),
        Route("/metrics", metrics.show, methods=["GET"]),
        Route("/openapi.json", describe, methods=["GET"]),
        Route("/docs", explain, methods=["GET"]),
        Route("/api/talk", page.talk, methods=["GET"]),
        Route("/", page.index, methods=["GET"]),
        Route("/embed", page.embedded, methods=["GET"]),
        Route("/embed.js", page.embed_script, methods=["GET"]),
        Route("/console", console.index, methods=["GET"]),
        Route("/console/", console.index, methods=["GET"]),
        Route("/console/talk", console.talk, methods=["GET"]),
    ]
    if settings.talk_page()[0] or settings.embeds:
        routes.append(Mount("/assets", app=Assets(Path(settings.web_dir) / "assets")))
    if settings.console == "on":
        assets = Path(settings.web_dir) / "console" / "assets"
        routes.append(Mount("/console/assets", app=Assets(assets)))
    return routes


async def _on_error(_request: Request, error: Exception) -> Response:
    return problem(error)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)
