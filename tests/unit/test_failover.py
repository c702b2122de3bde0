"""What is said again when a vendor fails, when one is doubted, and who waits in silence."""

import pytest

from assistant.worker.hearing.attention import FINAL_PATIENCE_S, LONG_SPEECH_S, Attention
from assistant.worker.speaking.silence import Wait
from assistant.worker.speaking.spoken import Spoken, Written

TEXT = "The train leaves at nine. Please be there in time, with your ticket!"
PATIENCE_S = 2.0


@pytest.mark.parametrize(
    ("spoken", "left"),
    [
        (Spoken(), TEXT),
        # To the word, where the vendor gives times; its comma was heard with it.
        (
            Spoken(1.0, [("The", 0.2), ("train", 0.5), ("leaves", 1.0), ("at", 1.2)]),
            "at nine. Please be there in time, with your ticket!",
        ),
        (
            Spoken(
                9, [(word, 1.0) for word in ["The", "train", "leaves", "at", "nine.", "Please"]]
            ),
            "be there in time, with your ticket!",
        ),
        (Spoken(9, [(word, 1.0) for word in TEXT.split()]), ""),
        # Written otherwise by the vendor: from the beginning of the sentence.
        (
            Spoken(2.5, [("The", 0.2), ("train", 0.5), ("leaves", 1.0), ("at", 1.2), ("9.", 1.5)]),
            "Please be there in time, with your ticket!",
        ),
        # No times: the sentence that it was in, by the usual pace.
        (Spoken(1.0), TEXT),
        (Spoken(2.5), "Please be there in time, with your ticket!"),
    ],
)
def test_what_is_left_to_say(spoken: Spoken, left: str) -> None:
    """Nothing is lost, and no more is said twice than must be."""
    assert spoken.left(TEXT) == left


def test_words_are_given_out_as_they_are_written() -> None:
    """Vendors leave out spaces and marks, and spell some words otherwise; the text stays whole."""
    written = Written()
    given = [written.until(word, TEXT) for word in TEXT.replace(",", "").replace("!", "").split()]
    assert "".join(given) + written.rest(TEXT) == TEXT
    assert given[:2] == ["The", " train"]
    odd = Written()
    assert [odd.until(word, "It is 3 o'clock.") for word in ("It", "is", "three", "o'clock")] == [
        "It",
        " is",
        "",
        " 3 o'clock",
    ]


def speech(attention: Attention, begin: float, end: float) -> None:
    attention.voice(speaking=True, now=begin)
    attention.voice(speaking=False, now=end)


def test_a_recognizer_is_doubted_when_no_text_comes_of_speech() -> None:
    """Counted from the end of speech; text settles it; a cough is no reason."""
    attention = Attention(PATIENCE_S)
    assert attention.doubtful_at() is None
    speech(attention, 10.0, 11.0)
    assert (attention.unheard_since, attention.doubtful_at()) == (10.0, 11.0 + PATIENCE_S)
    attention.words(final=True, now=11.5)
    assert (attention.unheard_since, attention.doubtful_at()) == (None, None)
    speech(attention, 20.0, 20.2)
    assert (attention.unheard_since, attention.doubtful_at()) == (None, None)


def test_interim_text_buys_time() -> None:
    """Who has begun to understand is waited for longer; the speech is kept until the end."""
    attention = Attention(PATIENCE_S)
    attention.voice(speaking=True, now=10.0)
    attention.words(final=False, now=10.5)
    attention.voice(speaking=False, now=11.0)
    assert attention.has_words
    assert (attention.unheard_since, attention.doubtful_at()) == (10.0, 11.0 + FINAL_PATIENCE_S)


def test_long_speech_without_any_text_is_doubted_while_it_lasts() -> None:
    attention = Attention(PATIENCE_S)
    attention.voice(speaking=True, now=10.0)
    assert attention.doubtful_at() == 10.0 + LONG_SPEECH_S
    attention.words(final=True, now=14.0)
    # What is said from now on has no text yet.
    assert attention.unheard_since == 14.0
    assert attention.doubtful_at() == 14.0 + LONG_SPEECH_S


