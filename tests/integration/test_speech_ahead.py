"""What agents say to everybody, in their own voice alone."""

from pathlib import Path
from typing import Any

import yaml
from livekit.agents.utils import http_context

from assistant.catalog.catalog import Catalog
from assistant.settings import WorkerSettings, read
from assistant.worker import stages
from assistant.worker.speaking.sentences import Sentences
from assistant.worker.speaking.voices import Voices
from tests.integration.test_failover import stand_ins
from tests.integration.test_stand_in_assemblyai import order

PROJECT = Path(__file__).parents[2]
SORRY, HELLO = "One moment.", "Hello there."


def catalog(**agents: dict[str, Any]) -> Catalog:
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    own = document["agents"]["assistant"]
    plain = {**own, "resume_sentence": None, "dead_air": {"sentence": SORRY}}
    document["agents"] = {name: {**plain, **agent} for name, agent in agents.items()}
    document["default"] = next(iter(agents))
    return Catalog.from_source(yaml.safe_dump(document))


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
