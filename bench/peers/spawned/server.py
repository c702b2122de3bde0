"""S: the older design: an HTTP start that gives every session a Python process of its own.

`POST /start` with a `room` hands the room to a process that was started ahead, if there is one of
`PEER_IDLE_PROCESSES`, else to a new one, and answers. `GET /health` counts both kinds.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from livekit import api
from pydantic import BaseModel

BOT = Path(__file__).with_name("bot.py")
POOL_SIZE = int(os.environ["PEER_IDLE_PROCESSES"])


class StartRequest(BaseModel):
    room: str


def token(room: str) -> str:
    """For a participant that others see as an agent."""
    grants = api.VideoGrants(room_join=True, room=room, agent=True)
    key, secret = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
    minted = api.AccessToken(key, secret).with_identity(f"bot-{room}").with_kind("agent")
    return minted.with_grants(grants).to_jwt()


class Bots:
    """The processes: those that wait for a room, and those that have one."""

    def __init__(self) -> None:
        self.idle: list[Process] = []
        self.busy: set[Process] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, str(BOT), stdin=PIPE, stdout=PIPE
        )

    async def fill(self) -> None:
        """One more that waits, once it has loaded everything."""
        bot = await self.spawn()
        if bot.stdout is not None and await bot.stdout.readline():
            self.idle.append(bot)

    async def start(self, room: str) -> None:
        if self.idle:
            bot = self.idle.pop(0)
            self.background(self.fill())
        else:
            bot = await self.spawn()
        line = {"url": os.environ["LIVEKIT_URL"], "token": token(room), "room": room}
        if bot.stdin is not None:
            bot.stdin.write(json.dumps(line).encode() + b"\n")
            await bot.stdin.drain()
        self.busy.add(bot)
        self.background(self.reap(bot))

    async def reap(self, bot: Process) -> None:
        await bot.wait()
        self.busy.discard(bot)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


bots = Bots()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    for _ in range(POOL_SIZE):
        bots.background(bots.fill())
    yield
    for bot in (*bots.idle, *bots.busy):
        if bot.returncode is None:
            bot.terminate()
            await bot.wait()


app = FastAPI(lifespan=lifespan)


@app.post("/start")
async def start(request: StartRequest) -> dict[str, str]:
    await bots.start(request.room)
    return {"room": request.room}


@app.get("/health")
async def health() -> dict[str, int]:
    return {"idle": len(bots.idle), "busy": len(bots.busy)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PEER_PORT"]), log_level="warning")
