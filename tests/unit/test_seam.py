"""Where one language model goes on with another's answer."""

import pytest
from livekit.agents import ChatContext

from assistant.worker.answering.seam import GO_ON, Seam, going_on

SAID = "It leaves at nine. Please be"


@pytest.mark.parametrize(
    ("said", "come", "new"),
    [
        # Behind it, with the space that models leave out, and not with two.
        (SAID, ["there in ", "time."], " there in time."),
        (SAID, [" there", " in time."], " there in time."),
        (SAID + " ", ["there in time."], "there in time."),
        (SAID + " ", [" there in time."], "there in time."),
        ("At nine", [".", " Please come."], ". Please come."),
        ("He said (", ["quietly) no."], "quietly) no."),
        # Once more, all of it or the sentence that it broke off in, in whatever pieces.
        (SAID, ["It leaves at ", "nine. Please", " be there."], " there."),
        (SAID, [*f"{SAID} there."], " there."),
        (SAID, ["Please be ", "there."], " there."),
        (SAID, ["\nPlease be there."], " there."),
        (SAID + " ", ["Please be there."], "there."),
        # With it, a word that was cut in two is one again.
        (SAID, ["Please be", "fore nine."], "fore nine."),
        # It only seemed to be that.
        (SAID, ["It leaves", " whenever it likes."], " It leaves whenever it likes."),
        (SAID, ["Please", " wait."], " Please wait."),
        # Nothing was missing.
        (SAID, [], ""),
        (SAID, [SAID], ""),
        (SAID, ["It leaves at nine."], ""),
        (SAID, ["  "], ""),
    ],
)
def test_what_is_new_of_a_continuation(said: str, come: list[str], new: str) -> None:
    """What was said is not said once more, and nothing else is left out."""
    seam = Seam(said)
    assert "".join(map(seam.push, come)) + seam.end() == new


def test_new_words_are_not_held_back() -> None:
    """A continuation is released with its first piece that cannot be a repetition."""
    seam = Seam(SAID)
    assert seam.push("Ple") == ""
    assert seam.push("at, here") == " Pleat, here"
    assert seam.push(" Please") == " Please"


def test_the_next_vendor_is_shown_what_was_said() -> None:
    """The half answer is the conversation's last, and what is asked of it comes behind it."""
    context = ChatContext.empty()
    context.add_message(role="user", content="When does the train leave?")
    shown = going_on(context, SAID)
    texts = [item.text_content for item in shown.items if item.type == "message"]
    assert texts == ["When does the train leave?", SAID, GO_ON]
    assert len(context.items) == 1
