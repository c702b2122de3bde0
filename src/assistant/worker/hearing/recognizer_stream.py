"""One caller's speech, heard by as many recognizers as it takes; see `recognizers.py`."""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, NotGivenOr, stt

from assistant.worker.errors import SilentVendorError
from assistant.worker.hearing.attention import Attention
from assistant.worker.hearing.line import Line

if TYPE_CHECKING:
    from assistant.worker.hearing.recognizers import Recognizers

TAPE_S = 20.0
# Of the tape from before the voice was noticed; and where there is no speech to say again.
LEAD_S = 0.8
# Of events that wait to be looked at; beyond it the vendors wait.
MAX_HEARD = 1000
RETURN_AFTER_MAX_S = 60.0
# Of opinions that could not be had, about one piece of speech, and the time between them.
MAX_OPINIONS = 3
OPINION_AGAIN_S = 1.0
# Until it is looked again whether the caller is quiet.
QUIET_AGAIN_S = 0.2
_TEXT = frozenset({stt.SpeechEventType.INTERIM_TRANSCRIPT, stt.SpeechEventType.FINAL_TRANSCRIPT})


@dataclass(frozen=True)
class _Ended:
    """No more audio will come."""


@dataclass(frozen=True)
class _Tick:
    """Something that deadlines depend on has changed."""


