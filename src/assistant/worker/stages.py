"""AgentSpec -> the three models of a conversation, each with whoever takes over for it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from livekit.agents import llm, stt, tts

from assistant.catalog.agent import AgentSpec
from assistant.settings import VendorSettings
from assistant.worker.answering.language_models import LanguageModels
from assistant.worker.hearing.recognizers import Recognizers
from assistant.worker.providers import registry
from assistant.worker.speaking.voices import Voices

T = TypeVar("T")


@dataclass(frozen=True)
class Stage(Generic[T]):
    """`model` is what the conversation uses; `vendors` what is behind it, the first one first."""

    name: str
    model: T
    vendors: tuple[tuple[str, T], ...]


@dataclass(frozen=True)
class Stages:
    """The models of one agent; None: those of the conversation."""

    stt: Stage[stt.STT[Any]] | None
    llm: Stage[llm.LLM[Any]] | None
    tts: Stage[tts.TTS[Any]] | None

    def __iter__(self) -> Iterator[Stage[Any]]:
        return (stage for stage in (self.stt, self.llm, self.tts) if stage is not None)


def build(spec: AgentSpec, vendors: VendorSettings) -> Stages:
    """Build all three; who only writes needs no more than the language model.

    Raises:
        MissingExtraError: a provider's package is not installed.
        ValueError: a plugin refuses an option that the catalog let through.
    """
    language = build_llm(spec, vendors)
    if spec.modality == "text":
        return Stages(None, language, None)
    return Stages(build_stt(spec, vendors), language, build_tts(spec, vendors))


def models(built: Stages) -> dict[str, Any]:
    """By their stages' names, as the SDK takes them."""
    return {stage.name: stage.model for stage in built}


def build_stt(spec: AgentSpec, vendors: VendorSettings) -> Stage[stt.STT[Any]]:
    def together(models: list[stt.STT[Any]]) -> stt.STT[Any]:
        return Recognizers(models, patience_s=spec.fallbacks.attempt_timeout_s)

    options = (spec.stt, *spec.fallbacks.stt)
    return _stage("stt", options, registry.STT, _builder(spec, vendors, "stt"), together)


def build_llm(spec: AgentSpec, vendors: VendorSettings) -> Stage[llm.LLM[Any]]:
    fallbacks = spec.fallbacks
    patience_s = fallbacks.attempt_timeout_s if fallbacks.llm else spec.llm.timeout_s

    def together(models: list[llm.LLM[Any]]) -> llm.LLM[Any]:
        return LanguageModels(models, patience_s=patience_s)

    options = (spec.llm, *fallbacks.llm)
    return _stage("llm", options, registry.LLM, _builder(spec, vendors, "llm"), together)


def build_tts(spec: AgentSpec, vendors: VendorSettings) -> Stage[tts.TTS[Any]]:
    alone_s = min(spec.tts.timeout_s, spec.dead_air.after_s)
    patience_s = spec.fallbacks.attempt_timeout_s if spec.fallbacks.tts else alone_s

    def together(models: list[tts.TTS[Any]]) -> tts.TTS[Any]:
        return Voices(models, patience_s=patience_s)

    options = (spec.tts, *spec.fallbacks.tts)
    return _stage("tts", options, registry.TTS, _builder(spec, vendors, "tts"), together)


def _builder(spec: AgentSpec, vendors: VendorSettings, key: str) -> Callable[[str, Any], Any]:
    def build_one(module: str, options: Any) -> Any:
        # A vendor's module builds from the agent's own options of its stage.
        own = spec.model_copy(update={key: options})
        return registry.load(module).build(own, vendors)

    return build_one


def _stage(
    name: str,
    all_options: Iterable[Any],
    modules: dict[str, str],
    build_one: Callable[[str, Any], T],
    together: Callable[[list[T]], T],
) -> Stage[T]:
    built = tuple(
        (str(options.provider), build_one(modules[options.provider], options))
        for options in all_options
    )
    return Stage(name, together([model for _, model in built]), built)
