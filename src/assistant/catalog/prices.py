"""What vendors charge: `prices` of agents.yaml. Nothing is known of what it does not list."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from assistant.catalog.fields import CURRENCY_PATTERN, Frozen, Word, wrong

MAX_PROVIDERS = 50
MAX_MODELS = 200
MILLION = 1_000_000

Amount = Annotated[float, Field(ge=0, le=1_000_000)]


class Price(Frozen):
    """What one model costs, in the table's currency."""

    input_tokens: Amount | None = None
    """For a million tokens that a language model reads."""
    cached_input_tokens: Amount | None = None
    """For a million of them that the vendor had cached. None: like the others."""
    output_tokens: Amount | None = None
    """For a million tokens that a language model writes."""
    audio_minute: Amount | None = None
    """For a minute of speech, heard or made."""
    characters: Amount | None = None
    """For a million characters that are spoken."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.input_tokens is None) != (self.output_tokens is None):
            missing = "input_tokens" if self.input_tokens is None else "output_tokens"
            raise wrong("is missing: tokens have a price in both directions", missing)
        if self.cached_input_tokens is not None and self.input_tokens is None:
            raise wrong("needs input_tokens beside it", "cached_input_tokens")
        prices = (self.input_tokens, self.audio_minute, self.characters)
        if all(price is None for price in prices):
            raise wrong("must have a price: of tokens, of an audio_minute or of characters")
        return self


class Prices(Frozen):
    """The price table."""

    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN)]
    """Of all prices, such as `USD`."""
    models: Annotated[
        Mapping[Word, Annotated[Mapping[Word, Price], Field(min_length=1, max_length=MAX_MODELS)]],
        Field(min_length=1, max_length=MAX_PROVIDERS),
    ]
    """Prices by provider, then by model, both as agents write them."""

    def of(self, provider: str, model: str) -> Price | None:
        return self.models.get(provider, {}).get(model)


def cost(
    price: Price | None,
    *,
    input_tokens: int = 0,
    cached_input_tokens: int = 0,
    output_tokens: int = 0,
    audio_s: float = 0.0,
    characters: int = 0,
) -> float | None:
    """What was used costs by this price; None: it has no price for what was used.

    Speech is charged by what the price names: by the minute, by characters, or both.
    """
    if price is None:
        return None
    total = 0.0
    if input_tokens or output_tokens:
        if price.input_tokens is None or price.output_tokens is None:
            # A voice whose vendor also counts tokens, but charges by characters or minutes.
            if price.audio_minute is None and price.characters is None:
                return None
        else:
            cached = price.input_tokens
            if price.cached_input_tokens is not None:
                cached = price.cached_input_tokens
            fresh = max(input_tokens - cached_input_tokens, 0)
            total += (fresh * price.input_tokens + cached_input_tokens * cached) / MILLION
            total += output_tokens * price.output_tokens / MILLION
    elif (audio_s or characters) and price.audio_minute is None and price.characters is None:
        return None
    total += audio_s / 60 * (price.audio_minute or 0.0)
    total += characters * (price.characters or 0.0) / MILLION
    return total
