"""Jobs that stand by: dispatched ahead, given a session at its start, and never in the way."""

import os
import signal
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from livekit import api
from livekit.protocol.models import ParticipantInfo

from assistant.rehearsal.scenario import Call
from tests.acceptance.commands import ended, until
from tests.acceptance.system import System
from tests.acceptance.test_command_line import greeted, room
from tests.acceptance.test_main_job import livekit, settled
from tests.acceptance.test_worker_life import (
    Hand,
    ask,
    conversation,
    job_processes,
    most_agents_at_once,
    record_of,
    worker,
)
from tests.timing import scaled

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("alone")]

# One stands by, one is warm; each is a process of its own.
POOL = {"PREWARM_POOL_SIZE": "2", "ASSISTANT_JOBS_PER_PROCESS": "1"}
STANDS_BY_WITHIN_S = 20.0
AGENT_WITHIN_S = 30.0
GONE_WITHIN_S = 10.0
# Nobody talks: there is nothing to finish.
DRAINED_WITHIN_S = 8.0


async def beat(hand: Hand) -> dict[str, Any]:
    return (await hand.page("/worker"))[1]


async def stands_by(hand: Hand) -> None:
    async def one_does() -> bool:
        now = await beat(hand)
        return bool(now["standby"] == 1 and not now["jobs"] and now["warm"] == 2)

    await until(one_does, STANDS_BY_WITHIN_S, hand.said)


def waiting_process(hand: Hand, system: System) -> int:
    """The job process that waits for Redis; those that are merely warm know nothing of it."""
    port = urlsplit(system.redis_url).port
    found = [
        pid
        for pid in job_processes(hand)
        if any(c.raddr and c.raddr.port == port for c in psutil.Process(pid).net_connections())
    ]
    assert len(found) == 1, found
    return found[0]


async def test_a_start_gets_the_job_that_stood_by(system: System) -> None:
    """No dispatch is left to be made; the agent is who LiveKit would have made of it, the worker
    knows whom it serves, and another job stands by afterwards.
    """
    async with worker(system, "ahead", **POOL) as hand:
        await stands_by(hand)
        process = waiting_process(hand, system)
        async with conversation(system) as call:
            session = call.session_id
            record = await record_of(system, session)
            assert (record.attempt, record.agent_pid) == (1, process)
            assert record.accepted_at is not None
            async with livekit(system) as client:
                dispatches = await client.agent_dispatch.list_dispatch(record.room)
                assert "assistant" not in {each.agent_name for each in dispatches}
                people = await client.room.list_participants(
                    api.ListParticipantsRequest(room=record.room)
                )
            (agent,) = [p for p in people.participants if p.identity != call.caller.identity]
            assert agent.kind == ParticipantInfo.Kind.AGENT
            assert (agent.identity, agent.name) == (f"agent-{session}-1", "Assistant")
            assert agent.attributes["lk.agent.name"] == "assistant"
            await ask(call, "two plus three", "5")

            async def is_known() -> bool:
                now = await beat(hand)
                return bool(now["sessions"] == [[session, 1]] and now["standby"] == 1)

            await until(is_known, STANDS_BY_WITHIN_S, hand.said)
            assert (await beat(hand))["jobs"] == 1
            await call.end()
        assert await settled(system, session) == "ended"


async def test_a_job_that_froze_while_it_stood_by_costs_one_attempt(system: System) -> None:
    """Its session gets another agent; when it goes on it leaves, and two are never heard."""
    async with worker(system, "frosty", **POOL) as hand:
        await stands_by(hand)
        frozen = waiting_process(hand, system)
        os.kill(frozen, signal.SIGSTOP)
        try:
            async with system.service() as service, Call(service) as call:
                record = await record_of(system, call.session_id)
                async with most_agents_at_once(system, record.room) as seen:
                    await call.agent_joins(scaled(AGENT_WITHIN_S))
                    record = await record_of(system, call.session_id)
                    assert record.attempt == 2
                    assert record.agent_pid not in {None, frozen}
                    os.kill(frozen, signal.SIGCONT)

                    async def is_gone() -> bool:
                        return frozen not in job_processes(hand)

                    await until(is_gone, GONE_WITHIN_S, hand.said)
                assert max(seen) == 1
                await ask(call, "two plus three", "5")
                await call.end()
        finally:
            if psutil.pid_exists(frozen):
                os.kill(frozen, signal.SIGCONT)
        assert await settled(system, call.session_id) == "ended"


async def test_one_that_is_killed_is_replaced_and_none_delays_a_drain(system: System) -> None:
    """Nobody waited for it; and SIGTERM ends a worker in which jobs only stand by."""
    async with worker(system, "mortal", **POOL) as hand:
        await stands_by(hand)
        killed = waiting_process(hand, system)
        os.kill(killed, signal.SIGKILL)

        async def is_gone() -> bool:
            return killed not in job_processes(hand)

        await until(is_gone, GONE_WITHIN_S, hand.said)
        await stands_by(hand)
        assert waiting_process(hand, system) != killed
        hand.terminate()
        assert await ended(hand.running, DRAINED_WITHIN_S) == 0


async def test_it_gives_way_to_other_jobs(system: System) -> None:
    """A worker with one slot has a job that stands by, and takes another dispatcher's all the same;
    then it is full, and the next session waits until that one is over.
    """
    async with (
        worker(system, "narrow", ASSISTANT_MAX_JOBS="1", **POOL) as hand,
        room(system, "elsewhere") as client,
    ):
        await stands_by(hand)
        request = api.CreateAgentDispatchRequest(agent_name="assistant", room="elsewhere")
        await client.agent_dispatch.create_dispatch(request)
        await greeted(system, "elsewhere", "voice assistant")
        now = await beat(hand)
        assert (now["jobs"], now["standby"], now["standby_wanted"]) == (1, 0, 0)
        async with system.service() as service, Call(service) as call:
            assert (await call.session()).status in {"queued", "dispatching"}
            assert (await beat(hand))["jobs"] == 1
            assert not call.caller.agents
            await client.room.delete_room(api.DeleteRoomRequest(room="elsewhere"))
            await call.agent_joins(scaled(AGENT_WITHIN_S))
            await call.end()
        assert await settled(system, call.session_id) == "ended"
