"""Where the deployment is: named, else in the environment, else in the notes of `make up`."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_STATE_DIR = ".state"


@dataclass(frozen=True)
class LocalStack:
    """What a running `make up` wrote down; None: not noted."""

    service_url: str | None
    livekit_url: str | None
    redis_url: str | None
    api_key: str | None
    api_secret: str | None
    has_stand_ins: bool

    def fill_in(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment, with the stack's addresses and keys where nothing is set."""
        noted = {
            "LIVEKIT_URL": self.livekit_url,
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret,
            "REDIS_URL": self.redis_url,
        }
        return {**{name: value for name, value in noted.items() if value}, **environ}


def read_local_stack(environ: Mapping[str, str]) -> LocalStack | None:
    """The stack that runs here, by its state folder; None: none does."""
    folder = Path(environ.get("ASSISTANT_STATE_DIR") or DEFAULT_STATE_DIR)
    stack, keys = _read(folder / "stack.json"), _read(folder / "livekit-keys.json")
    if not stack or not _is_running(stack.get("supervisor_pid")):
        return None
    return LocalStack(
        service_url=_text(stack.get("service_url")),
        livekit_url=_text(stack.get("livekit_url")),
        redis_url=_text(stack.get("redis_url")),
        api_key=_text(keys.get("api_key")),
        api_secret=_text(keys.get("api_secret")),
        has_stand_ins=bool(stack.get("stand_ins_url")),
    )


def find_url(named: str | None, environ: Mapping[str, str]) -> str:
    """The token service's address."""
    if named or environ.get("ASSISTANT_URL"):
        return (named or environ["ASSISTANT_URL"]).rstrip("/")
    stack = read_local_stack(environ)
    return (stack.service_url if stack else None) or DEFAULT_URL


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_running(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives, as another user
    return True
