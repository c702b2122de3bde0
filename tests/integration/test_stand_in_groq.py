"""The language model's stand-in, with the real plugin as its client."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, llm
from livekit.agents.llm import function_tool
from livekit.plugins import groq

from assistant.local_stack.stand_ins.server import serving
from assistant.local_stack.stand_ins.settings import StandInSettings
from tests.timing import scaled

ONCE = APIConnectOptions(max_retry=0, timeout=scaled(5))
# An answer that nobody slows down takes some 50 ms; on a busy machine many times that.
SLOW_S = scaled(1.5)


@asynccontextmanager
async def client(**settings: Any) -> AsyncIterator[tuple[str, aiohttp.ClientSession, groq.LLM]]:
    chosen = StandInSettings(stt_mode="scripted", **{"llm_ttft_s": 0.01, **settings})
    async with serving(chosen) as url, aiohttp.ClientSession() as http:
        model = groq.LLM(api_key="key", base_url=f"{url}/openai/v1")
        try:
            yield url, http, model
        finally:
            await model.aclose()


def conversation(said: str, prompt: str = "You are helpful.") -> llm.ChatContext:
    context = llm.ChatContext()
    context.add_message(role="system", content=prompt)
    context.add_message(role="user", content=said)
    return context


@function_tool
async def get_weather(location: str) -> str:
    """The weather at a place.

    Args:
        location: where
    """
    return f"It is sunny in {location.title()}."


async def listen(stream: llm.LLMStream, got: list[str]) -> None:
    async for chunk in stream:
        if chunk.delta and chunk.delta.content:
            # A comprehension would lose what came before the error.
            got.append(chunk.delta.content)  # noqa: PERF401


async def order(url: str, http: aiohttp.ClientSession, **fault: Any) -> None:
    async with http.post(f"{url}/control/faults", json={"service": "groq", **fault}) as answer:
        assert answer.status == 201


async def test_streams_words_and_usage() -> None:
    """An answer arrives word by word, first token in time, with the usage at the end; model,
    system prompt and sampling are seen on the wire.
    """
    async with client(llm_ttft_s=0.2, llm_tokens_per_s=50) as (url, http, model):
        began = time.monotonic()
        texts: list[str] = []
        times: list[float] = []
        usage = None
        async for chunk in model.chat(chat_ctx=conversation("repeat one two three four five")):
            if chunk.delta and chunk.delta.content:
                texts.append(chunk.delta.content)
                times.append(time.monotonic() - began)
            usage = chunk.usage or usage
        assert "".join(texts) == "One two three four five"
        assert times[0] >= 0.2
        # Counted from the request: a first word that is read late shortens what lies between two.
        assert times[-1] >= 0.2 + 0.08
        assert usage is not None
        assert usage.completion_tokens == 5
        assert usage.total_tokens == usage.prompt_tokens + 5
        async with http.get(f"{url}/control/requests", params={"service": "groq"}) as answer:
            (entry,) = (await answer.json())["requests"]
        assert entry["content"]["model"] == "llama-3.3-70b-versatile"
        assert entry["content"]["messages"][0] == {"role": "system", "content": "You are helpful."}
        assert "key" not in entry["content"]


async def test_tool_call_round_trip() -> None:
    """The plugin gets a tool call with arguments, and the tool's result is then spoken."""
    async with client() as (_, _, model):
        context = conversation("What is the weather in London?")
        calls = [
            call
            async for chunk in model.chat(chat_ctx=context, tools=[get_weather])
            if chunk.delta
            for call in chunk.delta.tool_calls
        ]
        assert [(call.name, call.arguments) for call in calls] == [
            ("get_weather", '{"location": "london"}')
        ]
        output = await get_weather(location="london")
        call = llm.FunctionCall(
            call_id=calls[0].call_id, name="get_weather", arguments=calls[0].arguments
        )
        context.insert(call)
        context.insert(
            llm.FunctionCallOutput(
                call_id=call.call_id, name="get_weather", output=output, is_error=False
            )
        )
        answer = await model.chat(chat_ctx=context, tools=[get_weather]).collect()
        assert answer.text == "It is sunny in London."


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_errors_in_the_vendors_shape(status: int) -> None:
    """Ordered failures reach the plugin's user with their status and the vendor's message."""
    async with client() as (url, http, model):
        await order(url, http, kind="fail", status=status)
        with pytest.raises(APIStatusError) as caught:
            await model.chat(chat_ctx=conversation("hi"), conn_options=ONCE).collect()
        assert caught.value.status_code == status
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["message"]
        answer = await model.chat(chat_ctx=conversation("hi"), conn_options=ONCE).collect()
        assert answer.text


