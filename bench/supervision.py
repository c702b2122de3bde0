"""Faults that hit many sessions: `python -m bench.supervision --row starts --runs 1 --seed 1`.

Each run leaves one JSON line with its seed; what it saw broken ends the run with an error. The
oracle is LiveKit's lists, Redis and the process table; see tests/acceptance/rows.py.

Rows: `starts` (200 starts while a worker of three is killed every few seconds), `livekit` and
`redis` (killed and restarted under live sessions), `replica` (killed amid requests), `webhooks`
(lost, or doubled and shuffled).
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.acceptance import rows
from tests.acceptance.system import System, running_system
from tests.acceptance.webhook_post import MODES, WebhookPost

STARTS = 200
STARTS_AT_ONCE = 8
SESSIONS = 6
CALLERS = 2
REPLICA_STARTS = 20


async def webhooks(system: System) -> rows.Figures:
    fates = {mode: await rows.fates(system, mode) for mode in MODES}
    if any(fate != fates[MODES[0]] for fate in fates.values()):
        raise AssertionError(fates)
    return {"fates": fates[MODES[0]]}


Row = Callable[[System, int], Awaitable[rows.Figures]]
ROWS: dict[str, Row] = {
    "starts": lambda system, seed: rows.starts_under_kills(
        system, n=STARTS, at_once=STARTS_AT_ONCE, seed=seed
    ),
    "livekit": lambda system, _: rows.livekit_restarts(system, sessions=SESSIONS, callers=CALLERS),
    "redis": lambda system, _: rows.redis_restarts(system, sessions=SESSIONS, callers=CALLERS),
    "replica": lambda system, seed: rows.replica_dies(system, n=REPLICA_STARTS, seed=seed),
    "webhooks": lambda system, _: webhooks(system),
}


async def bench(options: argparse.Namespace) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows.write_agents(folder / "agents.yaml")
        environ = {
            "ASSISTANT_AGENTS_FILE": str(folder / "agents.yaml"),
            "PREWARM_POOL_SIZE": "2",
            "ASSISTANT_RATE_LIMIT": "1000",
        }
        async with (
            WebhookPost(seed=options.seed).open() as post,
            running_system(folder, environ=environ, webhook_port=post.port) as system,
        ):
            post.target = system.service_url
            await rows.add_workers(system, 2)
            for row in options.row or ROWS:
                for seed in range(options.seed, options.seed + options.runs):
                    line: rows.Figures = {"row": row, "seed": seed}
                    try:
                        line |= await ROWS[row](system, seed)
                    except (AssertionError, TimeoutError) as error:
                        failed += 1
                        line["broken"] = str(error) or type(error).__name__
                    print(json.dumps(line), flush=True)
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=ROWS, action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    return asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
