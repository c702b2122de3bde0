"""Several voices as one: whoever fails or falls silent is replaced in the middle of a sentence.

The SDK's own adapter gives up an answer of which something was heard, and waits as long as a plugin
does, which may be for ever. Here the next vendor says what is left, after a bounded silence; where
there is no other, the same one is asked once more.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, tts
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    USERDATA_TIMED_TRANSCRIPT,
    TimedString,
)
from livekit.agents.utils import is_given, shortuuid

from assistant.worker.availability import PROBE_AFTER_S, Availability
from assistant.worker.errors import SilentVendorError
from assistant.worker.speaking.spoken import CLOSE_S, Spoken, Written

LOOK_S = 0.05
CLOSE_TIMEOUT_S = 0.5
# What a failed vendor is asked to say.
PROBE_TEXT = "One moment, please."

_Changed = Literal["tts_availability_changed"]


class Voices(tts.TTS[_Changed]):
    """`vendors`, the first one first; `patience_s`: without a first or a next piece of audio.

    A vendor that failed is tried again after `probe_after_s`, then after twice as long each time.
    Emits `tts_availability_changed`, and for a silent vendor that one's own `error`.
    """

    def __init__(
        self,
        vendors: Sequence[tts.TTS[Any]],
        *,
        patience_s: float,
        probe_after_s: float = PROBE_AFTER_S,
    ) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(
                streaming=True,
                aligned_transcript=all(each.capabilities.aligned_transcript for each in vendors),
            ),
            sample_rate=max(each.sample_rate for each in vendors),
            num_channels=vendors[0].num_channels,
        )
        self.vendors = tuple(vendors)
        self.patience_s = patience_s
        self._availability = Availability(
            len(vendors),
            self._speaks,
            self._on_available,
            away="voice.still_away",
            patience_s=patience_s,
            probe_after_s=probe_after_s,
        )
        self.active = self.vendors[0]
        #: Since when what was made of the answer has been heard while more should come (monotonic
        #: seconds); None: nobody waits for the rest of a sentence.
        self.starving_since: float | None = None
        for vendor in vendors:
            vendor.on("metrics_collected", self._on_metrics)

    @property
    def model(self) -> str:
        return self.active.model

    @property
    def provider(self) -> str:
        return self.active.provider

    def order(self) -> list[int]:
        """Whom to ask, one after the other; a vendor that is alone gets a second chance."""
        return [0, 0] if len(self.vendors) == 1 else self._availability.order()

    def failed(self, place: int) -> None:
        """It is asked no more until a probe succeeds."""
        self._availability.failed(place)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> "VoicesStream":
        return VoicesStream(self, conn_options=conn_options)

    def prewarm(self) -> None:
        self.vendors[0].prewarm()

    async def aclose(self) -> None:
        await self._availability.aclose()
        for vendor in self.vendors:
            vendor.off("metrics_collected", self._on_metrics)

    async def _speaks(self, place: int) -> bool:
        options = APIConnectOptions(max_retry=0, timeout=self.patience_s)
        return await _speaks(self.vendors[place], options)

    def _on_available(self, place: int, available: bool) -> None:
        changed = tts.AvailabilityChangedEvent(tts=self.vendors[place], available=available)
        self.emit("tts_availability_changed", changed)

    def _on_metrics(self, *told: Any) -> None:
        self.emit("metrics_collected", *told)


async def _speaks(vendor: tts.TTS[Any], options: APIConnectOptions) -> bool:
    async with vendor.stream(conn_options=options) as stream:
        stream.push_text(PROBE_TEXT)
        stream.end_input()
        async for _ in stream:
            return True
    return False


class VoicesStream(tts.SynthesizeStream):
    """One answer, by as many vendors as it takes."""

    def __init__(self, owner: Voices, *, conn_options: APIConnectOptions) -> None:
        self._owner = owner
        self._text = ""
        self._written = Written()
        self._ended = False
        self._more = asyncio.Event()
        #: Seconds of audio of this answer, and when its first piece came (monotonic).
        self._said_s = 0.0
        self._first_at: float | None = None
        super().__init__(tts=owner, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        owner = self._owner
        self._text, self._ended, self._said_s, self._first_at = "", False, 0.0, None
        self._written = Written()
        output_emitter.initialize(
            request_id=shortuuid(),
            sample_rate=owner.sample_rate,
            num_channels=owner.num_channels,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=shortuuid())
        reading = asyncio.create_task(self._read(), name="voices input")
        begin, cause = 0, None
        try:
            for place in owner.order():
                spoken = Spoken()
                try:
                    await self._speak(place, begin, spoken, output_emitter)
                    return
                except Exception as error:  # noqa: BLE001 - whoever it is, the next one speaks
                    cause = error
                    if isinstance(error, SilentVendorError):
                        # A connection that is half open would be used again.
                        with suppress(Exception):
                            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                                await owner.vendors[place].aclose()
                    owner.failed(place)
                # What comes later is not said yet either.
                given = self._text[begin:]
                begin += len(given) - len(spoken.left(given))
                if self._ended and self._said_s and not self._text[begin:].strip():
                    return
            # Who fell silent was given its time; a refusal may be over in a moment.
            again = not isinstance(cause, SilentVendorError)
            raise APIConnectionError("no voice is left", retryable=again) from cause
        finally:
            reading.cancel()
            owner.starving_since = None

    async def _read(self) -> None:
        async for data in self._input_ch:
            if isinstance(data, str):
                self._text += data
                self._more.set()
        self._ended = True
        self._more.set()

    async def _speak(
        self, place: int, begin: int, spoken: Spoken, output: tts.AudioEmitter
    ) -> None:
        """Have one vendor say the text from `begin` on, whatever of it is there already.

        Raises:
            SilentVendorError: nothing came for too long.
        """
        vendor = self._owner.vendors[place]
        options = APIConnectOptions(max_retry=0, timeout=self._conn_options.timeout)
        async with vendor.stream(conn_options=options) as stream:
            feeding = asyncio.create_task(self._feed(stream, begin), name="voice feed")
            try:
                await self._forward(place, stream, spoken, output)
            finally:
                feeding.cancel()
                with suppress(asyncio.CancelledError):
                    await feeding

    async def _feed(self, stream: tts.SynthesizeStream, begin: int) -> None:
        while True:
            self._more.clear()
            if new := self._text[begin:]:
                stream.push_text(new)
                begin += len(new)
            if self._ended:
                stream.end_input()
                return
            await self._more.wait()

    async def _forward(
        self, place: int, stream: tts.SynthesizeStream, spoken: Spoken, output: tts.AudioEmitter
    ) -> None:
        owner, vendor = self._owner, self._owner.vendors[place]
        resampler = None
        if vendor.sample_rate != owner.sample_rate:
            resampler = rtc.AudioResampler(vendor.sample_rate, owner.sample_rate)
        offset_s = self._said_s
        # Of words that are cut in two the next vendor says the whole.
        words: deque[TimedString] = deque()
        while (audio := await self._next(place, stream, spoken)) is not None:
            owner.active, owner.starving_since = vendor, None
            if not self._started_time:
                self._started_time = stream._started_time  # noqa: SLF001 - as the SDK's adapter
            words += audio.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT) or ()
            spoken.audio_s += audio.frame.duration
            while words and _is_over(words[0], spoken.audio_s):
                word = words.popleft()
                if is_given(word.end_time):
                    spoken.words.append((str(word), word.end_time))
                self._write(output, word, offset_s)
            self._said_s += audio.frame.duration
            self._first_at = self._first_at or time.monotonic()
            for frame in resampler.push(audio.frame) if resampler else (audio.frame,):
                output.push_frame(frame)
        for word in words:
            self._write(output, word, offset_s)
        if spoken.words and (rest := self._written.rest(self._text)):
            # The full stop behind the last word.
            output.push_timed_transcript(TimedString(rest, end_time=self._said_s))

    def _write(self, output: tts.AudioEmitter, word: TimedString, offset_s: float) -> None:
        """Tell when a word is over, in the answer's own spelling."""
        if text := self._written.until(word, self._text):
            timed = _later(word, offset_s)
            output.push_timed_transcript(
                TimedString(text, start_time=timed.start_time, end_time=timed.end_time)
            )

    async def _next(
        self, place: int, stream: tts.SynthesizeStream, spoken: Spoken
    ) -> tts.SynthesizedAudio | None:
        """The next piece of audio; None: that was all."""
        coming = asyncio.ensure_future(_piece(stream))
        owed_since: float | None = None
        try:
            while not (await asyncio.wait({coming}, timeout=LOOK_S))[0]:
                now = time.monotonic()
                if self._first_at is not None and now > self._first_at + self._said_s:
                    # Whoever is to blame: the words may be missing too.
                    heard_until = self._first_at + self._said_s
                    self._owner.starving_since = self._owner.starving_since or heard_until
                if not self._owes(stream, spoken):
                    owed_since = None
                    continue
                owed_since = now if owed_since is None else owed_since
                if now - owed_since >= self._owner.patience_s:
                    raise self._accuse(place)
            return coming.result()
        finally:
            if not coming.done():
                coming.cancel()
                with suppress(asyncio.CancelledError):
                    await coming

    def _owes(self, stream: tts.SynthesizeStream, spoken: Spoken) -> bool:
        """Whether the vendor has text to speak: with some of it spoken, only the end tells."""
        begun = bool(stream._started_time) and not spoken.audio_s  # noqa: SLF001 - no other word
        return self._ended or begun

    def _accuse(self, place: int) -> SilentVendorError:
        vendor = self._owner.vendors[place]
        error = SilentVendorError("text to speech", self._owner.patience_s)
        told = tts.TTSError(
            timestamp=time.time(), label=vendor.label, error=error, recoverable=True
        )
        vendor.emit("error", told)
        return error

    async def _metrics_monitor_task(self, event_aiter: Any) -> None:
        # The vendors' own streams measure.
        async for _ in event_aiter:
            pass


async def _piece(stream: tts.SynthesizeStream) -> tts.SynthesizedAudio | None:
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return None


def _is_over(word: TimedString, audio_s: float) -> bool:
    return not is_given(word.end_time) or word.end_time <= audio_s + CLOSE_S


def _later(word: TimedString, offset_s: float) -> TimedString:
    """The word with its times counted from the beginning of the answer."""
    if not offset_s:
        return word
    return TimedString(
        str(word),
        start_time=word.start_time + offset_s if is_given(word.start_time) else word.start_time,
        end_time=word.end_time + offset_s if is_given(word.end_time) else word.end_time,
    )
