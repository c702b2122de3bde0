"""What a conversation uses of each vendor's models, told as it goes on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from livekit.agents import AgentSession
from livekit.agents.metrics import LLMModelUsage, ModelUsage, STTModelUsage, TTSModelUsage

from assistant.catalog.agent import AgentSpec
from assistant.catalog.prices import Prices, cost
from assistant.sessions.usage import Kind, Spent, Usage, together

_KINDS: Mapping[str, Kind] = {"llm": "llm", "stt": "stt", "tts": "tts"}


class Spending:
    """Follows one conversation; tells after every message how much was used so far.

    The SDK names a vendor by its address or its brand: here it has the name that agents.yaml uses,
    found by the stage and the model. Source: livekit-agents 1.8.9, `metrics/usage.py`.
    """

    def __init__(
        self, write_down: Callable[[Spent], None], spec: AgentSpec, prices: Prices | None
    ) -> None:
        self._write_down = write_down
        self._prices = prices
        self._providers = dict(_providers(spec.model_dump(mode="json")))
        self._conversation: AgentSession[Any] | None = None
        self._besides = Spent()
        self._told = Spent()

    def follow(self, conversation: AgentSession[Any]) -> None:
        self._conversation = conversation
        conversation.on("conversation_item_added", lambda _event: self.tell())

    def add(self, usage: Usage) -> None:
        """Count what was used besides the conversation, such as for its report."""
        price = cost_of(usage, self._prices)
        self._besides = together((self._besides, Spent(models=(priced(usage, price),))))

    def tell(self) -> None:
        """Tell of everything so far, if it is more than before."""
        spent = self.so_far()
        if spent != self._told:
            self._told = spent
            self._write_down(spent)

    def so_far(self) -> Spent:
        used = self._conversation.usage.model_usage if self._conversation else ()
        models = [priced(usage, cost_of(usage, self._prices)) for usage in self._usages(used)]
        # Those of one model under two names of the vendor are one.
        spent = together(Spent(models=(usage,)) for usage in (*models, *self._besides.models))
        currency = self._prices.currency if self._prices else None
        return Spent(models=spent.models, currency=currency)

    def _usages(self, used: list[ModelUsage] | tuple[()]) -> Iterator[Usage]:
        for entry in used:
            match entry:
                case LLMModelUsage():
                    yield Usage(
                        kind="llm",
                        **self._names("llm", entry),
                        input_tokens=entry.input_tokens,
                        cached_input_tokens=entry.input_cached_tokens,
                        output_tokens=entry.output_tokens,
                    )
                case STTModelUsage():
                    yield Usage(
                        kind="stt", **self._names("stt", entry), audio_s=entry.audio_duration
                    )
                case TTSModelUsage():
                    yield Usage(
                        kind="tts",
                        **self._names("tts", entry),
                        input_tokens=entry.input_tokens,
                        output_tokens=entry.output_tokens,
                        audio_s=entry.audio_duration,
                        characters=entry.characters_count,
                    )
                case _:
                    pass  # turn detection and the like run here, and cost nothing

    def _names(self, kind: Kind, entry: Any) -> dict[str, str]:
        provider = self._providers.get((kind, entry.model), entry.provider or "unknown")
        return {"provider": provider, "model": entry.model or "unknown"}


def cost_of(usage: Usage, prices: Prices | None) -> float | None:
    """What the use costs; None: it has no price."""
    if prices is None:
        return None
    return cost(
        prices.of(usage.provider, usage.model),
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        audio_s=usage.audio_s,
        characters=usage.characters,
    )


def priced(usage: Usage, price: float | None) -> Usage:
    return usage.model_copy(update={"cost": price})


def _providers(value: Any, kind: Kind | None = None) -> Iterator[tuple[tuple[Kind, str], str]]:
    """Every stage's (kind, model) and its provider, wherever in the spec it stands."""
    if isinstance(value, list):
        for entry in value:
            yield from _providers(entry, kind)
    if not isinstance(value, dict):
        return
    provider, model = value.get("provider"), value.get("model")
    if kind is not None and isinstance(provider, str) and isinstance(model, str):
        yield (kind, model), provider
    for key, inner in value.items():
        yield from _providers(inner, _KINDS.get(key, kind))
