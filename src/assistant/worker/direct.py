"""`connect`: join one room directly, without dispatch, Redis or session."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from livekit.protocol.models import Room

from assistant.catalog.catalog import Catalog
from assistant.settings import WorkerSettings
from assistant.worker import admission, job
from assistant.worker.process.agent_server import build_server
from assistant.worker.process.setup import Setup
from assistant.worker.server import EXIT_OK

POLL_S = 0.2  # The SDK has no event for "the job has ended" outside of its pool.


async def join_room(
    settings: WorkerSettings,
    catalog: Catalog,
    *,
    room: str,
    identity: str,
    token: str | None = None,
    agent: str | None = None,
    announce: Callable[[], None] = lambda: None,
) -> int:
    """Let an agent of agents.yaml talk in one room; returns when its job has ended, or on a signal.

    `token`: an agent's token for the room; None: one is made with the LiveKit key.
    `agent`: the agent's name; None: the file's default.
    `announce` is called once the job was launched.

    Raises:
        NotAdmittedError: there is no such server or room, or it does not take the token.
    """
    if token is None:
        token = admission.agent_token(settings, room=room, identity=identity)
    await admission.ask(settings.livekit_url, token)
    setup = Setup(identity, catalog.source, default_agent=agent)
    server = build_server(settings, catalog, setup_fnc=setup)
    server.update_options(num_idle_processes=1)
    server.rtc_session(job.run_job, agent_name=settings.agent_name)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    ready = asyncio.Event()
    server.on("worker_started", ready.set)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run(unregistered=True), name="server")
        await ready.wait()
        await server.simulate_job(
            room, agent_identity=identity, room_info=Room(name=room), token=token
        )
        announce()
        while server.active_jobs and not stopped.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), POLL_S)
        await server.aclose()
    return EXIT_OK
