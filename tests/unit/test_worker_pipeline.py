"""Every provider that agents.yaml may name can be built with the real plugin."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import inference
from livekit.agents.job import _JobContextVar
from livekit.agents.utils import http_context
from livekit.plugins import silero
from livekit.plugins.turn_detector.multilingual import MultilingualModel

from assistant.catalog.agent import AgentSpec
from assistant.catalog.catalog import Catalog
from assistant.settings import VendorSettings
from assistant.worker import pipeline, stages
from assistant.worker.providers import inference as inference_builder
from assistant.worker.providers import registry
from assistant.worker.providers import silero as silero_builder

CATALOG = Catalog.load(Path(__file__).parents[2] / "agents.yaml")
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


def test_the_builtin_models_are_named_and_local() -> None:
    """Left unnamed, the SDK might choose its cloud's turn detector."""
    spec = changed(vad={"provider": "inference"}, turn_detection={"model": "v1-mini"})
    assert isinstance(inference_builder.build_vad(spec), inference.VAD)
    detector = inference_builder.build_turn_detection(spec)
    assert detector.model == "turn-detector-v1-mini"


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


def test_only_what_the_agents_use_is_imported() -> None:
    """A plugin costs memory in every worker, and the turn-detector one a process of its own."""
    modules = registry.modules_for(CATALOG.agents.values())
    assert not any("turn_detector" in name or "silero" in name for name in modules)
