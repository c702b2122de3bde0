"""Words while they are spoken: what a job tells of them."""

from assistant.sessions.words import MAX_WORDS_CHARS, Words
from assistant.worker.record.discretion import NOTHING, Discretion
from assistant.worker.record.live_words import Line


def text_of(words: Words | None) -> str | None:
    return None if words is None else words.text


def test_a_recognizers_second_thoughts_replace_its_first() -> None:
    """What was final stays; what comes behind it is told as it is understood now."""
    line = Line("user", 1)
    heard = [
        ("What", False),
        ("What is", False),
        ("What is it", True),
        ("an", False),
        ("and", True),
    ]
    told = [text_of(line.heard(text, final=final)) for text, final in heard]
    assert told == ["What", "What is", "What is it", "What is it an", "What is it and"]


def test_a_line_becomes_its_item_and_the_next_one_begins() -> None:
    """Whoever watches can tell which item took whose place, and lines from one another."""
    line = Line("user", 2)
    first = line.heard("Hello", final=True)
    became = line.became("item-1")
    assert first is not None
    assert became is not None
    assert (became.id, became.item, became.text) == (first.id, "item-1", "Hello")
    second = line.heard("Again", final=False)
    assert second is not None
    assert second.id != first.id
    nothing = line.became(None)
    assert nothing is not None
    assert (nothing.id, nothing.text, nothing.item) == (second.id, "", None)
    # Somebody typed: no line became that.
    assert line.became("item-2") is None


def test_what_is_late_for_its_item_begins_no_line() -> None:
    """The voice's last words may come behind the item that has them; the next answer is whole."""
    line = Line("assistant", 1)
    assert text_of(line.spoken("It is ")) == "It is"
    assert text_of(line.became("item-1")) == "It is"
    assert line.spoken("ten.") is None
    line.part_over()
    assert text_of(line.spoken("And now")) == "And now"


def test_an_answer_in_parts_is_one_line() -> None:
    """A pause in the voice ends no line, and what only the voice needs is not shown."""
    line = Line("assistant", 1)
    line.spoken("One. ")
    line.part_over()
    assert text_of(line.spoken("Two.")) == "One. Two."
    line.part_over()
    line.became("item-1")
    assert text_of(line.spoken("Three.")) == "Three."


def test_of_a_long_line_the_end_is_told() -> None:
    """Where it grows; a word in a network never becomes a book."""
    told = Line("assistant", 1).spoken(f"{'word ' * MAX_WORDS_CHARS}end")
    assert told is not None
    assert len(told.text) == MAX_WORDS_CHARS
    assert told.text.startswith("…")
    assert told.text.endswith(" end")
    assert Words.decode(told.encode()) == told
    assert Words.decode('{"id": "of another release"}') is None
    assert Words.decode("[]") is None


def test_half_a_number_is_told_to_nobody() -> None:
    """Neither where nothing is written down, nor where numbers would be taken out of it."""
    assert Discretion("text").tells_live
    assert Discretion("audio").tells_live
    for silent in (NOTHING, Discretion("none", redact=True), Discretion("text", redact=True)):
        assert not silent.tells_live
