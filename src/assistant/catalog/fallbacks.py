"""What an agent does when a vendor fails: who takes over, and what the caller hears meanwhile."""

from typing import Annotated

from pydantic import Field

from assistant.catalog.fields import Frozen, OptionalSentence, WaitSeconds
from assistant.catalog.providers import LlmOptions, SttOptions, TtsOptions

MAX_FALLBACKS = 3  # Each is asked in turn while the caller waits.


class Fallbacks(Frozen):
    """The vendors that take over, in this order, when the agent's own fails."""

    stt: Annotated[tuple[SttOptions, ...], Field(max_length=MAX_FALLBACKS)] = ()
    """After `stt`."""
    llm: Annotated[tuple[LlmOptions, ...], Field(max_length=MAX_FALLBACKS)] = ()
    """After `llm`."""
    tts: Annotated[tuple[TtsOptions, ...], Field(max_length=MAX_FALLBACKS)] = ()
    """After `tts`. A voice may be an alias out of `voices`."""
    attempt_timeout_s: Annotated[float, Field(ge=0.2, le=30)] = 2.0
    """Seconds without a first answer, or without the next piece of one, until the next vendor is
    asked. It replaces `timeout_s` where there are fallbacks. A vendor that failed is tried again
    in the background, and gets its place back when it answers."""


class DeadAir(Frozen):
    """What the caller hears when the answer does not come."""

    after_s: Annotated[float, Field(ge=1, le=30)] = 4.0
    """Seconds of silence after the caller's turn until `sentence` is played."""
    sentence: OptionalSentence = "Sorry, this is taking longer than usual. One moment, please."
    """Made ahead in the agent's voice, so that it needs no vendor. None or empty: silence."""
    end_after_s: WaitSeconds | None = 30.0
    """Seconds until the session is ended as `no_answer`. None: never."""
