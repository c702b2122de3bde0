"""Row 4b: starts that one process of the HTTP service answers in a second, each one durable.

Each request starts another session, as a backend does for each caller. A start is answered once
Valkey has it. Behind the answers the service goes on: a fleet of SLOTS slots is known to it by its
beat, so that the first SLOTS sessions get rooms and dispatches of a real livekit-server, to which
no worker is connected; the others wait in the queue. `ours at all dispatched` has slots for all.

After each round Valkey is asked to have its file on the disk, and then for every session that was
answered: it must be there under the task that was named, and hold a slot or wait, or be past that.
"""

import asyncio
import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.http_load import OTHER_CORE, SERVER_CORE, LoadError, load, pin, until_idle, wrk_program
from bench.results import Row
from tests.integration.http_stack import BACKEND_KEY, WITH_KEYS, Stack, running_stack

from assistant.sessions.record import TERMINAL
from assistant.sessions.store import keys

NUMBERS = ("4b",)
SLOTS = 100
MANY = 100_000
ROUND_S = 3
WARM_UP_S = 1
#: More than a round could ask for on a machine that is several times as fast.
BODIES = 20_000
DISK_TIMEOUT_MS = 10_000
SETTINGS = {
    **WITH_KEYS,
    "MAX_BOTS": str(MANY),
    "ASSISTANT_QUEUE_LIMIT": str(MANY),
    "ASSISTANT_LOG_LEVEL": "warning",
}
NOTE = (
    f"answered once in Valkey, whose file is synced every second; ours: a fleet of {SLOTS} slots, "
    "the others wait in the queue; at all dispatched: a slot for each, which is dispatched to a "
    "real livekit-server behind the answers"
)


async def measure(rounds: int) -> list[Row]:
    """Row 4b."""
    return [await asyncio.to_thread(_measured, rounds)]


def _measured(rounds: int) -> Row:
    wrk_program()
    contenders = {"ours": SLOTS, "ours at all dispatched": MANY}
    took: dict[str, list[list[float]]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as folder, _pinned(Path(folder)) as stack:
        for slots in contenders.values():
            _started(stack, slots, WARM_UP_S)
        for n in range(rounds):
            for name in list(contenders)[:: -1 if n % 2 else 1]:
                took[name].append([_started(stack, contenders[name], ROUND_S)])
    return Row(
        number="4b",
        title="Starts in a second: POST /api/session/start, durable, one process on one core",
        unit="requests/s",
        better="higher",
        statistic="p50",
        rounds=took,
        note=NOTE,
    )


@contextmanager
def _pinned(folder: Path) -> Iterator[Stack]:
    with running_stack(folder, **SETTINGS) as stack:
        for running in (stack.valkey, stack.livekit):
            pin(running.process.pid, OTHER_CORE)
        pin(stack.service.process.pid, SERVER_CORE)
        yield stack


def _started(stack: Stack, slots: int, duration_s: int) -> float:
    """Start sessions on an empty store with so many slots; how many were answered in a second.

    Raises:
        LoadError: an answered start is not stored as it was answered.
    """
    stack.redis.flushdb()
    until_idle(stack.service.process.pid)
    stack.has_worker(max_jobs=slots)
    ids = [f"b-{secrets.token_hex(8)}" for _ in range(BODIES)]
    bodies = [{"sessionId": session_id, "userId": f"user-{session_id}"} for session_id in ids]
    answers = stack.folder / "answers"
    url = f"{stack.url}/api/session/start"
    loaded = load(url, bodies, duration_s=duration_s, key=BACKEND_KEY, answers=answers)
    on_disk, _ = stack.redis.execute_command("WAITAOF", 1, 0, DISK_TIMEOUT_MS)
    if not on_disk:
        raise LoadError(f"Valkey's file was not on the disk within {DISK_TIMEOUT_MS} ms")
    lines = answers.read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    if len(told) < loaded.requests:
        raise LoadError(f"{loaded.requests} answers were counted, and {len(told)} were kept")
    lost = [each["sessionId"] for each in told if not _is_stored(stack, each)]
    if lost:
        raise LoadError(f"{len(lost)} of {len(told)} answered starts are not stored: {lost[0]}")
    return loaded.per_s


def _is_stored(stack: Stack, told: dict[str, Any]) -> bool:
    """Whether the start is there as it was answered, with a slot or a place, or past that."""
    session_id = told["sessionId"]
    with stack.redis.pipeline() as pipe:  # One moment, since the service goes on meanwhile.
        pipe.hmget(keys.session(session_id), ["taskId", "status"])
        pipe.zscore(keys.QUEUE, session_id)
        pipe.zscore(keys.SLOTS, session_id)
        (task_id, status), place, slot = pipe.execute()
    held = {"queued": place, "dispatching": slot, "active": slot, "ending": slot}
    is_there = held[status] is not None if status in held else status in TERMINAL
    return task_id == told["taskId"] and is_there
