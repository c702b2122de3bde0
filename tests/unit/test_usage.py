"""What was used, and what it costs."""

import pytest
from pydantic import ValidationError

from assistant.catalog.prices import Price, Prices, cost
from assistant.sessions.usage import Spent, Usage, together, total_cost

LLAMA = Usage(kind="llm", provider="groq", model="llama", input_tokens=10, cost=1.0)
VOICE = Usage(kind="tts", provider="inworld", model="voice", characters=5, cost=0.5)


def test_attempts_add_up() -> None:
    """By kind, provider and model; a cost that is unknown once is unknown in all."""
    one = Spent(models=(LLAMA, VOICE), currency="EUR")
    both = together([one, Spent(models=(LLAMA,), currency="EUR")])
    assert [(usage.model, usage.input_tokens, usage.cost) for usage in both.models] == [
        ("llama", 20, 2.0),
        ("voice", 0, 0.5),
    ]
    assert total_cost(both) == 2.5
    unknown = Spent(models=(LLAMA.model_copy(update={"cost": None}),), currency="EUR")
    assert total_cost(together([one, unknown])) is None


def test_two_currencies_have_no_sum() -> None:
    """The price table changed between two attempts."""
    mixed = together([Spent(models=(LLAMA,), currency=c) for c in ("EUR", "USD")])
    assert (mixed.currency, total_cost(mixed)) == (None, None)
    assert total_cost(Spent(models=(LLAMA,))) is None


def test_counted_quantities_are_those_that_are_there() -> None:
    """Under a name without room for confusion."""
    odd = LLAMA.model_copy(update={"model": "a|b"})
    assert Spent(models=(odd,), currency="EUR").flat() == {
        "llm|groq|a/b|input_tokens": 10,
        "llm|groq|a/b|cost EUR": 1.0,
    }


def test_costs() -> None:
    """By the million, by the minute; cached tokens at their own price; no price, no cost."""
    tokens = Price(input_tokens=2.0, cached_input_tokens=1.0, output_tokens=4.0)
    assert cost(
        tokens, input_tokens=1_000_000, cached_input_tokens=500_000, output_tokens=250_000
    ) == pytest.approx(1.0 + 0.5 + 1.0)
    plain = Price(input_tokens=2.0, output_tokens=4.0)
    assert cost(plain, input_tokens=1_000_000, cached_input_tokens=500_000) == 2.0
    assert cost(Price(audio_minute=0.6), audio_s=30.0) == pytest.approx(0.3)
    assert cost(Price(characters=10.0), characters=1000, audio_s=5.0) == pytest.approx(0.01)
    assert cost(Price(audio_minute=0.0), audio_s=30.0) == 0.0
    for price in (None, Price(audio_minute=1.0)):
        assert cost(price, input_tokens=5, output_tokens=0) == (None if price is None else 0.0)
    assert cost(plain, audio_s=5.0) is None


@pytest.mark.parametrize("written", [{}, {"input_tokens": 1.0}, {"cached_input_tokens": 1.0}])
def test_half_a_price_is_refused(written: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Price(**written)


def test_a_price_is_found_by_provider_and_model() -> None:
    price = Price(characters=1.0)
    table = Prices(currency="EUR", models={"inworld": {"voice": price}})
    assert table.of("inworld", "voice") == price
    assert table.of("inworld", "other") is table.of("groq", "voice") is None
