"""Prometheus's page."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from token_service.auth import Authenticator
from token_service.metrics import Metrics
from token_service.routes.context import caller_of


class MetricsRoute:
    def __init__(self, metrics: Metrics, authenticator: Authenticator) -> None:
        self._metrics = metrics
        self._authenticator = authenticator

    async def show(self, request: Request) -> Response:
        caller_of(request, self._authenticator).require_secret()
        return Response(await self._metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