def standing(wait: Wait) -> tuple[float | None, bool]:
    return wait.since, wait.is_doubtful


def test_nobody_waits_for_an_answer_to_a_cough() -> None:
    """Sounds without words are waited for only if they were long, and never for ever."""
    wait = Wait()
    wait.user(speaking=True, now=1.0)
    wait.user(speaking=False, now=1.5)
    assert wait.since is None
    wait.user(speaking=True, now=2.0)
    wait.user(speaking=False, now=4.0)
    assert standing(wait) == (4.0, True)
    wait.asked(4.5)
    assert standing(wait) == (4.0, False)
    wait.agent(speaking=True, now=5.0)
    assert wait.since is None


def test_half_an_answer_is_no_answer() -> None:
    """An answer that broke off leaves the caller waiting from its last word on."""
    wait = Wait()
    wait.asked(1.0)
    wait.agent(speaking=True, now=2.0)
    wait.broke_off(3.0)
    assert wait.since is None
    wait.agent(speaking=False, now=4.0)
    assert standing(wait) == (4.0, False)
    wait.agent(speaking=True, now=5.0)
    wait.agent(speaking=False, now=6.0)
    assert wait.since is None


def utter(wait: Wait, begin: float, end: float) -> None:
    wait.user(speaking=True, now=begin)
    wait.user(speaking=False, now=end)


def test_who_says_it_again_and_again_is_not_understood() -> None:
    """One short sound is a cough; the second one is doubted, and the third is certain."""
    wait = Wait()
    utter(wait, 1.0, 1.4)
    assert wait.since is None
    utter(wait, 3.0, 3.4)
    assert standing(wait) == (3.4, True)
    utter(wait, 5.0, 5.4)
    assert standing(wait) == (5.4, False)
    # A word, and all is well again.
    wait.words()
    utter(wait, 7.0, 7.4)
    assert wait.since is None


def test_who_hums_along_is_not_taken_for_unheard() -> None:
    wait = Wait()
    wait.agent(speaking=True, now=0.0)
    for second in (1.0, 2.0, 3.0, 4.0):
        utter(wait, second, second + 0.5)
    wait.agent(speaking=False, now=5.0)
    utter(wait, 6.0, 6.4)
    assert (wait.since, wait.is_deaf) == (None, False)


def test_failed_recognizers_leave_no_doubt() -> None:
    """Whatever a caller says then is waited for, and for what was said before; a blip is none."""
    wait = Wait()
    wait.not_recognized(0.5, for_good=False)
    utter(wait, 1.0, 1.4)
    assert wait.since is None
    wait.not_recognized(2.0, for_good=False)
    assert standing(wait) == (2.0, False)
    wait = Wait()
    wait.not_recognized(0.5, for_good=True)
    assert wait.since is None  # Nobody has asked anything.
    utter(wait, 1.0, 1.4)
    assert standing(wait) == (1.4, False)
    # A doubt becomes certain, from when it began.
    wait = Wait()
    utter(wait, 1.0, 3.0)
    assert standing(wait) == (3.0, True)
    wait.not_recognized(4.0, for_good=True)
    assert standing(wait) == (3.0, False)


def test_what_the_agent_is_to_say_by_itself_is_waited_for() -> None:
    """From when it was to begin, or from when the caller came; until it is heard or called off."""
    wait = Wait()
    wait.promised("greeting", 1.0)
    wait.arrived(3.0)
    assert standing(wait) == (3.0, False)
    wait.agent(speaking=True, now=4.0, speech="greeting")
    wait.agent(speaking=False, now=6.0, speech="greeting")
    assert wait.since is None
    wait.over("greeting")
    # One behind the other: the second is waited for from the end of the first.
    wait.promised("first", 10.0)
    wait.agent(speaking=True, now=10.5, speech="first")
    wait.promised("second", 11.0)
    assert wait.since is None
    wait.agent(speaking=False, now=12.0, speech="first")
    wait.over("first")
    assert wait.since == 12.0
    wait.over("second")
    assert wait.since is None
    # It is called off, but the caller had asked something as well.
    wait.asked(20.0)
    wait.promised("more", 21.0)
    wait.over("more")
    assert wait.since == 20.0
