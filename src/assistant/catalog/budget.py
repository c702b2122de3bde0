"""What one session may use of its vendors: `budget` of an agent."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from assistant.catalog.fields import Frozen, OptionalGreeting
from assistant.catalog.prices import Price, Prices
from assistant.catalog.providers import LlmOptions, SttOptions, TtsOptions

if TYPE_CHECKING:
    from assistant.catalog.agent import AgentSpec

MAX_TOKENS = 1_000_000_000
MAX_COST = 1_000_000.0

Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Cost = Annotated[float, Field(gt=0, le=MAX_COST)]


class Budget(Frozen):
    """What one session may use, over all its attempts and agents; then it ends as `budget`."""

    max_tokens: Tokens | None = None
    """Tokens that language models read and write. None: as many as it takes."""
    max_cost: Cost | None = None
    """What all models may cost, in the currency of `prices`, where each of them must have a price.
    None: whatever it costs."""
    sentence: OptionalGreeting = "I am sorry, I have to end our conversation here. Goodbye."
    """What the agent says when one of them is used up. None or empty: nothing."""

    @property
    def is_set(self) -> bool:
        return self.max_tokens is not None or self.max_cost is not None


def unpriced(spec: "AgentSpec", prices: Prices | None) -> Iterator[tuple[str, str, str]]:
    """Each model that the session may use and that has no price: where, provider, and model."""
    for agent in (spec, *spec.team.values()):
        models: list[tuple[str, tuple[LlmOptions | SttOptions | TtsOptions, ...]]]
        models = [("llm", (agent.llm, *agent.fallbacks.llm))]
        if agent.modality == "voice":
            models.append(("stt", (agent.stt, *agent.fallbacks.stt)))
            models.append(("tts", (agent.tts, *agent.fallbacks.tts)))
        for stage, all_options in models:
            for index, options in enumerate(all_options):
                price = prices.of(options.provider, options.model) if prices else None
                if not _covers(price, stage):
                    path = stage if index == 0 else f"fallbacks.{stage}[{index - 1}]"
                    yield f"agents.{agent.name}.{path}", options.provider, options.model


def _covers(price: Price | None, stage: str) -> bool:
    """Whether what such a model does is charged by this price."""
    if price is None:
        return False
    if stage == "llm":
        return price.input_tokens is not None
    if stage == "stt":
        return price.audio_minute is not None
    return any(
        amount is not None for amount in (price.audio_minute, price.characters, price.input_tokens)
    )
