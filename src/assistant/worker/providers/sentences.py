"""Cutting an answer that is still being written into sentences to speak."""

from livekit.agents import tokenize

# A sentence of its own, from these characters on. With the plugins' 20 a short first one, "It is
# noon.", waits until the model has written the whole next one.
MIN_CHARS = 4
# Of the next one that are there before it is cut; the plugins' 10 cut alike, and later.
NEXT_CHARS = 4


def sentences(*, retain_format: bool) -> tokenize.SentenceTokenizer:
    """Sentences as soon as they are whole; `retain_format`: with the blanks between them."""
    return tokenize.blingfire.SentenceTokenizer(
        min_sentence_len=MIN_CHARS, stream_context_len=NEXT_CHARS, retain_format=retain_format
    )
