"""The state folder: what one stack keeps from start to start, and tells while it runs.

lock              held while a stack runs; its process id
ports.json        the ports chosen last time
livekit-keys.json the keys of our livekit-server (mode 600)
livekit.yaml      its configuration, with the keys (mode 600)
stack.json        only while the stack is ready: addresses and process ids, no secrets
valkey/, livekit-valkey/   data
logs/             one file a part
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assistant.local_stack import ports
from assistant.local_stack.errors import AlreadyRunningError
from assistant.local_stack.livekit_server import LiveKitKeys, new_keys
from assistant.local_stack.private_file import write_private

STACK_FILE = "stack.json"


@dataclass(frozen=True, slots=True)
class StackInfo:
    """A stack that is ready. `redis_url` is None where it is not ours (it may hold a password).

    `pids` maps the parts' names to their processes.
    """

    service_url: str
    livekit_url: str
    worker_url: str
    redis_url: str | None
    stand_ins_url: str | None
    supervisor_pid: int
    pids: Mapping[str, int]


class StateFolder:
    """A state folder that this process holds; see `hold`."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self.lock_fd = lock_fd

    @property
    def log_dir(self) -> Path:
        return self.path / "logs"

    def livekit_keys(self) -> LiveKitKeys:
        """The keys made at the first start; new ones if the file is gone or unreadable."""
        file = self.path / "livekit-keys.json"
        stored = _read_json(file)
        key, secret = stored.get("api_key"), stored.get("api_secret")
        if isinstance(key, str) and isinstance(secret, str):
            return LiveKitKeys(key, secret)
        keys = new_keys()
        write_private(
            file, json.dumps({"api_key": keys.api_key, "api_secret": keys.api_secret}) + "\n"
        )
        return keys

    def ports(self, names: Iterable[str]) -> dict[str, int]:
        """A free port for each name, the same as last time where it is still free."""
        file = self.path / "ports.json"
        remembered = {k: v for k, v in _read_json(file).items() if isinstance(v, int)}
        chosen = ports.assign(names, remembered=remembered)
        write_private(file, json.dumps({**remembered, **chosen}, indent=2) + "\n")
        return chosen

    @contextlib.contextmanager
    def announced(self, info: StackInfo) -> Iterator[None]:
        """`stack.json` exists inside this context."""
        file = self.path / STACK_FILE
        write_private(file, json.dumps(asdict(info), indent=2) + "\n")
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def hold(path: Path) -> Iterator[StateFolder]:
    """Make the folder, and keep other stacks out of it.

    The lock belongs to the open file: the guard inherits it and so keeps it until a killed stack
    is cleaned up.

    Raises:
        AlreadyRunningError: another stack holds it.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    ignore = path / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    lock_fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock_fd, 20).decode(errors="replace").strip()
            raise AlreadyRunningError(path, int(owner) if owner.isdecimal() else None) from None
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)
        (path / STACK_FILE).unlink(missing_ok=True)  # of a stack that was killed
        yield StateFolder(path, lock_fd)
    finally:
        os.close(lock_fd)


def read_stack(state_dir: Path) -> StackInfo | None:
    """The stack that is ready in a state folder, or None."""
    stored = _read_json(state_dir / STACK_FILE)
    try:
        info = StackInfo(**stored)
        os.kill(info.supervisor_pid, 0)
    except (TypeError, ProcessLookupError):
        return None
    except PermissionError:
        pass  # it lives, as another user
    return info


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
