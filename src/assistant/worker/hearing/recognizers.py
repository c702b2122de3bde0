"""Several recognizers as one: whoever fails or hears nothing is replaced, and no speech is lost.

The SDK's own adapter only replaces one whose connection breaks; what was said until then is gone,
and one that stays connected and silent is believed. Here the last seconds are kept on a tape. When
the caller spoke and no text comes, a second recognizer is given the tape: if it finds words, the
first one has failed, and the second goes on; if not, there were none.
"""

from collections.abc import Sequence
from typing import Any, Literal
from weakref import WeakSet

from livekit.agents import (
    NOT_GIVEN,
    AgentSession,
    APIConnectOptions,
    NotGivenOr,
    UserStateChangedEvent,
    stt,
)
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.utils import AudioBuffer

from assistant.worker.hearing.recognizer_stream import RecognizersStream

# A vendor that failed is tried again after so long.
RETURN_AFTER_S = 5.0

_Changed = Literal["stt_availability_changed"]


class Recognizers(stt.STT[_Changed]):
    """`vendors`, the first one first; `patience_s`: from speech to text.

    A vendor that failed is tried again after `return_after_s`, then after twice as long each time.
    Emits `stt_availability_changed`, and for a silent vendor that one's own `error`.
    """

    def __init__(
        self,
        vendors: Sequence[stt.STT[Any]],
        *,
        patience_s: float,
        return_after_s: float = RETURN_AFTER_S,
    ) -> None:
        told = [vendor.capabilities for vendor in vendors]
        aligned = told[0].aligned_transcript if all(t.aligned_transcript for t in told) else False
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True,
                interim_results=all(each.interim_results for each in told),
                diarization=all(each.diarization for each in told),
                aligned_transcript=aligned,
                keyterms=any(each.keyterms for each in told),
                chat_context=any(each.chat_context for each in told),
                manual_flush=all(each.manual_flush for each in told),
            )
        )
        self.vendors = tuple(vendors)
        self.patience_s = patience_s
        self.return_after_s = return_after_s
        self.available = [True] * len(vendors)
        #: Whose text was last used.
        self.active = self.vendors[0]
        self._streams: WeakSet[RecognizersStream] = WeakSet()
        self._recognize_metrics_needed = False
        for vendor in vendors:
            vendor.on("metrics_collected", self._on_metrics)

    @property
    def model(self) -> str:
        return self.active.model

    @property
    def provider(self) -> str:
        return self.active.provider

    def follow(self, conversation: AgentSession[Any]) -> None:
        """Learn from its voice activity detection when the caller speaks."""
        conversation.on("user_state_changed", self._on_user_state)

    def set_available(self, place: int, *, available: bool) -> None:
        if len(self.vendors) == 1 or self.available[place] == available:
            return
        self.available[place] = available
        changed = stt.AvailabilityChangedEvent(stt=self.vendors[place], available=available)
        self.emit("stt_availability_changed", changed)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> RecognizersStream:
        stream = RecognizersStream(self, language=language, conn_options=conn_options)
        self._streams.add(stream)
        return stream

    def prewarm(self) -> None:
        self.vendors[0].prewarm()

    async def aclose(self) -> None:
        for vendor in self.vendors:
            vendor.off("metrics_collected", self._on_metrics)

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        return await self.active.recognize(buffer, language=language, conn_options=conn_options)

    def _update_session_keyterms(self, keyterms: list[str]) -> None:
        for vendor in self.vendors:
            vendor._update_session_keyterms(keyterms)  # noqa: SLF001 - the SDK's hook for adapters

    def _push_conversation_item(self, ev: Any) -> None:
        for vendor in self.vendors:
            if vendor.capabilities.chat_context:
                vendor._push_conversation_item(ev)  # noqa: SLF001 - as above

    def _on_metrics(self, *told: Any) -> None:
        self.emit("metrics_collected", *told)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if "speaking" in {event.new_state, event.old_state}:
            for stream in self._streams:
                stream.voice(speaking=event.new_state == "speaking")
