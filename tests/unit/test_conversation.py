"""The end of a conversation, which something may hold up."""

import asyncio
from typing import Any

import pytest
from livekit.agents import AgentSession

from assistant.worker import conversation
from assistant.worker.conversation import Conversation
from tests.timing import scaled


async def test_an_end_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = asyncio.Event()

    async def hang(_session: AgentSession[None], **_why: Any) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            given_up.set()

    monkeypatch.setattr(AgentSession, "_aclose_impl", hang)
    monkeypatch.setattr(conversation, "CLOSE_TIMEOUT_S", 0.05)
    async with asyncio.timeout(scaled(5)):
        await Conversation().aclose()
    assert given_up.is_set()
