"""Language models that fail in mid-answer, with the real plugin on the wire: who goes on."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from livekit.agents import APIConnectOptions, APIError, ChatContext, function_tool
from livekit.agents.llm import AvailabilityChangedEvent, CollectedResponse, Tool
from livekit.plugins import groq

from assistant.local_stack.stand_ins.groq import MODELS
from assistant.worker.answering.language_models import LanguageModels
from tests.integration.test_failover import PATIENCE_S, RETURN_S, Troubles, stand_ins
from tests.integration.test_stand_in_assemblyai import order
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")

World = tuple[str, aiohttp.ClientSession]
TEXT = "The train leaves at nine. Please be there in time."
FIRST, SECOND = MODELS[:2]
# Beyond any test: what is asked is asked by nobody but the test.
LONG_S = 600.0
FAULTS: list[dict[str, Any]] = [
    {"kind": "fail", "status": 503},
    {"kind": "stall"},
    {"kind": "close"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with stand_ins() as made:
        yield made


@asynccontextmanager
async def language_models(
    url: str, names: tuple[str, ...] = (FIRST, SECOND), *, probe_after_s: float = LONG_S
) -> AsyncIterator[LanguageModels]:
    vendors = [groq.LLM(api_key="key", base_url=f"{url}/openai/v1", model=name) for name in names]
    adapter = LanguageModels(vendors, patience_s=PATIENCE_S, probe_after_s=probe_after_s)
    try:
        yield adapter
    finally:
        await adapter.aclose()


async def answer(
    adapter: LanguageModels, words: str, *, tools: list[Tool] | None = None, max_retry: int = 0
) -> CollectedResponse:
    context = ChatContext.empty()
    context.add_message(role="user", content=words)
    options = APIConnectOptions(max_retry=max_retry, retry_interval=0.1, timeout=scaled(5))
    async with adapter.chat(chat_ctx=context, tools=tools, conn_options=options) as stream:
        return await stream.collect()


async def asked(url: str, http: aiohttp.ClientSession) -> list[tuple[str, list[str]]]:
    """Each request's model and the roles of its last messages behind the user's."""
    query = {"service": "groq", "operation": "chat"}
    async with http.get(f"{url}/control/requests", params=query) as reply:
        bodies = [each["content"] for each in (await reply.json())["requests"]]
    return [
        (
            body["model"],
            [
                message["role"]
                for message in itertools.dropwhile(
                    lambda each: each["role"] != "user", body["messages"]
                )
            ][1:],
        )
        for body in bodies
    ]


@pytest.mark.parametrize("how", FAULTS, ids=lambda how: how["kind"])
async def test_the_next_model_says_the_rest(world: World, how: dict[str, Any]) -> None:
    """Whether the first one broke off before, in or behind its words: they come once, all of them.

    Who follows it is shown what was said, and nothing if nothing was.
    """
    url, http = world
    # Before the first word, in the middle, and with all said but not the end of it.
    for pieces in (0, 5, 1 + len(TEXT.split())):
        async with language_models(url) as adapter:
            troubles = Troubles(adapter, "llm")
            before = len(await asked(url, http))
            fault = {"service": "groq", "operation": "chat", "match": FIRST, "count": 1}
            await order(url, http, after_chunks=pieces, **fault, **how)
            assert (await answer(adapter, f"Say {TEXT}")).text == TEXT
            assert troubles.told[0][1] == 0
            assert ("gone", 0) in troubles.told
            assert adapter.active is adapter.vendors[1]
            first, then = (await asked(url, http))[before:][:2]
            assert first == (FIRST, [])
            assert then == (SECOND, ["assistant", "system"] if pieces else [])


async def test_a_model_alone_goes_on_with_its_own_answer(world: World) -> None:
    """Without a spare the same vendor says the rest; if it cannot, the answer has failed."""
    url, http = world
    async with language_models(url, (FIRST,)) as adapter:
        fault = {"kind": "close", "service": "groq", "operation": "chat"}
        await order(url, http, after_chunks=4, count=2, **fault)
        # Twice: three words, then of the rest three more, then what is left.
        assert (await answer(adapter, f"Say {TEXT}", max_retry=2)).text == TEXT
        await order(url, http, after_chunks=4, count=2, **fault)
        with pytest.raises(APIError):
            await answer(adapter, f"Say {TEXT}", max_retry=1)


async def test_a_refusal_that_lasts_is_not_asked_again(world: World) -> None:
    """A vendor alone that says that the request is wrong is believed at once."""
    url, http = world
    async with language_models(url, (FIRST,)) as adapter:
        before = len(await asked(url, http))
        await order(url, http, kind="fail", status=401, service="groq", operation="chat", count=1)
        with pytest.raises(APIError):
            await answer(adapter, "Hello.", max_retry=3)
        assert len(await asked(url, http)) == before + 1


@function_tool
async def book_table(day: str) -> str:
    """Book a table."""
    return day


async def test_a_tool_is_called_once(world: World) -> None:
    """Before the call is whole, the next vendor makes it; behind it, nobody is asked once more."""
    url, http = world
    for pieces, models in ((1, [FIRST, SECOND]), (3, [FIRST])):
        async with language_models(url) as adapter:
            before = len(await asked(url, http))
            fault = {"service": "groq", "operation": "chat", "match": FIRST, "count": 1}
            await order(url, http, kind="stall", after_chunks=pieces, **fault)
            reply = await answer(adapter, "Please book a table.", tools=[book_table])
            assert [call.name for call in reply.tool_calls] == ["book_table"]
            assert [model for model, _ in (await asked(url, http))[before:]] == models
            assert not adapter.available[0]


async def test_a_model_that_is_back_has_its_place_again(world: World) -> None:
    """It is tried in the background, however nobody asks anything meanwhile."""
    url, http = world
    async with language_models(url, probe_after_s=RETURN_S) as adapter:
        back = asyncio.Event()

        def changed(event: AvailabilityChangedEvent) -> None:
            if event.available:
                back.set()

        adapter.on("llm_availability_changed", changed)
        await order(url, http, kind="stall", service="groq", operation="chat", match=FIRST, count=2)
        await answer(adapter, f"Say {TEXT}")
        async with asyncio.timeout(scaled(15)):
            await back.wait()
        await answer(adapter, f"Say {TEXT}")
        assert adapter.active is adapter.vendors[0]
