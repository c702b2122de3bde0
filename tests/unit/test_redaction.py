"""Redaction: what is taken out of a text, what is left alone, and what it costs."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.redaction import redacted, redacted_value
from assistant.spoken_numbers import is_card
from tests.timing import scaled

CARD = "4111111111111111"
DIGIT_WORDS = "zero one two three four five six seven eight nine"
WORDS = dict(zip("0123456789", DIGIT_WORDS.split(), strict=True))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("My card is 4111 1111 1111 1111, thanks.", "My card is [card], thanks."),
        ("4111-1111-1111-1111 exp 12/26", "[card] exp 12/26"),
        ("It is 4111, 1111, 1111, 1111.", "It is [card]."),
        ("Amex 3782 822463 10005!", "Amex [card]!"),
        ("card 378282246310005", "card [card]"),
        ("four " + "one " * 15 + "please", "[card] please"),
        ("4, 1, 1, 1, " + "1, " * 11 + "1 ok", "[card] ok"),
        ("Call +49 (0)151 2345 6789 now", "Call [phone] now"),
        ("(212) 555-1234, or 212.555.1234.", "[phone], or [phone]."),
        ("tel:+4915112345678", "tel:[phone]"),
        ("01 23 45 67 89", "[phone]"),
        ("five five five one two three four", "[phone]"),
        ("triple nine, five five five, double two", "[phone]"),
        ("eight hundred five five five one two one two", "[phone]"),
        ("twenty-one thirty-two forty three ten", "[phone]"),
        ("five five five, uh, one two um three four", "[phone]"),
        ("null eins fünf eins zwo drei vier", "[phone]"),
        ("zéro six un deux trois quatre cinq", "[phone]"),
        ("cero seis uno dos tres cuatro cinco", "[phone]"),
        ("555 123 4567 555 987 6543", "[phone]"),
        ("5551234567, 5559876543", "[phone], [phone]"),
        ("a misheard 4111 1111 1111 1112", "a misheard [phone]"),
        ("the order is 1234567", "the order is [phone]"),
        ("I'm jane.doe+x@mail.example.co.uk.", "I'm [email]."),
        ("jane dot doe at example dot com please", "[email] please"),
        ("j a n e at gmail dot com", "[email]"),
        ("jane underscore doe at hot mail dot com", "[email]"),
        ("Jane at example.com, or jane @ example.com", "[email], or [email]"),
        ("max punkt muster at web punkt de", "[email]"),
    ],
)
def test_what_gives_somebody_away_is_gone(said: str, kept: str) -> None:
    """Written by a recognizer or by hand, in groups or in words; the rest of the text stays."""
    assert redacted(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "2026-05-01T12:00:00.000Z and 2026-05-01 12:30",
        "On 01.05.2026, 12/05/2026 or 5/12/26 at 12:30, 12:45:10 sharp.",
        "It costs 1,234,567.89, or $1,234,567, or 1 500 000 euros, or 12.50 dollars.",
        "Order 123456, then order 654321.",
        "127.0.0.1:40001 and 192.168.100.200",
        "123e4567-e89b-12d3-a456-426614174000 and AJ_a1234567890",
        "In 2019, 2020, 2021, and 2018 2019 2020.",
        "at 1753912345.123, after 0.123456789 s",
        "We open at nine thirty and close at seventeen thirty, five days a week.",
        "Nine thousand eight hundred and seventy, in nineteen eighty four.",
        "From one to two, three or four of us, five at most; room 1204, floor 12.",
        "Take 10, 20, 30 and 40.",
        "Look at example.com, or meet us at example dot com.",
        "We arrived at the station at 5.30, dot matrix printers at hand.",
        "a shipment 41111111111111123 on its way",
    ],
)
def test_what_only_looks_like_it_stays(said: str) -> None:
    """Dates, times, prices, amounts, short numbers, network addresses, ids, web sites."""
    assert redacted(said) == said


@given(st.integers(0, 10**14 - 1), st.lists(st.sampled_from([" ", "-", "", ", "]), min_size=15))
def test_no_card_gets_through(body: int, gaps: list[str]) -> None:
    """Of any number, however it is grouped, no four digits in a row are left; spoken, no word."""
    digits = f"4{body:014d}"
    check = next(d for d in "0123456789" if is_card(digits + d))
    number = digits + check
    grouped = "".join(
        digit + (gaps[place] if place % 4 == 3 and place < 15 else "")
        for place, digit in enumerate(number)
    )
    if ", " not in grouped:
        assert redacted(f"it is {grouped} ok") == "it is [card] ok"
    spoken = " ".join(WORDS[digit] for digit in number)
    assert redacted(f"it is {spoken} ok") == "it is [card] ok"


@given(st.text(max_size=200))
def test_whatever_is_said_comes_out_as_text(said: str) -> None:
    """And a second time changes nothing: what it puts in is not what it looks for."""
    once = redacted(said)
    assert redacted(once) == once


def test_values_of_all_depths() -> None:
    """What a tool was given stays JSON: a telling number becomes a text, the others stay."""
    given_to = {"to": ["jane@example.com"], "card": int(CARD), "n": 3, "ok": True, "x": 0.5}
    cleaned = redacted_value(given_to)
    assert cleaned == {"to": ["[email]"], "card": "[card]", "n": 3, "ok": True, "x": 0.5}
    assert json.loads(json.dumps(cleaned)) == cleaned


@pytest.mark.parametrize("piece", ["a ", "1 ", "one ", "a@", "x at y ", "1.1.", "1,234,", "a dot "])
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    """The time grows with the length, not with its square: four messages' worth at once."""
    started_at = time.process_time()
    redacted(piece * (32_000 // len(piece)))
    assert time.process_time() - started_at < scaled(2)
