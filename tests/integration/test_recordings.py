"""Recordings in a real S3-compatible server, and in a folder."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from assistant.local_stack.ports import HOST, free_port
from assistant.sessions.recordings import (
    PART_BYTES,
    RecordingMissingError,
    Recordings,
    RecordingsError,
)
from tests.s3_server import S3Server, running_s3

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[S3Server]:
    async with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(params=["s3", "folder"])
def recordings(
    request: pytest.FixtureRequest,
    server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Recordings:
    if request.param == "folder":
        return Recordings(f"file://{tmp_path}/kept")
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return Recordings(os.environ["ASSISTANT_RECORDINGS_URL"], endpoint=server.endpoint)


async def sound(recordings: Recordings, session_id: str, attempt: int) -> bytes:
    found = await recordings.get(session_id, attempt)
    read = b"".join([piece async for piece in found.chunks])
    assert len(read) == found.size
    return read


async def test_what_is_put_is_read_and_erased(recordings: Recordings, tmp_path: Path) -> None:
    """Large files go in parts; a session's recordings go together, and nobody else's with them."""
    large = os.urandom(2 * PART_BYTES + 12_345)
    for name, content in (("large", large), ("small", b"OggS")):
        (tmp_path / name).write_bytes(content)
    await recordings.reach()
    key = await recordings.put("s", 1, tmp_path / "large")
    assert recordings.address(key).endswith("/s/1.ogg")
    await recordings.put("s", 2, tmp_path / "small")
    await recordings.put("s-2", 1, tmp_path / "small")
    assert await sound(recordings, "s", 1) == large
    assert await recordings.erase("s") == 2
    with pytest.raises(RecordingMissingError):
        await recordings.get("s", 1)
    assert await recordings.erase("s") == 0
    assert await sound(recordings, "s-2", 1) == b"OggS"
    assert await recordings.erase("s-2") == 1


async def test_a_place_that_is_away_is_told_in_time(
    tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an error of ours, which names no key and no secret."""
    for name, value in {**server.environ, "AWS_SECRET_ACCESS_KEY": "wrong-secret"}.items():
        monkeypatch.setenv(name, value)
    refused = Recordings("s3://recordings", endpoint=server.endpoint)
    nobody = Recordings("s3://recordings", endpoint=f"http://{HOST}:{free_port()}", retries=1)
    (tmp_path / "small").write_bytes(b"OggS")
    for away in (refused, nobody):
        with pytest.raises(RecordingsError) as caught:
            await away.put("s", 1, tmp_path / "small")
        assert "wrong-secret" not in str(caught.value)
        with pytest.raises(RecordingsError):
            await away.erase("s")
    with pytest.raises(RecordingsError):
        Recordings("file:///proc/nowhere")
