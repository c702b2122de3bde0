"""What of one conversation may be written down, and in which words."""

import json
from dataclasses import dataclass
from typing import Any

from assistant.catalog.agent import AgentSpec
from assistant.catalog.privacy import RecordMode
from assistant.redaction import redacted, redacted_value
from assistant.sessions.item import MAX_ITEM_CHARS, Item


@dataclass(frozen=True)
class Discretion:
    """`record` and `redact` of the agent that the session began with."""

    record: RecordMode
    redact: bool = False

    @classmethod
    def of(cls, spec: AgentSpec) -> "Discretion":
        return cls(spec.record, spec.redact)

    @property
    def keeps_words(self) -> bool:
        return self.record != "none"

    @property
    def tells_live(self) -> bool:
        """Whether words may be told before they are all said.

        Not where they are redacted: the first digits of a number are no number yet.
        """
        return self.keeps_words and not self.redact

    def item(self, item: Item) -> Item | None:
        """The item as it may be kept and told, with bounded texts; None: it may not.

        It is cut last, so that half a number is not taken for none.
        """
        if not self.keeps_words:
            return None
        changes: dict[str, Any] = {"text": self.text(item.text)[:MAX_ITEM_CHARS]}
        if item.tool is not None:
            tool = {
                name: self.json_text(getattr(item.tool, name))[:MAX_ITEM_CHARS]
                for name in ("arguments", "output")
            }
            changes["tool"] = item.tool.model_copy(update=tool)
        return item.model_copy(update=changes)

    def unfinished(self, item: Item) -> Item | None:
        """The same of an item that is not over: half a number cannot be told from none."""
        return None if self.redact and item.text else self.item(item)

    def text(self, text: str) -> str:
        return redacted(text) if self.redact else text

    def json_text(self, text: str) -> str:
        """A text that may be JSON, and then stays JSON."""
        if not self.redact:
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return redacted(text)
        cleaned = redacted_value(value)
        return text if cleaned == value else json.dumps(cleaned, ensure_ascii=False)


NOTHING = Discretion("none")
"""Until an agent's own word is known."""
