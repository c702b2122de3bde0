"""What is sealed can be read by nobody without both halves of the key."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_service.sealing import Seal

SECRET = "s" * 40


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_sealed_and_opened(plain: bytes, context: bytes) -> None:
    """The same secret and context give back what was sealed; others give nothing."""
    sealed = Seal(SECRET).seal(context, plain)
    assert Seal(SECRET).open(context, sealed) == plain
    assert Seal(SECRET).open(context + b"x", sealed) is None
    assert Seal("t" * 40).open(context, sealed) is None


def test_the_same_twice_looks_different() -> None:
    """Nobody can tell equal answers from different ones."""
    assert Seal(SECRET).seal(b"c", b"answer") != Seal(SECRET).seal(b"c", b"answer")


@pytest.mark.parametrize("position", [0, 11, 12, 20, -17, -16, -1])
def test_a_changed_byte_is_noticed(position: int) -> None:
    """Nonce, text and authentication are all covered."""
    data = bytearray(base64.b64decode(Seal(SECRET).seal(b"c", b"an answer")))
    data[position] ^= 1
    assert Seal(SECRET).open(b"c", base64.b64encode(data).decode()) is None


@pytest.mark.parametrize("length", [0, 1, 12, 27])
def test_what_is_too_short_is_nothing(length: int) -> None:
    """Whatever lies in Redis, opening it does not fail otherwise."""
    assert Seal(SECRET).open(b"c", base64.b64encode(b"x" * length).decode()) is None
