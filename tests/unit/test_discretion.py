"""What of a conversation is written down."""

import json

from assistant.catalog.report import Report
from assistant.sessions.item import MAX_ITEM_CHARS, Item, ToolUse
from assistant.worker.record.analysis import Analysis
from assistant.worker.record.discretion import NOTHING, Discretion

CARD = "4111 1111 1111 1111"


def used(arguments: str, output: str = "") -> Item:
    tool = ToolUse(name="pay", call_id="c", arguments=arguments, output=output, is_error=False)
    return Item(id="1", role="tool", text="", interrupted=False, at=1.0, tool=tool)


def said(text: str) -> Item:
    return Item(id="1", role="user", text=text, interrupted=False, at=1.0)


def test_nothing_is_kept_before_the_agent_says_so() -> None:
    """A job that does not know its agent yet tells no word; nor does one that must not."""
    for silent in (NOTHING, Discretion("none"), Discretion("none", redact=True)):
        assert silent.item(said("off the record")) is None
        assert silent.item(used("{}")) is None
    assert Discretion("text").item(said(CARD)) == said(CARD)
    assert Discretion("audio").item(said(CARD)) == said(CARD)


def test_redacted_items_are_still_what_they_were() -> None:
    """Texts lose what gives somebody away; JSON stays JSON, and what is clean stays as it is."""
    discretion = Discretion("text", redact=True)
    words = discretion.item(said("It is jane dot doe at example dot com."))
    assert words is not None
    assert words.text == "It is [email]."
    tool = discretion.item(used('{"card": 4111111111111111, "n": 2}', f"paid with {CARD}"))
    assert tool is not None
    assert tool.tool is not None
    assert json.loads(tool.tool.arguments) == {"card": "[card]", "n": 2}
    assert tool.tool.output == "paid with [card]"
    clean = used('{"n":  2}', "fine")
    assert discretion.item(clean) == clean


def test_half_a_number_is_not_left_at_the_cut() -> None:
    """A text is redacted as a whole, and cut then; without redaction it is only cut."""
    long = "x" * (MAX_ITEM_CHARS - 10) + f" {CARD}"
    redacted = Discretion("text", redact=True).item(said(long))
    plain = Discretion("text").item(said(long))
    assert redacted is not None
    assert plain is not None
    assert redacted.text.endswith(" [card]")
    assert len(plain.text) == MAX_ITEM_CHARS


def test_facts_are_valid_or_missing() -> None:
    """What a model made of the words goes the same way."""
    schema = {
        "type": "object",
        "properties": {"mail": {"type": "string"}, "card": {"type": "integer"}},
    }
    wanted = Report.model_validate({"extract": {"schema": schema}})
    criteria = ({"criterion": "c", "met": True, "reason": "she said 212 555 1234"},)
    found = Analysis(summary=f"paid with {CARD}", criteria=criteria, extracted={"mail": "a@b.de"})
    cleaned = found.redacted(wanted)
    assert (cleaned.summary, cleaned.extracted) == ("paid with [card]", {"mail": "[email]"})
    assert cleaned.criteria[0]["reason"] == "she said [phone]"
    broken = Analysis(extracted={"card": 4111111111111111}).redacted(wanted)
    assert broken.extracted is None
    assert "not valid" in broken.missing["extract"]
