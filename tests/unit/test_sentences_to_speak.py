"""How soon there is something to say of an answer that is still being written."""

import asyncio

import pytest

from assistant.worker.providers.sentences import sentences


async def cut(text: str) -> tuple[int, list[str]]:
    """How much had been written when the first sentence was there; and all of them."""
    stream, cut_off, first_after = sentences(retain_format=True).stream(), list[str](), len(text)

    async def read() -> None:
        nonlocal first_after
        async for piece in stream:
            first_after = written if not cut_off else first_after
            cut_off.append(piece.token)

    reading = asyncio.create_task(read())
    written = 0
    for written in range(1, len(text) + 1):
        stream.push_text(text[written - 1])
        await asyncio.sleep(0)
    stream.end_input()
    await reading
    return first_after, cut_off


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It is noon. Is there anything else that I can do?", "It is noon."),
        ("Sure. The night train leaves at nine.", "Sure."),
        ("Dr. Miller is free at 3 p.m. on Tuesday. Is that good?", "Dr. Miller is free at 3 p.m."),
        ("That costs 3.50 euros. Anything else?", "That costs 3.50 euros."),
    ],
)
async def test_a_short_first_sentence_does_not_wait_for_the_next(text: str, first: str) -> None:
    """It is there as soon as the next one has begun, whole, and nothing is lost behind it."""
    after, pieces = await cut(text)
    assert pieces[0].startswith(first)
    assert after <= len(pieces[0]) + 6
    assert "".join(pieces) == text
