"""The pages: the talk page and its embedded form, what they may offer, and the console."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from assistant.catalog import CatalogInForce
from token_service.answers import TalkAgent, TalkAnswer
from token_service.auth import Authenticator
from token_service.errors import (
    ConsoleMissingError,
    ConsoleOffError,
    TalkPageMissingError,
    TalkPageOffError,
)
from token_service.routes.context import answer, caller_of
from token_service.settings import ServiceSettings

# The build puts a hash of the content into each name, so that a name never means another file.
IMMUTABLE = "public, max-age=31536000, immutable"
# Other people's pages name embed.js, so its name stays; a new one is everywhere soon.
BRIEFLY = "public, max-age=300"
# Pages that are isolated from other origins may let these in all the same.
_FOR_OTHERS = {
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


class PageRoutes:
    def __init__(
        self,
        catalogs: CatalogInForce,
        settings: ServiceSettings,
        authenticator: Authenticator,
        headers: Mapping[str, str],
    ) -> None:
        self._catalogs = catalogs
        self._settings = settings
        self._authenticator = authenticator
        self._headers = dict(headers)
        self._on, self._key = settings.talk_page()
        self._index = Path(settings.web_dir) / "index.html"
        self._embed = Path(settings.web_dir) / "embed.js"

    async def talk(self, request: Request) -> Response:
        """What may be chosen, for who shows a key, and for the talk page, which is given its own.

        Raises:
            UnauthenticatedError: a key was shown, and it is none of ours.
            TalkPageOffError: none was shown, and there is no talk page.
        """
        shown = "authorization" in request.headers
        if shown:
            caller_of(request, self._authenticator)
        elif not self._on:
            raise TalkPageOffError
        return answer(
            TalkAnswer(
                key=self._key.key if self._key and not shown else None,
                url=self._settings.client_livekit_url,
                agents=[
                    TalkAgent(
                        name=agent.name,
                        title=agent.title,
                        voices=agent.voices,
                        voice=agent.voice,
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
        return _file(self._index, "text/html", self._headers)

    async def embedded(self, _request: Request) -> Response:
        """The same page for a frame: it shows the key that its embedder was given."""
        if not self._settings.embeds:
            raise TalkPageOffError
        return _file(self._index, "text/html", self._headers | _FOR_OTHERS)

    async def embed_script(self, _request: Request) -> Response:
        if not self._settings.embeds:
            raise TalkPageOffError
        return _file(self._embed, "text/javascript", {"Cache-Control": BRIEFLY} | _FOR_OTHERS)


def _file(path: Path, media_type: str, headers: Mapping[str, str]) -> Response:
    if not path.is_file():
        raise TalkPageMissingError
    return FileResponse(path, headers=dict(headers), media_type=media_type)


class ConsoleRoutes:
    """The console's page, which shows nothing without a key; its assets are Assets."""

    def __init__(
        self,
        settings: ServiceSettings,
        headers: Mapping[str, str],
        talk_headers: Mapping[str, str],
    ) -> None:
        self._is_on = settings.console == "on"
        self._headers = dict(headers)
        self._talk_headers = dict(talk_headers)
        self._index = Path(settings.web_dir) / "console" / "index.html"
        self._talk = Path(settings.web_dir) / "index.html"

    async def index(self, _request: Request) -> Response:
        if not self._is_on:
            raise ConsoleOffError
        if not self._index.is_file():
            raise ConsoleMissingError
        return FileResponse(self._index, headers=self._headers, media_type="text/html")

    async def talk(self, _request: Request) -> Response:
        """The talk page for a frame of the console, which hands it the operator's key."""
        if not self._is_on:
            raise ConsoleOffError
        return _file(self._talk, "text/html", self._talk_headers)


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
