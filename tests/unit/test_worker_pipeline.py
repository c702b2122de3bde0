"""Every provider that agents.yaml may name can be built with the real plugin."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from livekit import rtc
from livekit.agents import inference, vad
from livekit.agents.job import _JobContextVar
from livekit.agents.utils import http_context
from livekit.plugins import silero
from livekit.plugins.turn_detector.multilingual import MultilingualModel

from assistant.catalog.agent import AgentSpec
from assistant.catalog.catalog import Catalog
from assistant.catalog.errors import CatalogError, UnknownVoiceError
from assistant.catalog.overrides import Overrides
from assistant.errors import SettingsError
from assistant.rehearsal.speech import Speech, speak
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ
from assistant.settings import VendorSettings
from assistant.worker import pipeline, stages
from assistant.worker.errors import MissingExtraError
from assistant.worker.process.preflight import check_keys
from assistant.worker.providers import inference as inference_builder
from assistant.worker.providers import registry
from assistant.worker.providers import silero as silero_builder

ROOT = Path(__file__).parents[2]
CATALOG = Catalog.load(ROOT / "agents.yaml")
VENDORS = VendorSettings(
    GROQ_API_KEY="k",
    ASSEMBLYAI_API_KEY="k",
    INWORLD_API_KEY="k",
    ASSISTANT_INWORLD_URL="http://127.0.0.1:9/",
)


def changed(**changes: Any) -> AgentSpec:
    spec = CATALOG.agents["assistant"]
    return AgentSpec.model_validate_json(
        AgentSpec.model_validate({**spec.model_dump(), **changes}).model_dump_json()
    )


@pytest.mark.parametrize("name", sorted(CATALOG.agents))
async def test_every_shipped_agent_can_be_built(name: str) -> None:
    """agents.yaml as it ships works with the pinned SDK and plugins."""
    async with http_context.open():
        spec = CATALOG.agents[name]
        session = pipeline.build(spec, stages.build(spec, VENDORS))
        endpointing = session.options.endpointing
        assert endpointing["min_delay"] == spec.turn_handling.endpointing.min_delay_s
        assert session.options.interruption["mode"] == "vad"
        await asyncio.gather(session.aclose())


@pytest.mark.parametrize(
    ("detector", "own", "delays"),
    [
        ("v1-mini", {}, {"max_delay": 0.9}),
        ("v1-mini", {"min_delay_s": 1.2}, {"min_delay": 1.2, "max_delay": 1.2}),
        ("v1-mini", {"max_delay_s": 4}, {"max_delay": 4}),
        ("vad", {}, {}),
    ],
)
def test_delays_that_are_left_out(detector: str, own: Any, delays: dict[str, float]) -> None:
    """The measured one where the audio model decides; the SDK's for every other detector."""
    spec = changed(turn_detection={"model": detector}, turn_handling={"endpointing": own})
    given = dict(pipeline.turn_handling(spec)["endpointing"])
    assert {name: given[name] for name in given if name.endswith("_delay")} == delays


def test_the_builtin_models_are_named_and_local() -> None:
    """Left unnamed, the SDK might choose its cloud's turn detector."""
    spec = changed(vad={"provider": "inference"}, turn_detection={"model": "v1-mini"})
    assert isinstance(inference_builder.build_vad(spec), inference.VAD)
    detector = inference_builder.build_turn_detection(spec)
    assert detector.model == "turn-detector-v1-mini"


async def test_voices_are_heard_without_a_thread() -> None:
    """And as the SDK hears them on one: a thread costs more than the model."""
    said = await speak("Could you tell me when the night train leaves?")
    before = threading.active_count()
    ours = await voices(inference_builder.build_vad(changed(vad={"provider": "inference"})), said)
    assert threading.active_count() == before
    assert ours == await voices(inference.VAD(model="silero"), said)
    assert {kind for kind, _ in ours} == {"start_of_speech", "end_of_speech"}


async def voices(detector: vad.VAD, said: Speech) -> list[tuple[str, float]]:
    """What begins and ends in a sentence, and the silence behind it."""
    stream = detector.stream()
    sound = np.concatenate([said.samples, np.zeros(SAMPLE_RATE_HZ, dtype=np.int16)])
    step = SAMPLE_RATE_HZ // 50
    for at in range(0, len(sound) - step + 1, step):
        piece = sound[at : at + step].tobytes()
        stream.push_frame(rtc.AudioFrame(piece, SAMPLE_RATE_HZ, 1, step))
    stream.end_input()
    heard = [
        (event.type.value, event.timestamp)
        async for event in stream
        if event.type is not vad.VADEventType.INFERENCE_DONE
    ]
    await stream.aclose()
    return heard


def test_the_silero_plugin_can_be_chosen() -> None:
    spec = changed(vad={"provider": "silero"})
    assert isinstance(silero_builder.build_vad(spec), silero.VAD)


