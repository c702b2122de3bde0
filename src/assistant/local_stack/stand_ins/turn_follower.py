"""One stream's turns: where they start and end, and what to tell the client about them."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from assistant.local_stack.stand_ins.faults import FaultBoard, FaultPlayer, Service
from assistant.local_stack.stand_ins.journal import Journal
from assistant.local_stack.stand_ins.pcm import Resampler, Samples, from_bytes, from_mulaw
from assistant.local_stack.stand_ins.recognizer import RECOGNIZER_RATE, Recognizer, Word
from assistant.local_stack.stand_ins.speech_gate import SpeechGate
from assistant.local_stack.stand_ins.transcripts import (
    FORMATTING_MODELS,
    is_complete,
    turn_message,
)

#: Audio from before the onset that the recogniser gets too: soft first sounds, and some silence
#: for the model to start from.
PRE_ROLL_S = 0.3
#: Closed lips inside a word are silent for up to 150 ms; less silence than this ends no turn,
#: whatever the client asks for.
SHORTEST_SILENCE_S = 0.2
INTERIM_INTERVAL_S = 0.2
#: A turn that never pauses is cut, so that decoding stays bounded.
MAX_TURN_S = 60.0


class Options(Protocol):
    """What the follower needs of a stream's options; silences and delays in milliseconds."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def encoding(self) -> str: ...
    @property
    def speech_model(self) -> str: ...
    @property
    def format_turns(self) -> bool: ...
    @property
    def min_turn_silence(self) -> int: ...
    @property
    def max_turn_silence(self) -> int: ...
    @property
    def interruption_delay(self) -> int: ...
    @property
    def vad_threshold(self) -> float: ...
    def model_dump(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Outgoing:
    """A message, the monotonic time it is due, and the fault to play before it."""

    message: dict[str, Any]
    due: float
    fault: FaultPlayer | None = None


class TurnFollower:
    """Feeds a recogniser with the speech in a stream, and words its findings as messages.

    The messages are AssemblyAI's, whatever the service; another one's stand-in rewords them.
    """

    def __init__(
        self,
        options: Options,
        recognizer: Recognizer,
        *,
        faults: FaultBoard,
        journal: Journal,
        final_delay_s: float,
        service: Service = "assemblyai",
    ) -> None:
        self.options = options
        self._recognizer = recognizer
        self._faults = faults
        self._journal = journal
        self._final_delay_s = final_delay_s
        self._service: Service = service
        self._gate = SpeechGate(options.sample_rate, options.vad_threshold)
        self._resampler = Resampler(options.sample_rate, RECOGNIZER_RATE)
        self._pre_roll: deque[Samples] = deque()
        self._position = 0
        self._order = 0
        self._start = 0
        self._next_interim_s = 0.0
        self._words: tuple[Word, ...] = ()
        self._fault: FaultPlayer | None = None

    @property
    def in_turn(self) -> bool:
        return self._fault is not None

    @property
    def audio_s(self) -> float:
        return self._position / self.options.sample_rate

    def configure(self, options: Options) -> None:
        self.options = options
        self._gate.vad_threshold = options.vad_threshold

    async def push(self, data: bytes) -> list[Outgoing]:
        """Take audio in the stream's encoding; returns what to send."""
        mulaw = self.options.encoding == "pcm_mulaw"
        samples = from_mulaw(data) if mulaw else from_bytes(data)
        onset = self._gate.push(samples)
        self._position += len(samples)
        speech = self._resampler.push(samples)
        if self.in_turn:
            return await self._advance(speech)
        self._remember(speech)
        return [] if onset is None else await self._begin(onset)

    async def force_end(self) -> list[Outgoing]:
        """End the turn that is under way, if one is."""
        return await self._end() if self.in_turn else []

    def _remember(self, speech: Samples) -> None:
        self._pre_roll.append(speech)
        kept = sum(len(piece) for piece in self._pre_roll)
        while kept - len(self._pre_roll[0]) >= PRE_ROLL_S * RECOGNIZER_RATE:
            kept -= len(self._pre_roll.popleft())

    async def _begin(self, onset: int) -> list[Outgoing]:
        self._fault = self._faults.take(self._service, "turn")
        speech = np.concatenate(list(self._pre_roll))
        self._pre_roll.clear()
        rate = self.options.sample_rate
        self._start = self._position - round(len(speech) * rate / RECOGNIZER_RATE)
        self._next_interim_s = onset / rate + self.options.interruption_delay / 1000
        await self._recognizer.begin()
        self._words = await self._recognizer.feed(speech.tobytes())
        timestamp = round(onset / rate * 1000)
        started = {"type": "SpeechStarted", "timestamp": timestamp, "confidence": 1.0}
        return [self._outgoing(started)]

    async def _advance(self, speech: Samples) -> list[Outgoing]:
        words = await self._recognizer.feed(speech.tobytes())
        silence_s = self._gate.silence_s
        needed_ms = (
            self.options.min_turn_silence
            if is_complete(words)
            else max(self.options.max_turn_silence, self.options.min_turn_silence)
        )
        too_long = self.audio_s - self._start / self.options.sample_rate > MAX_TURN_S
        if silence_s >= max(needed_ms / 1000, SHORTEST_SILENCE_S) or too_long:
            return await self._end()
        changed = [word.text for word in words] != [word.text for word in self._words]
        if not (changed and words) or self.audio_s < self._next_interim_s:
            return []
        self._words = words
        self._next_interim_s = self.audio_s + INTERIM_INTERVAL_S
        return [self._outgoing(self._turn(words, ended=False, formatted=self._formats))]

    async def _end(self) -> list[Outgoing]:
        self._gate.end()
        words = await self._recognizer.finish()
        due_s = self._final_delay_s
        finals = []
        if not self._formats:
            finals.append(self._turn(words, ended=True, formatted=False))
        if self._formats or self.options.format_turns:
            finals.append(self._turn(words, ended=True, formatted=True))
        self._journal.add(self._service, "turn", {"transcript": finals[-1]["transcript"]})
        outgoing = [self._outgoing(message, due_s) for message in finals]
        self._order += 1
        self._fault = None
        self._words = ()
        return outgoing

    @property
    def _formats(self) -> bool:
        return self.options.speech_model in FORMATTING_MODELS

    def _turn(self, words: tuple[Word, ...], *, ended: bool, formatted: bool) -> dict[str, Any]:
        return turn_message(
            words,
            order=self._order,
            offset_s=self._start / self.options.sample_rate,
            ended=ended,
            formatted=formatted,
        )

    def _outgoing(self, message: dict[str, Any], delay_s: float = 0.0) -> Outgoing:
        return Outgoing(message, time.monotonic() + delay_s, self._fault)
