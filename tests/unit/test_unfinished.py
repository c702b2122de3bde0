"""What would be on record if the agent were lost in the middle of it."""

from livekit.agents.llm import FunctionCall

from assistant.worker.record.discretion import Discretion
from assistant.worker.record.unfinished import NOT_KNOWN, Unfinished

CALL = FunctionCall(call_id="c1", name="book_table", arguments='{"guests": 2}')


def test_a_tool_that_runs_may_have_been_done() -> None:
    """The next agent reads that nobody knows; what is over is no more in it."""
    unfinished = Unfinished(attempt=2)
    unfinished.runs(CALL)
    (item,) = unfinished
    assert item.tool is not None
    assert (item.tool.name, item.tool.output, item.tool.is_error) == ("book_table", NOT_KNOWN, True)
    assert (item.id, item.attempt, item.lost) == (CALL.id, 2, True)
    assert unfinished.ran("c1")
    assert not unfinished.ran("c1")
    assert list(unfinished) == []


def test_words_that_were_heard_are_an_interrupted_answer() -> None:
    unfinished = Unfinished(attempt=1)
    for text, now in ((" ", 9.0), ("It is ", 10.0), ("ten", 11.0)):
        unfinished.says(text, now)
    (item,) = unfinished
    assert (item.role, item.text, item.interrupted, item.lost) == (
        "assistant",
        "It is ten",
        True,
        True,
    )
    assert unfinished.said()
    assert not unfinished.said()
    assert list(unfinished) == []


def test_half_a_number_is_not_kept_where_numbers_are_redacted() -> None:
    """Words only once they are whole; a tool's arguments are whole, and redacted."""
    unfinished = Unfinished(attempt=1)
    unfinished.says("Your card is 4111 1111", 1.0)
    unfinished.runs(CALL.model_copy(update={"arguments": '{"mail": "ann@example.com"}'}))
    told = [Discretion("text", redact=True).unfinished(item) for item in unfinished]
    assert told[0] is None
    assert told[1] is not None
    assert told[1].tool is not None
    assert told[1].tool.arguments == '{"mail": "[email]"}'
    assert [Discretion("none").unfinished(item) for item in unfinished] == [None, None]
