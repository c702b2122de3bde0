"""What agents say to everybody: spoken before anybody calls, in their own voice alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from livekit.agents.utils import http_context

from assistant.catalog.catalog import Catalog
from assistant.settings import WorkerSettings, read
from assistant.worker import stages
from assistant.worker.process.speech_ahead import SpeechAhead
from assistant.worker.speaking.sentences import Sentences, cache_for
from assistant.worker.speaking.voices import Voices
from tests.integration.test_failover import stand_ins
from tests.integration.test_stand_in_assemblyai import order
from tests.timing import scaled

PROJECT = Path(__file__).parents[2]
SORRY, HELLO, NEWS = "One moment.", "Hello there.", "Good morning."
MAKE_S = scaled(20)


def catalog(**agents: dict[str, Any]) -> Catalog:
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    own = document["agents"]["assistant"]
    plain = {**own, "resume_sentence": None, "dead_air": {"sentence": SORRY}}
    document["agents"] = {name: {**plain, **agent} for name, agent in agents.items()}
    document["default"] = next(iter(agents))
    return Catalog.from_source(json.dumps(document))


def settings(url: str, folder: Path) -> WorkerSettings:
    environ = {
        "LIVEKIT_URL": "ws://127.0.0.1:9",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "a-secret-of-thirty-two-characters",
        "GROQ_API_KEY": "key",
        "ASSEMBLYAI_API_KEY": "key",
        "INWORLD_API_KEY": "key",
        "ASSISTANT_INWORLD_URL": f"{url}/",
        "ASSISTANT_SPEECH_CACHE": str(folder),
    }
    return read(WorkerSettings, environ)


@asynccontextmanager
async def running(ahead: SpeechAhead) -> AsyncIterator[None]:
    work = asyncio.create_task(ahead.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def is_made(config: WorkerSettings, agents: Catalog, name: str, text: str) -> None:
    spec = agents.agents[name]
    async with asyncio.timeout(MAKE_S):
        while cache_for(spec, config).find(spec, text) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)


async def spoken(url: str, http: aiohttp.ClientSession) -> list[str]:
    """What the vendor was asked to say."""
    query = {"service": "inworld"}
    async with http.get(f"{url}/control/requests", params=query) as reply:
        asked = [each["content"] for each in (await reply.json())["requests"]]
    return [each["send_text"]["text"] for each in asked if each.get("send_text", {}).get("text")]


async def test_the_catalogs_sentences_are_made_before_anybody_calls(tmp_path: Path) -> None:
    """Each once for a voice, however many workers; after an outage too, and of a changed catalog.

    What is filled in for each session is not spoken, nor that of an agent that only writes.
    """
    agents = catalog(
        plain={"greeting": HELLO},
        twin={"greeting": HELLO},
        personal={"greeting": "Hello {{ name }}!"},
        writer={"greeting": "Hi.", "modality": "text"},
    )
    async with stand_ins() as (url, http):
        config = settings(url, tmp_path / "speech")
        await order(url, http, kind="fail", status=503, service="inworld", count=3)
        ahead = SpeechAhead(config, lambda: True, backoff_s=0.2)
        other = SpeechAhead(config, lambda: True, backoff_s=0.2)
        for worker in (ahead, other):
            worker.take(agents)
        async with running(ahead), running(other):
            await is_made(config, agents, "plain", SORRY)
            await is_made(config, agents, "personal", SORRY)
            await is_made(config, agents, "plain", HELLO)
            changed = catalog(plain={"greeting": NEWS})
            for worker in (ahead, other):
                worker.take(changed)
            await is_made(config, changed, "plain", NEWS)
        said = [text.strip() for text in await spoken(url, http)]
        assert sorted(said) == sorted([SORRY, HELLO, NEWS])


async def test_nothing_is_made_before_the_worker_is_ready(tmp_path: Path) -> None:
    """Whoever is still getting ready has no time for it."""
    agents = catalog(plain={"greeting": HELLO})
    async with stand_ins() as (url, http):
        ready = asyncio.Event()
        looked = asyncio.Event()

        def is_ready() -> bool:
            looked.set()
            return ready.is_set()

        config = settings(url, tmp_path / "speech")
        ahead = SpeechAhead(config, is_ready)
        ahead.take(agents)
        async with running(ahead):
            await looked.wait()
            assert await spoken(url, http) == []
            ready.set()
            await is_made(config, agents, "plain", HELLO)


async def test_only_the_agents_own_voice_is_kept(tmp_path: Path) -> None:
    """While another voice takes over, nothing is made: later callers would hear that one."""
    spare = {"provider": "inworld", "voice": "Dennis"}
    agents = catalog(plain={"greeting": HELLO, "fallbacks": {"tts": [spare]}})
    spec = agents.agents["plain"]
    async with stand_ins() as (url, http), http_context.open():
        config = settings(url, tmp_path / "speech")
        voice = stages.build_tts(spec, config)
        assert isinstance(voice.model, Voices)
        sentences = Sentences(spec, config, voice.model)
        fault = {"kind": "fail", "status": 503, "service": "inworld", "match": spec.tts.voice}
        await order(url, http, for_s=600, **fault)
        await sentences.make_missing()
        assert sentences.frames(HELLO) is None
        async with http.delete(f"{url}/control/faults"):
            await sentences.make_missing()
        assert sentences.frames(HELLO) is not None
        await voice.model.aclose()
        for _, vendor in voice.vendors:
            await vendor.aclose()