class RecognizersStream(stt.RecognizeStream):
    """One caller's speech: `main` is believed, `spare` is asked for its opinion or on its return.

    A spare that was given the tape takes over with its first text. One that returns is only
    compared: it has to hear an utterance as `main` does, and then has its place back.
    """

    def __init__(
        self,
        owner: "Recognizers",
        *,
        language: NotGivenOr[str],
        conn_options: APIConnectOptions,
    ) -> None:
        self._owner = owner
        self._language = language
        self._attention = Attention(owner.patience_s)
        #: Frames with the monotonic time at which each came.
        self._tape: deque[tuple[float, rtc.AudioFrame]] = deque()
        self._taped_s = 0.0
        self._heard: asyncio.Queue[Any] = asyncio.Queue(MAX_HEARD)
        self._main: Line | None = None
        self._spare: Line | None = None
        self._spare_returns = False
        #: Of one that returns: whether it, and `main`, have heard something since it is there.
        self._spare_heard = False
        self._main_heard = False
        self._spare_until: float | None = None
        #: What a spare says of speech that `main` has not had time for.
        self._held: list[stt.SpeechEvent] = []
        self._spoke_since = False
        self._opinions = 0
        self._opinion_at = 0.0
        #: When nothing that had been said lacked its final text: no tape begins before.
        self._understood_at = 0.0
        self._return_at: float | None = None
        self._return_after_s = owner.return_after_s
        self._ended = False
        super().__init__(stt=owner, conn_options=conn_options)

    def voice(self, *, speaking: bool) -> None:
        self._attention.voice(speaking=speaking, now=time.monotonic())
        self._note_understood()
        self._spoke_since = self._spoke_since or speaking
        with suppress(asyncio.QueueFull):  # there is enough to wake up for
            self._heard.put_nowait(_Tick())

    def _note_understood(self) -> None:
        # Text may come a moment before the end of the last sound that belongs to it.
        if self._attention.unheard_since is None:
            self._understood_at = time.monotonic()

    async def _run(self) -> None:
        reading = asyncio.create_task(self._read(), name="recognizers input")
        try:
            await self._replace_main(None)
            while not await self._step():
                pass
        finally:
            reading.cancel()
            for line in (self._main, self._spare):
                if line is not None:
                    await line.aclose()
            self._main = self._spare = None

    async def _read(self) -> None:
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame):
                self._tape.append((time.monotonic(), item))
                self._taped_s += item.duration
                while self._taped_s > TAPE_S:
                    self._taped_s -= self._tape.popleft()[1].duration
            for line in (self._main, self._spare):
                if line is not None:
                    line.push(item if isinstance(item, rtc.AudioFrame) else None)
        await self._heard.put(_Ended())

    async def _step(self) -> bool:
        """Wait for what happens next; True: everything was heard."""
        try:
            happened = await asyncio.wait_for(self._heard.get(), self._patience_s())
        except TimeoutError:
            await self._look_around(time.monotonic())
            return False
        if isinstance(happened, _Ended):
            self._ended = True
            if self._main is not None:
                self._main.end()
        elif isinstance(happened, _Tick):
            await self._settle_return()
        else:
            line, event = happened
            if isinstance(event, stt.SpeechEvent):
                await self._on_event(line, event)
            else:
                return await self._on_end(line, event)
        return False

    def _patience_s(self) -> float | None:
        """Until something is due; None: nothing is."""
        due = [at for at in (self._spare_until, self._return_at, self._doubtful_at()) if at]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _doubtful_at(self) -> float | None:
        # Whoever was asked is given time to answer.
        at = None if self._asks_opinion() else self._attention.doubtful_at()
        return None if at is None else max(at, self._opinion_at)

    def _asks_opinion(self) -> bool:
        return self._spare is not None and not self._spare_returns

    async def _look_around(self, now: float) -> None:
        if self._spare_until is not None and now >= self._spare_until:
            opinion = self._asks_opinion()
            if opinion and self._held and self._spare is not None:
                await self._prefer(self._spare)
                return
            await self._dismiss_spare()
            if opinion:
                # Two of them heard no words: there were none.
                self._settle(now)
        doubtful_at = self._doubtful_at()
        if doubtful_at is not None and now >= doubtful_at:
            await self._ask_opinion(now)
        elif self._return_at is not None and now >= self._return_at:
            await self._let_return()

    def _settle(self, now: float) -> None:
        self._attention.settle(now)
        self._opinions, self._opinion_at = 0, 0.0

    async def _ask_opinion(self, now: float) -> None:
        await self._dismiss_spare()
        main = self._main.place if self._main else 0
        others = [place for place in self._candidates() if place != main]
        # Nobody else is there: the same vendor over a new connection.
        self._spare = self._open((others or [main])[0], tape=True)
        self._spare_returns, self._spare_heard = False, False
        self._held, self._spoke_since = [], False
        replay_s = self._spare.replay_s
        self._spare_until = now + self._owner.patience_s + replay_s + self._conn_options.timeout

    async def _let_return(self) -> None:
        """Try the vendors that failed, in their order, beside the one that took over."""
        if self._attention.unheard_since is not None:
            # It must be there from the beginning of what both are to hear.
            self._return_at = time.monotonic() + QUIET_AGAIN_S
            return
        self._return_at = None
        main = self._main.place if self._main else 0
        failed = [place for place in range(main) if not self._owner.available[place]]
        if failed and self._spare is None:
            self._spare = self._open(failed[0], tape=False)
            self._spare_returns, self._spare_heard, self._main_heard = True, False, False

    async def _dismiss_spare(self) -> None:
        spare, self._spare, self._spare_until = self._spare, None, None
        self._held = []
        if spare is not None:
            await spare.aclose()
            if self._spare_returns:
                self._plan_return()

    def _plan_return(self) -> None:
        if self._main is not None and not all(self._owner.available[: self._main.place]):
            self._return_at = time.monotonic() + self._return_after_s
            self._return_after_s = min(2 * self._return_after_s, RETURN_AFTER_MAX_S)

    async def _on_event(self, line: Line, event: stt.SpeechEvent) -> None:
        has_text = event.type in _TEXT and any(each.text for each in event.alternatives)
        final = event.type is stt.SpeechEventType.FINAL_TRANSCRIPT
        if line is self._spare and self._spare_returns:
            if has_text and final:
                self._spare_heard = True
                await self._settle_return()
            return
        if line is self._spare:
            await self._on_opinion(line, event, has_text=has_text, final=final)
            return
        if line is not self._main:
            return
        self._forward(line, event)
        if has_text:
            self._attention.words(final=final, now=time.monotonic())
            if self._asks_opinion():
                # It was late, not deaf; of the other one the same words would be heard again.
                await self._dismiss_spare()
        if has_text and final:
            self._opinions, self._opinion_at = 0, 0.0
            self._num_retries = 0
            self._main_heard = True
            self._note_understood()
            await self._settle_return()

    def _forward(self, line: Line, event: stt.SpeechEvent) -> None:
        self._owner.active = self._owner.vendors[line.place]
        self._event_ch.send_nowait(event)

    async def _on_opinion(
        self, spare: Line, event: stt.SpeechEvent, *, has_text: bool, final: bool
    ) -> None:
        if has_text and not self._spoke_since and (final or not self._attention.has_words):
            self._held.append(event)
            await self._prefer(spare)
        elif self._held or has_text:
            # Of what the caller said meanwhile `main` may say the same in a moment.
            self._spare_until = (
                self._spare_until if self._held else (time.monotonic() + self._owner.patience_s)
            )
            self._held.append(event)

    async def _prefer(self, spare: Line) -> None:
        """It found words where `main` found none."""
        main, self._main = self._main, spare
        self._spare, self._spare_until = None, None
        await self._say_held(spare)
        if main is not None:
            self._accuse(main)
            await main.aclose()
        self._plan_return()

    async def _say_held(self, line: Line) -> None:
        held, self._held = self._held, []
        for event in held:
            await self._on_event(line, event)

    async def _settle_return(self) -> None:
        """Both have to have heard the last utterance; then the better one goes on."""
        spare = self._spare
        if spare is None or not self._spare_returns or not self._main_heard:
            return
        if self._attention.unheard_since is not None:
            return
        if not self._spare_heard:
            self._spare_until = self._spare_until or time.monotonic() + self._owner.patience_s
            return
        main, self._main = self._main, spare
        self._spare, self._spare_until, self._return_after_s = (
            None,
            None,
            self._owner.return_after_s,
        )
        self._owner.set_available(spare.place, available=True)
        if main is not None:
            await main.aclose()
        self._plan_return()

    def _accuse(self, main: Line) -> None:
        vendor = self._owner.vendors[main.place]
        error = SilentVendorError("speech to text", self._owner.patience_s)
        told = stt.STTError(
            timestamp=time.time(), label=vendor.label, error=error, recoverable=True
        )
        vendor.emit("error", told)
        self._owner.set_available(main.place, available=False)

    async def _on_end(self, line: Line, error: BaseException | None) -> bool:
        """A line is over; True: it has heard everything there was."""
        if line is self._spare:
            opinion = self._asks_opinion()
            await self._dismiss_spare()
            if opinion:
                self._owner.set_available(line.place, available=False)
                self._opinions += 1
                self._opinion_at = time.monotonic() + OPINION_AGAIN_S
                if self._opinions >= MAX_OPINIONS:
                    self._settle(time.monotonic())
        elif line is self._main:
            if error is None and self._ended:
                return True
            self._owner.set_available(line.place, available=False)
            await self._replace_main(line)
        return False

    async def _replace_main(self, broken: Line | None) -> None:
        """Open the next vendor, with what was not understood yet.

        Raises:
            APIConnectionError: nobody is left; the base class begins again after a while.
        """
        if broken is not None:
            self._main = None
            await broken.aclose()
            if self._spare is not None and self._asks_opinion():
                self._main, self._spare, self._spare_until = self._spare, None, None
                await self._say_held(self._main)
                return
            if broken.place + 1 >= len(self._owner.vendors):
                raise APIConnectionError("no recognizer is left")
            await self._dismiss_spare()
        begin = 0 if broken is None else broken.place + 1
        places = [place for place in self._candidates() if place >= begin]
        self._main = self._open((places or [begin])[0], tape=True)
        self._return_after_s = self._owner.return_after_s
        self._plan_return()

    def _candidates(self) -> list[int]:
        """The vendors that work as far as is known, else all of them."""
        places = range(len(self._owner.vendors))
        return [place for place in places if self._owner.available[place]] or list(places)

    def _open(self, place: int, *, tape: bool) -> Line:
        now = time.monotonic()
        since = self._attention.unheard_since
        begin = max((now if since is None else since) - LEAD_S, self._understood_at)
        replay = [frame for at, frame in self._tape if at >= begin] if tape else []
        stream = self._owner.vendors[place].stream(
            language=self._language,
            conn_options=APIConnectOptions(max_retry=0, timeout=self._conn_options.timeout),
        )
        offset_s = self.start_time_offset + time.time() - self._start_time
        stream.start_time_offset = max(0.0, offset_s - sum(frame.duration for frame in replay))
        line = Line(place, stream, replay, self._heard)
        if self._ended:
            line.end()
        return line

    async def _metrics_monitor_task(self, event_aiter: Any) -> None:
        # The vendors' own streams measure.
        async for _ in event_aiter:
            pass