async def test_missing_key_and_bad_bodies_are_refused() -> None:
    """No key is 401; no JSON and wrong fields are 400 with the field named."""
    async with client() as (url, http, _):
        target = f"{url}/openai/v1/chat/completions"
        async with http.post(target, json={}) as answer:
            assert answer.status == 401
            assert (await answer.json())["error"]["code"] == "invalid_api_key"
        async with http.get(f"{url}/openai/v1/models") as answer:
            assert answer.status == 401
        headers = {"Authorization": "Bearer key"}
        async with http.post(target, data=b"{", headers=headers) as answer:
            assert answer.status == 400
        async with http.post(target, json={"model": "m"}, headers=headers) as answer:
            assert answer.status == 400
            assert "messages" in (await answer.json())["error"]["message"]


async def test_without_streaming_and_models() -> None:
    """A whole completion and the list of models have the vendor's shape."""
    async with client() as (url, http, _):
        headers = {"Authorization": "Bearer key"}
        body = {
            "model": "llama-3.1-8b-instant",
            "messages": [{"role": "user", "content": "repeat one two three"}],
            "max_completion_tokens": 2,
        }
        target = f"{url}/openai/v1/chat/completions"
        async with http.post(target, json=body, headers=headers) as answer:
            whole = await answer.json()
        assert whole["object"] == "chat.completion"
        assert whole["choices"][0]["message"] == {"role": "assistant", "content": "One two"}
        assert whole["choices"][0]["finish_reason"] == "length"
        assert whole["usage"]["completion_tokens"] == 2
        async with http.get(f"{url}/openai/v1/models", headers=headers) as answer:
            listed = await answer.json()
        assert "llama-3.3-70b-versatile" in {item["id"] for item in listed["data"]}


async def test_faults_in_the_stream() -> None:
    """An answer can be slow, break off, fail half-way, or stall, each for chosen requests only."""
    async with client() as (url, http, model):
        said = conversation("repeat one two three four five six")
        await order(url, http, kind="slow", delay_s=SLOW_S, match="four")
        began = time.monotonic()
        await model.chat(chat_ctx=conversation("hi"), conn_options=ONCE).collect()
        assert time.monotonic() - began < SLOW_S
        began = time.monotonic()
        await model.chat(chat_ctx=said, conn_options=ONCE).collect()
        assert time.monotonic() - began >= SLOW_S

        for kind in ("close", "fail", "stall"):
            await order(url, http, kind=kind, after_chunks=3)
            options = APIConnectOptions(max_retry=0, timeout=0.5)
            got: list[str] = []
            with pytest.raises((APIConnectionError, APIStatusError)):
                await listen(model.chat(chat_ctx=said, conn_options=options), got)
            assert "".join(got) == "One two"


async def test_script_extends_the_responder(tmp_path: Path) -> None:
    """A YAML of patterns and replies is honoured."""
    path = tmp_path / "script.yaml"
    path.write_text("replies:\n  - pattern: order (\\w+)\n    reply: Order {1} is on its way.\n")
    async with client(script=path) as (_, _, model):
        answer = await model.chat(chat_ctx=conversation("Where is order seven?")).collect()
        assert answer.text == "Order seven is on its way."