def test_the_turn_detector_extra_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its inference at a remote address, the multilingual model needs no download."""
    monkeypatch.setenv("LIVEKIT_REMOTE_EOT_URL", "http://127.0.0.1:9")
    spec = changed(turn_detection={"model": "multilingual"})
    module = registry.load(registry.TURN_DETECTION[spec.turn_detection.model])
    with in_a_job():
        assert isinstance(module.build_turn_detection(spec), MultilingualModel)


def test_the_english_model_says_that_its_weights_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Weights come by `download-files`; without them the job must fail, not guess."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    spec = changed(turn_detection={"model": "english"})
    module = registry.load(registry.TURN_DETECTION[spec.turn_detection.model])
    with in_a_job(), pytest.raises(Exception, match=r"(?i)find|local"):
        module.build_turn_detection(spec)


@contextmanager
def in_a_job() -> Iterator[None]:
    """The plugin asks the SDK's job context for the process that runs its model."""
    context: Any = SimpleNamespace(inference_executor=object())
    token = _JobContextVar.set(context)
    try:
        yield
    finally:
        _JobContextVar.reset(token)


OTHERS: dict[str, dict[str, Any]] = {
    "stt": {"provider": "deepgram", "keyterms": ["LiveKit"]},
    "tts": {"provider": "cartesia", "voice": "calm", "model": "sonic-3"},
}


def written_with(tmp_path: Path, voices: dict[str, Any], **changes: Any) -> Path:
    """The shipped file with another default agent and more voices."""
    document = yaml.safe_load((ROOT / "agents.yaml").read_text(encoding="utf-8"))
    document["agents"]["assistant"] |= {"public": {"voices": []}, **changes}
    document["voices"] |= voices
    file = tmp_path / "agents.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


CALM = {"calm": {"provider": "cartesia", "voice": "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"}}


def test_other_vendors_need_their_keys_and_nobody_elses(tmp_path: Path) -> None:
    """A worker does not start without the keys of the vendors in use; each is named."""
    catalog = Catalog.load(written_with(tmp_path, CALM, **OTHERS))
    only = Catalog(
        default="assistant",
        agents={"assistant": catalog.agents["assistant"]},
        voices=catalog.voices,
        written={},
        prices=None,
    )
    with pytest.raises(SettingsError) as caught:
        check_keys(only, {"GROQ_API_KEY": "k", "INWORLD_API_KEY": "k"})
    assert [problem.name for problem in caught.value.problems] == [
        "CARTESIA_API_KEY",
        "DEEPGRAM_API_KEY",
    ]
    check_keys(only, dict.fromkeys(("GROQ_API_KEY", "CARTESIA_API_KEY", "DEEPGRAM_API_KEY"), "k"))


def test_a_plugin_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker says which extra is missing before it takes a job."""
    agents = Catalog.load(written_with(tmp_path, CALM, **OTHERS)).agents.values()
    registry.check_installed(agents)
    monkeypatch.setitem(sys.modules, "livekit.plugins.deepgram", None)
    with pytest.raises(MissingExtraError, match="deepgram"):
        registry.check_installed(agents)


def test_a_voice_belongs_to_its_vendor(tmp_path: Path) -> None:
    """An alias gives its vendor's own name; another vendor's agent may not use it."""
    catalog = Catalog.load(written_with(tmp_path, CALM, **OTHERS))
    spec = catalog.agents["assistant"]
    assert (spec.voice, spec.tts.voice) == ("calm", CALM["calm"]["voice"])
    assert spec.stt.provider == "deepgram"
    assert (spec.stt.language, spec.tts.language) == ("en-US", "en-US")
    asked = catalog.resolve(Overrides(language="de-DE"))
    assert getattr(asked.stt, "language", None) == "de-DE"
    with pytest.raises(UnknownVoiceError):
        catalog.resolve(Overrides(voice="inworld-male-1"))
    stranger = written_with(tmp_path, CALM, tts={**OTHERS["tts"], "voice": "inworld-male-1"})
    with pytest.raises(CatalogError, match="'inworld-male-1' is a voice of inworld"):
        Catalog.load(stranger)


def test_only_what_the_agents_use_is_imported() -> None:
    """A plugin costs memory in every worker, and the turn-detector one a process of its own."""
    modules = registry.modules_for(CATALOG.agents.values())
    assert not any("turn_detector" in name or "silero" in name for name in modules)


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ({}, 16_000),
        ({"stt": {"provider": "assemblyai", "sample_rate": 8_000}}, 8_000),
        ({"record": "audio"}, 24_000),
    ],
)
def test_the_caller_is_heard_at_the_recognizers_rate(changes: dict[str, Any], rate: int) -> None:
    """Nothing is held back by a resampler, but where a recording profits from a higher rate."""
    options = pipeline.room_options(
        changed(**changes), user_identity=None, equipped=asyncio.Event().wait
    ).get_audio_input_options()
    assert options is not None
    assert (options.sample_rate, options.frame_size_ms) == (rate, pipeline.FRAME_MS)
