"""Where recordings lie: a folder, or a bucket of an S3-compatible store.

Credentials of a bucket come from the environment (`AWS_ACCESS_KEY_ID` and the like) or from the
host's role, as the AWS tools find them. Source: obstore 0.12, `store.S3Store`.

The calls run in threads: with obstore's own coroutines one process in twelve was aborted at its
exit (measured, obstore 0.12.1 with Python 3.11).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from assistant.errors import AssistantError

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, S3Config

# An upload holds two parts in memory.
PART_BYTES = 5 * 1024 * 1024
PARTS_AT_ONCE = 2
READ_BYTES = 256 * 1024
MAX_RETRIES = 5
RETRY_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
PROBE_PREFIX = "~/"  # No session's id has such a character.


class RecordingsError(AssistantError):
    """The place of the recordings did not take, give or delete one."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"recordings: {self.detail}"


class RecordingMissingError(RecordingsError):
    """There is no such recording."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording that is being read: its size in bytes, and its chunks."""

    size: int
    chunks: AsyncIterator[bytes]


class Recordings:
    """All recordings; methods raise RecordingsError."""

    def __init__(
        self, url: str, *, endpoint: str | None = None, retries: int = MAX_RETRIES
    ) -> None:
        """`url` is `file:///folder` or `s3://bucket/prefix`; `endpoint`: None, AWS's own.

        Raises:
            RecordingsError: there can be no such place.
        """
        self._url = url.rstrip("/")
        parts = urlsplit(url)
        self._folder = Path(parts.path) if parts.scheme == "file" else None
        try:
            if self._folder is not None:
                self._store: LocalStore | S3Store = LocalStore(
                    self._folder, mkdir=True, automatic_cleanup=True
                )
            else:
                self._store = _bucket(parts.netloc, parts.path.strip("/"), endpoint, retries)
        except (BaseError, OSError, ValueError) as error:
            raise RecordingsError(_short(error)) from error

    def address(self, key: str) -> str:
        """Where that is, for people and other tools."""
        return f"{self._url}/{key}"

    async def put(self, session_id: str, attempt: int, file: Path) -> str:
        """Store a file in place of what was there; returns its key."""
        key = _key(session_id, attempt)
        try:
            await asyncio.to_thread(
                obstore.put,
                self._store,
                key,
                file,
                attributes={"Content-Type": "audio/ogg"} if self._takes_types else None,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
        except (BaseError, OSError) as error:
            raise RecordingsError(_short(error)) from error
        return key

    async def get(self, session_id: str, attempt: int) -> Sound:
        """Open a recording.

        Raises:
            RecordingMissingError: there is none of that attempt.
        """
        try:
            found = await asyncio.to_thread(obstore.get, self._store, _key(session_id, attempt))
        except (NotFoundError, FileNotFoundError) as error:
            raise RecordingMissingError(_key(session_id, attempt)) from error
        except (BaseError, OSError) as error:
            raise RecordingsError(_short(error)) from error
        return Sound(found.meta["size"], _chunks(found))

    async def reach(self) -> None:
        """Ask the place for something small, and for nobody's recording."""
        if self._folder is not None and not self._folder.is_dir():
            raise RecordingsError("the folder is not there")
        try:
            await asyncio.to_thread(self._listed, PROBE_PREFIX)
        except (BaseError, OSError) as error:
            raise RecordingsError(_short(error)) from error

    async def erase(self, session_id: str) -> int:
        """Delete every recording of a session; how many there were."""
        try:
            return await asyncio.to_thread(self._erase, session_id)
        except (NotFoundError, FileNotFoundError):
            return 0  # somebody else was faster
        except (BaseError, OSError) as error:
            raise RecordingsError(_short(error)) from error

    def _erase(self, session_id: str) -> int:
        keys = self._listed(f"{session_id}/")
        if keys:
            obstore.delete(self._store, keys)
        return len(keys)

    def _listed(self, prefix: str) -> list[str]:
        listed = obstore.list(self._store, prefix=prefix)
        return [entry["path"] for batch in listed for entry in batch]

    @property
    def _takes_types(self) -> bool:
        return isinstance(self._store, S3Store)


def _bucket(name: str, prefix: str, endpoint: str | None, retries: int) -> S3Store:
    client: ClientConfig = {
        "timeout": timedelta(seconds=REQUEST_TIMEOUT_S),
        "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
        "allow_http": endpoint is not None and endpoint.startswith("http://"),
    }
    config: S3Config = {"endpoint": endpoint} if endpoint else {}
    return S3Store(
        name,
        prefix=prefix or None,
        config=config,
        client_options=client,
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S),
        },
    )


async def _chunks(found: "GetResult") -> AsyncIterator[bytes]:
    pieces = iter(found.stream(min_chunk_size=READ_BYTES))
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield bytes(piece)
    except (BaseError, OSError) as error:
        raise RecordingsError(_short(error)) from error


def _key(session_id: str, attempt: int) -> str:
    return f"{session_id}/{attempt}.ogg"


def _short(error: Exception) -> str:
    """What went wrong, without the store's whole answer, which may name keys."""
    return type(error).__name__
