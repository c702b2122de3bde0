"""The optional vendors, with their real plugins, on the wire.

This is all that a new vendor's test needs: options as agents.yaml has them, the project's own
builder, and a server that speaks the protocol (docs/vendors.md).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web
from livekit.agents import APIConnectOptions, llm, stt
from livekit.agents.utils import http_context

from assistant.catalog.agent import AgentSpec
from assistant.catalog.catalog import Catalog
from assistant.local_stack.ports import HOST
from assistant.local_stack.stand_ins.server import serving
from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.settings import VendorSettings
from assistant.worker.providers import cartesia, deepgram, openai_compatible
from tests.acceptance.system import PROJECT
from tests.integration.test_stand_in_assemblyai import Heard, feed, spoken
from tests.timing import scaled

TEXT = "It is ten past four in the afternoon."
ONCE = APIConnectOptions(max_retry=0, timeout=scaled(5))


def agent(**changes: Any) -> AgentSpec:
    """The shipped default agent with other vendors, as a session's record stores it."""
    spec = Catalog.load(PROJECT / "agents.yaml").agents["assistant"]
    written = {**spec.model_dump(mode="json"), **changes}
    return AgentSpec.model_validate_json(json.dumps(written))


@asynccontextmanager
async def stand_ins() -> AsyncIterator[tuple[str, VendorSettings]]:
    async with serving(StandInSettings(tts_ttfb_s=0.0)) as url, http_context.open():
        keys = {"DEEPGRAM_API_KEY": "d-key", "CARTESIA_API_KEY": "c-key"}
        addresses = {
            "ASSISTANT_DEEPGRAM_URL": f"{url}/v1/listen",
            "ASSISTANT_CARTESIA_URL": f"{url}/",
        }
        yield url, VendorSettings.model_validate({**keys, **addresses})


async def received(url: str, service: str, operation: str) -> list[Any]:
    query = {"service": service, "operation": operation}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/control/requests", params=query) as answer,
    ):
        return [entry["content"] for entry in (await answer.json())["requests"]]


async def test_deepgram_hears() -> None:
    """Real speech through Deepgram's protocol: the words come back, the options arrived."""
    options = {
        "provider": "deepgram",
        "language": "en-US",
        "endpointing_s": 0.2,
        "keyterms": ["LiveKit", "Valkey"],
        "redact": ["pci"],
        "mip_opt_out": True,
    }
    async with stand_ins() as (url, vendors):
        recognizer = deepgram.build(agent(stt=options), vendors)
        stream = recognizer.stream(conn_options=ONCE)
        feeding = asyncio.create_task(feed(stream, spoken("What time is it?"), Heard()))
        kinds, final = [], ""
        async with asyncio.timeout(scaled(20)):
            async for event in stream:
                kinds.append(event.type)
                if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                    final = event.alternatives[0].text
                if event.type is stt.SpeechEventType.END_OF_SPEECH:
                    break
        await feeding
        await stream.aclose()
        assert final == "What time is it?"
        assert stt.SpeechEventType.INTERIM_TRANSCRIPT in kinds
        (asked,) = await received(url, "deepgram", "connect")
    assert asked["model"] == ["nova-3"]
    assert asked["language"] == ["en-US"]
    assert asked["endpointing"] == ["200"]
    assert asked["keyterm"] == ["LiveKit", "Valkey"]
    assert asked["redact"] == ["pci"]
    assert asked["mip_opt_out"] == ["true"]


async def test_cartesia_speaks() -> None:
    """A sentence through Cartesia's protocol: audio and its words come, options arrived."""
    options = {"provider": "cartesia", "voice": "a-voice", "language": "en-US", "speed": 1.2}
    async with stand_ins() as (url, vendors):
        voice = cartesia.build(agent(tts=options), vendors)
        stream = voice.stream(conn_options=ONCE)
        stream.push_text(TEXT)
        stream.end_input()
        pieces, words = [], []
        async with asyncio.timeout(scaled(15)):
            async for audio in stream:
                pieces.append(np.frombuffer(audio.frame.data, np.int16))
                words += [str(w) for w in audio.frame.userdata.get("lk.timed_transcripts", [])]
        await stream.aclose()
        await voice.aclose()
        (asked,) = await received(url, "cartesia", "context")
    samples = np.concatenate(pieces)
    assert len(samples) > voice.sample_rate
    assert np.abs(samples).max() > 1000
    assert "".join(words).split() == TEXT.split()
    assert asked["voice"] == {"mode": "id", "id": "a-voice"}
    assert asked["language"] == "en"
    assert asked["generation_config"] == {"speed": 1.2}


async def test_a_server_of_ones_own_gets_every_option() -> None:
    """What agents.yaml says of an openai-compatible model is in the request, and nothing else."""
    asked: list[tuple[str, str | None, dict[str, Any]]] = []

    async def complete(request: web.Request) -> web.Response:
        title = request.headers.get("X-Title")
        asked.append((request.query_string, title, await request.json()))
        choice = {"index": 0, "delta": {"role": "assistant", "content": "Yes."}}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        text = f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\ndata: [DONE]\n\n"
        return web.Response(text=text, content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    sent = {
        "user": "shop",
        "prompt_cache_key": "greeter",
        "metadata": {"team": "front"},
        "verbosity": "low",
        "temperature": 0.5,
    }
    options = {
        **sent,
        "extra_headers": {"X-Title": "Reception"},
        "extra_query": {"api-version": "7"},
        "extra_body": {"top_k": 3},
    }
    url = f"http://{HOST}:{runner.addresses[0][1]}/v1"
    own = {"provider": "openai-compatible", "base_url": url, "model": "m", **options}
    context = llm.ChatContext()
    context.add_message(role="user", content="Are you there?")
    try:
        async with http_context.open():
            model = openai_compatible.build(agent(llm=own), VendorSettings())
            stream = model.chat(chat_ctx=context, conn_options=ONCE)
            said = [chunk.delta.content async for chunk in stream if chunk.delta]
            await model.aclose()
    finally:
        await runner.cleanup()
    assert said == ["Yes."]
    ((query, title, body),) = asked
    assert (query, title) == ("api-version=7", "Reception")
    assert {**body, **sent, "top_k": 3} == body
