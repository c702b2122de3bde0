"""Where one language model goes on with another's answer. Pure."""

import re

from livekit.agents import ChatContext
from livekit.agents.llm import ChatMessage

GO_ON = (
    "Your last answer broke off in the middle. Go on with it exactly where it ended, without "
    "repeating what is there and without a word about this. If nothing is missing, say nothing."
)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
# Behind, or in front of which, no space is missing.
_OPENS = frozenset(" \n\t([{\"'“\u2018-/")
_CLOSES = frozenset(" \n\t.,;:!?…)]}\"'”\u2019-/")


def going_on(context: ChatContext, said: str) -> ChatContext:
    """The conversation as the next vendor reads it: the half answer, and what is asked of it."""
    half = ChatMessage(role="assistant", content=[said])
    return ChatContext(
        [*context.items, half, ChatMessage(role="system", content=[GO_ON])],
    )


class Seam:
    """What comes behind `said`, without what is said once more.

    Models begin again, with the whole answer or with the sentence that they are in, whatever they
    are told. What may be a repetition is held back until it is one, or is not.
    """

    def __init__(self, said: str) -> None:
        whole = said.strip()
        self._said = said
        self._held = ""
        self._begun = False
        #: What a repetition would be, the longest first.
        self._repeats = sorted({whole, _SENTENCE_END.split(whole)[-1]} - {""}, key=len)[::-1]

    def push(self, text: str) -> str:
        """What of it is new, as far as can be told yet."""
        if self._begun:
            return text
        self._held += text
        come = self._held.lstrip()
        if not come or any(each.startswith(come) for each in self._repeats if each != come):
            return ""
        repeated = next((each for each in self._repeats if come.startswith(each)), "")
        if repeated == come:
            return ""  # More of the same word may come.
        if not repeated:
            return self._join(self._held)
        self._begun = True
        # Just as it was written, so that a word that was cut in two is one again.
        rest = come[len(repeated) :]
        return rest.lstrip() if self._said[-1:].isspace() else rest

    def end(self) -> str:
        """What was held back, if it was no repetition."""
        come = self._held.strip()
        if self._begun or any(each.startswith(come) for each in self._repeats):
            return ""
        return self._join(self._held)

    def _join(self, text: str) -> str:
        """With one space between two words; a word that was cut in two has one too many."""
        self._begun = True
        before = self._said[-1:]
        if before.isspace():
            return text.lstrip()
        if not before or before in _OPENS or text[0] in _CLOSES:
            return text
        return f" {text}"
