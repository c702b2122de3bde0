"""Spoken sums."""

import pytest

from assistant.local_stack.stand_ins.arithmetic import solve, with_digits


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("twenty five and six", "25 and 6"),
        ("two hundred thirty one", "231"),
        ("three thousand", "3000"),
        ("no numbers here", "no numbers here"),
    ],
)
def test_number_words(words: str, digits: str) -> None:
    """Number words become digits, other words stay."""
    assert with_digits(words) == digits


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("what is two plus two", "2 plus 2 is 4."),
        ("what is to plus to", "2 plus 2 is 4."),
        ("twenty five times four please", "25 times 4 is 100."),
        ("how much is 7 divided by 2", "7 divided by 2 is 3.5."),
        ("two plus three times four", "2 plus 3 times 4 is 14."),
        ("what is ten minus four", "10 minus 4 is 6."),
        ("one over zero minus one", "Nothing can be divided by zero."),
        ("five and six", None),
        ("we went over to the sea", None),
        ("hello", None),
    ],
)
def test_sums(words: str, answer: str | None) -> None:
    """Sums are solved with the usual precedence; what is none is left alone."""
    assert solve(words) == answer
