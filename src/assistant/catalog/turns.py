"""Hearing that somebody speaks, that they have finished, and that they interrupt.

Names are the SDK's, with `_s` added to durations. Most defaults are too; the others were measured,
and answer sooner: docs/decisions/0011.
Source: livekit-agents 1.8.9, `voice/turn.py`, `inference/vad.py`, `inference/eot/detector.py`;
livekit-plugins-silero and -turn-detector 1.8.9.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from assistant.catalog.fields import (
    Frozen,
    Language,
    PositiveShare,
    Share,
    SpeechSeconds,
    TurnSeconds,
    wrong,
)

#: `max_delay_s` where the audio turn detector decides and nothing is set.
AUDIO_MAX_DELAY_S = 0.9


class _VadOptions(Frozen):
    """What both voice activity detectors take; they run the same model."""

    min_speech_duration_s: TurnSeconds = 0.05
    """Seconds of speech that begin an utterance."""
    prefix_padding_duration_s: TurnSeconds = 0.5
    """Seconds of audio kept from before the speech began."""
    max_buffered_speech_s: SpeechSeconds = 60.0
    """The longest utterance that is kept."""
    activation_threshold: PositiveShare = 0.5
    """Above this probability a frame is speech. Higher: deaf to noise, and to quiet callers."""
    deactivation_threshold: PositiveShare | None = None
    """Below this probability speech has stopped. None: 0.15 under the activation threshold."""


class InferenceVadOptions(_VadOptions):
    """The SDK's built-in detector; its weights come with the wheel and are shared by all jobs."""

    provider: Literal["inference"]
    """The implementation."""
    min_silence_duration_s: TurnSeconds = 0.25
    """Seconds of silence that end an utterance."""


class SileroVadOptions(_VadOptions):
    """The silero plugin: the same model under ONNX, loaded once by each process."""

    provider: Literal["silero"]
    """The implementation."""
    min_silence_duration_s: TurnSeconds = 0.55
    """Seconds of silence that end an utterance."""
    sample_rate: Literal[8000, 16000] = 16000
    """Hz of the audio that the model sees."""
    force_cpu: bool = True
    """Whether a GPU is left alone."""


VadOptions = Annotated[InferenceVadOptions | SileroVadOptions, Field(discriminator="provider")]


class AudioTurnDetection(Frozen):
    """A small model that hears in the voice whether the caller has finished; runs here."""

    model: Literal["v1-mini"]
    """The model. The larger one runs only in LiveKit's cloud."""
    unlikely_threshold: PositiveShare | None = None
    """Below this probability of an end the agent waits longer, in every language. None: the
    model's own, calibrated for each language."""
    unlikely_thresholds: Mapping[Language, PositiveShare] | None = None
    """The same by language, such as `{en: 0.36, de: 0.25}`; the others keep their own."""

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if self.unlikely_threshold is not None and self.unlikely_thresholds is not None:
            both = "cannot stand beside unlikely_threshold; keep one of them"
            raise wrong(both, "unlikely_thresholds")
        return self


class TextTurnDetection(Frozen):
    """A model that reads the words; needs the extra `turn-detector` and a download."""

    model: Literal["multilingual", "english"]
    """The model."""
    unlikely_threshold: PositiveShare | None = None
    """Below this probability of an end the agent waits longer. None: the model's own."""


class VadTurnDetection(Frozen):
    """Silence alone ends a turn."""

    model: Literal["vad"]
    """The detector."""


class SttTurnDetection(Frozen):
    """The speech-to-text vendor says when a turn has ended."""

    model: Literal["stt"]
    """The detector."""


_Detection = Annotated[
    AudioTurnDetection | TextTurnDetection | VadTurnDetection | SttTurnDetection,
    Field(discriminator="model"),
]
_DetectionName = Literal["v1-mini", "multilingual", "english", "vad", "stt"]


def _from_name(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


TurnDetection = Annotated[
    _Detection, BeforeValidator(_from_name, json_schema_input_type=_DetectionName | _Detection)
]
"""`turn_detection: vad` is short for `turn_detection: {model: vad}`."""


class Endpointing(Frozen):
    """When a pause is the end of the caller's turn."""

    mode: Literal["fixed", "dynamic"] = "fixed"
    """`dynamic` learns the delays from the caller's own pauses, within the bounds below."""
    min_delay_s: TurnSeconds | None = None
    """Seconds of silence before a finished sentence is answered. The largest part of what the
    caller waits for. None: 0.3 with `v1-mini`, 0.5 otherwise."""
    max_delay_s: TurnSeconds | None = None
    """Seconds of silence before an unfinished one is answered. None: 0.9 with `v1-mini`, 3
    otherwise."""
    alpha: Share = 0.9
    """How much weight the past has in `dynamic` mode."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.min_delay_s, self.max_delay_s
        if low is not None and high is not None and low > high:
            raise wrong(f"must be at most max_delay_s ({high:g}), got {low:g}", "min_delay_s")
        return self


class Interruption(Frozen):
    """When the caller's voice stops the agent's."""

    enabled: bool = True
    """Whether the caller can interrupt at all."""
    mode: Literal["vad", "adaptive"] = "vad"
    """`vad`: any voice long enough. `adaptive` tells an 'aha' from an interruption, in LiveKit's
    cloud only; on a server of one's own it falls back to `vad` with a warning."""
    min_duration_s: TurnSeconds = 0.1
    """Seconds of speech that interrupt. Less: quicker, and coughs make the agent pause too."""
    min_words: Annotated[int, Field(ge=0, le=20)] = 0
    """Words that interrupt; 0 does not wait for the transcript."""
    discard_audio_if_uninterruptible: bool = True
    """Whether what the caller says over speech that cannot be interrupted is dropped."""
    resume_false_interruption: bool = True
    """Whether the agent goes on speaking when the interruption held no words."""
    false_interruption_timeout_s: Annotated[float, Field(gt=0, le=30)] | None = 1.5
    """Seconds without words until an interruption was a false one. None: it never is."""
    backchannel_boundary_s: Annotated[
        tuple[TurnSeconds, ...], Field(min_length=2, max_length=2)
    ] = (
        1.0,
        1.0,
    )
    """Seconds at the beginning and at the end of the agent's speech in which an 'aha' is not an
    interruption; `adaptive` mode only."""
    aec_warmup_s: TurnSeconds | None = 1.0
    """Seconds after the agent's first words in which it hears nobody and cannot be interrupted,
    until the caller's echo cancellation has learnt the room. None: none, for callers with
    headsets or on the telephone."""


class PreemptiveGeneration(Frozen):
    """Answering before it is certain that the caller has finished, to hide the model's latency."""

    enabled: bool = True
    """Whether the language model starts on the first complete transcript."""
    preemptive_tts: bool = True
    """Whether speech is made ahead as well. Sooner heard; wasted when the caller goes on."""
    max_speech_duration_s: SpeechSeconds = 10.0
    """After the caller spoke for longer than this nothing is prepared ahead."""
    max_retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often in one turn a prepared answer may be thrown away and begun again."""


class UserTurnLimit(Frozen):
    """When the agent steps in because the caller does not stop. Both None: never."""

    max_words: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Words since the agent last spoke."""
    max_duration_s: SpeechSeconds | None = None
    """Seconds since the caller began."""


class TurnHandling(Frozen):
    """The SDK's `turn_handling`, without the detector, which stands in `turn_detection`."""

    endpointing: Endpointing = Endpointing()
    interruption: Interruption = Interruption()
    preemptive_generation: PreemptiveGeneration = PreemptiveGeneration()
    user_turn_limit: UserTurnLimit = UserTurnLimit()
