"""Row 4: tokens that one process of the HTTP service gives in a second, on one core.

Each request asks with a key for a token to one of SESSIONS sessions that are there already. Every
server in turn, under the same settings of uvicorn; Valkey, livekit-server and the load have the
other core. `ours` writes no access log, as the others do not; `ours at info` does. For each token
of `ours at new` a session and its room are made. bench/peers says what the others leave out.
"""

import asyncio
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.http_load import OTHER_CORE, SERVER_CORE, load, pin, until_idle, wrk_program
from bench.http_peers import on_server_core, peer
from bench.peers.environments import interpreter, pins
from bench.results import Row
from tests.integration.http_stack import (
    BACKEND_KEY,
    WITH_KEYS,
    Stack,
    running_stack,
    service_part,
)

from assistant.local_stack.ports import HOST, free_port
from assistant.sessions.store import keys

NUMBERS = ("4",)
CLONE = "fastapi_clone"
SESSIONS = 100
ROUND_S = 3
WARM_UP_S = 1
#: As many as a round could ask for on a machine that is several times as fast.
NEW_SESSIONS = 20_000
NOTE = (
    "ours: tokens to known sessions, no access log, as the others; at info: with log lines; "
    "at new: each makes its session and its room"
)
# A user's limit is beyond what the load asks of one.
SETTINGS = {**WITH_KEYS, "ASSISTANT_RATE_LIMIT": "1000000"}
Bodies = list[dict[str, object]]
Contender = Callable[[int], float]


async def measure(rounds: int) -> list[Row]:
    """Row 4."""
    wrk_program()
    return [await asyncio.to_thread(_measured, rounds, await interpreter(CLONE))]


def _measured(rounds: int, clones_python: Path) -> Row:
    with tempfile.TemporaryDirectory() as name, contenders(Path(name), clones_python) as found:
        for contender in found.values():
            contender(WARM_UP_S)
        took: dict[str, list[list[float]]] = {name: [] for name in found}
        for n in range(rounds):
            # There and back, so that what drifts meets all alike.
            for each in list(found)[:: -1 if n % 2 else 1]:
                took[each].append([found[each](ROUND_S)])
    return Row(
        number="4",
        title="Tokens in a second: POST /api/token, one process on one core",
        unit="requests/s",
        better="higher",
        statistic="p50",
        rounds=took,
        note=NOTE,
        versions={"fastapi": pins(CLONE)},
    )


@contextmanager
def contenders(folder: Path, clones_python: Path) -> Iterator[dict[str, Contender]]:
    """The running servers: what loads each for some seconds, and tells its answers a second."""
    with ExitStack() as opened:
        environ = {**SETTINGS, "ASSISTANT_LOG_LEVEL": "warning"}
        stack = opened.enter_context(running_stack(folder, **environ))
        chatty = opened.enter_context(_chatty(stack))
        for running in (stack.valkey, stack.livekit):
            pin(running.process.pid, OTHER_CORE)
        pin(stack.service.process.pid, SERVER_CORE)
        known = _bodies(SESSIONS)
        answer = folder / "answer.json"
        answer.write_text(json.dumps(_made(stack, known)), encoding="utf-8")
        bare = opened.enter_context(peer("bare_route", Path(sys.executable), folder, str(answer)))
        environ = {
            "KEY": BACKEND_KEY,
            "LIVEKIT_API_KEY": stack.livekit_keys.api_key,
            "LIVEKIT_API_SECRET": stack.livekit_keys.api_secret,
            "LIVEKIT_URL": stack.livekit_url,
        }
        clone = opened.enter_context(peer(CLONE, clones_python, folder, environ=environ))
        yield {
            "ours": partial(_per_s, stack.url, known),
            "bare": partial(_per_s, bare, known),
            "fastapi": partial(_per_s, clone, known),
            "ours at info": partial(_per_s, chatty, known),
            "ours at new": partial(_new_per_s, stack),
        }


@contextmanager
def _chatty(stack: Stack) -> Iterator[str]:
    """A replica that writes a line a request, and one a token; its address."""
    port = free_port()
    environ = {**stack.environ, "ASSISTANT_HTTP_PORT": str(port), "ASSISTANT_LOG_LEVEL": "info"}
    part = service_part(port, environ, stack.folder, name="chatty")
    with on_server_core(part, stack.folder):
        yield f"http://{HOST}:{port}"


def _bodies(count: int) -> Bodies:
    ids = [f"b-{secrets.token_hex(8)}" for _ in range(count)]
    return [{"sessionId": session_id, "userId": f"user-{session_id}"} for session_id in ids]


def _made(stack: Stack, bodies: Bodies) -> dict[str, str]:
    """Make the sessions; the last answer."""
    with stack.client(BACKEND_KEY) as http:
        for body in bodies:
            answer = http.post("/api/token", json=body).raise_for_status()
    found: dict[str, str] = answer.json()
    return found


def _per_s(url: str, bodies: Bodies, duration_s: int) -> float:
    return load(f"{url}/api/token", bodies, duration_s=duration_s, key=BACKEND_KEY).per_s


def _new_per_s(stack: Stack, duration_s: int) -> float:
    per_s = _per_s(stack.url, _bodies(NEW_SESSIONS), duration_s)
    # Nobody starts these; looking after them is no work of whoever is measured next.
    stack.redis.delete(keys.DUE)
    until_idle(stack.service.process.pid)
    return per_s
