"""The pages: what the talk page may offer, and the files of it and of the operator's console."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from assistant.catalog import CatalogInForce
from token_service.answers import TalkAgent, TalkAnswer
from token_service.errors import (
    ConsoleMissingError,
    ConsoleOffError,
    TalkPageMissingError,
    TalkPageOffError,
)
from token_service.routes.context import answer
from token_service.settings import ServiceSettings

# The build puts a hash of the content into each name, so that a name never means another file.
IMMUTABLE = "public, max-age=31536000, immutable"


class PageRoutes:
    def __init__(
        self, catalogs: CatalogInForce, settings: ServiceSettings, headers: Mapping[str, str]
    ) -> None:
        self._catalogs = catalogs
        self._settings = settings
        self._headers = dict(headers)
        self._on, self._key = settings.talk_page()
        self._index = Path(settings.web_dir) / "index.html"

    async def talk(self, _request: Request) -> Response:
        if not self._on:
            raise TalkPageOffError
        return answer(
            TalkAnswer(
                key=self._key.key if self._key else None,
                agents=[
                    TalkAgent(
                        name=agent.name,
                        title=agent.title,
                        voices=agent.voices,
                        default=agent.default,
                    )
                    for agent in self._catalogs.now.listed()
                ],
                start_timeout=self._settings.bot_startup_timeout_s,
            )
        )

    async def index(self, _request: Request) -> Response:
        if not self._on:
            raise TalkPageOffError
        if not self._index.is_file():
            raise TalkPageMissingError
        return FileResponse(self._index, headers=self._headers, media_type="text/html")


class ConsoleRoutes:
    """The console's page, which shows nothing without a key; its assets are Assets."""

    def __init__(self, settings: ServiceSettings, headers: Mapping[str, str]) -> None:
        self._is_on = settings.console == "on"
        self._headers = dict(headers)
        self._index = Path(settings.web_dir) / "console" / "index.html"

    async def index(self, _request: Request) -> Response:
        if not self._is_on:
            raise ConsoleOffError
        if not self._index.is_file():
            raise ConsoleMissingError
        return FileResponse(self._index, headers=self._headers, media_type="text/html")


class Assets:
    """ASGI app: the files of one folder, which browsers may keep for good."""

    def __init__(self, folder: Path) -> None:
        # Looked up at each request, so that the page may be built while we run. It resolves
        # links and refuses whatever lies outside the folder.
        self._files = StaticFiles(directory=folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._files.get_response(self._files.get_path(scope), scope)
        if response.status_code in {200, 304}:
            response.headers["Cache-Control"] = IMMUTABLE
        await response(scope, receive, send)
