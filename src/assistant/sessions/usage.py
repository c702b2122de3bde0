"""What a conversation used of each vendor's model, and what that costs. Pure."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["llm", "stt", "tts"]
QUANTITIES = ("input_tokens", "cached_input_tokens", "output_tokens", "audio_s", "characters")


class Usage(BaseModel):
    """One model's use, added up; `cached_input_tokens` are among the `input_tokens`.

    `audio_s`: seconds of speech that were heard or made. `cost`: None without a price.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    provider: str
    model: str
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    audio_s: float = 0.0
    characters: int = 0
    cost: float | None = None


class Spent(BaseModel):
    """What one attempt's agent used so far; `currency`: None where there is no price table."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    models: tuple[Usage, ...] = ()
    currency: str | None = None

    def flat(self) -> dict[str, float]:
        """Every quantity that is not 0, as `kind|provider|model|quantity`."""
        found: dict[str, float] = {}
        for usage in self.models:
            label = "|".join(_plain(part) for part in (usage.kind, usage.provider, usage.model))
            for name in QUANTITIES:
                if amount := getattr(usage, name):
                    found[f"{label}|{name}"] = amount
            if usage.cost and self.currency:
                found[f"{label}|cost {self.currency}"] = usage.cost
        return found


def together(attempts: Iterable[Spent]) -> Spent:
    """Several attempts' use as one. A cost is None where one of its parts is."""
    models: dict[tuple[str, str, str], Usage] = {}
    currencies: set[str] = set()
    for spent in attempts:
        currencies |= {spent.currency} if spent.currency else set()
        for usage in spent.models:
            key = (usage.kind, usage.provider, usage.model)
            models[key] = _sum(models[key], usage) if key in models else usage
    # Prices of two currencies (the table changed in between) have no sum.
    if len(currencies) > 1:
        models = {key: usage.model_copy(update={"cost": None}) for key, usage in models.items()}
    currency = currencies.pop() if len(currencies) == 1 else None
    return Spent(models=tuple(models.values()), currency=currency)


def total_cost(spent: Spent) -> float | None:
    """What all models cost together; None if one of them has no price, or there is no table."""
    costs = [usage.cost for usage in spent.models]
    if spent.currency is None or any(cost is None for cost in costs):
        return None
    return sum(cost for cost in costs if cost is not None)


def _sum(one: Usage, other: Usage) -> Usage:
    added = {name: getattr(one, name) + getattr(other, name) for name in QUANTITIES}
    known = one.cost is not None and other.cost is not None
    cost = (one.cost or 0.0) + (other.cost or 0.0) if known else None
    return one.model_copy(update={**added, "cost": cost})


def _plain(part: str) -> str:
    return part.replace("|", "/")
