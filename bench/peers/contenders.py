"""Contenders brought up together and taken in turn."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from bench.peers.peer import Peer
from bench.peers.stage import Stage, running_stage

Make = Callable[[Stage], Peer]
LOG_LINES = 15
T = TypeVar("T")


@asynccontextmanager
async def contenders(
    makers: Sequence[Make], *, stand_ins: Mapping[str, str] | None = None
) -> AsyncIterator[list[Peer]]:
    """Every contender on one stage, started one after another and ready; all idle processes wait.

    `stand_ins` adds to the stand-ins' environment. What broke is shown with the parts' last lines.
    """
    with TemporaryDirectory() as name:
        async with running_stage(Path(name), stand_ins=stand_ins) as stage, AsyncExitStack() as run:
            try:
                peers = []
                for make in makers:
                    peer = make(stage)
                    run.push_async_callback(peer.stop)
                    await peer.start()
                    peers.append(peer)
                yield peers
            except Exception:
                print(stage.logs(lines=LOG_LINES))
                raise


def in_turn(contenders: Sequence[T], turn: int) -> Sequence[T]:
    """A, B, C, then C, B, A: who comes after whom favours nobody."""
    return contenders if turn % 2 == 0 else list(reversed(contenders))


def versions(peers: Sequence[Peer]) -> dict[str, dict[str, str]]:
    """What the contenders with packages of their own are made of."""
    return {peer.name: found for peer in peers if (found := peer.versions())}
