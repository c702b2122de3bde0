"""The SDK's own models: voice activity and end of turn, from the weights in its wheel."""

from typing import Any

from livekit.agents import inference, vad

from assistant.catalog.agent import AgentSpec
from assistant.catalog.turns import AudioTurnDetection, InferenceVadOptions
from assistant.worker.hearing.at_once import AtOnce
from assistant.worker.hearing.turn_ends import SharedTurnDetector
from assistant.worker.providers.given import given


def build_vad(spec: AgentSpec) -> vad.VAD:
    options = spec.vad
    if not isinstance(options, InferenceVadOptions):
        raise TypeError(f"{spec.name} does not use the inference VAD")
    return inference.VAD(
        model="silero",
        executor=AtOnce(),
        **given(
            min_speech_duration=options.min_speech_duration_s,
            min_silence_duration=options.min_silence_duration_s,
            prefix_padding_duration=options.prefix_padding_duration_s,
            max_buffered_speech=options.max_buffered_speech_s,
            activation_threshold=options.activation_threshold,
            deactivation_threshold=options.deactivation_threshold,
        ),
    )


def build_turn_detection(spec: AgentSpec, shared: str | None = None) -> inference.TurnDetector:
    """`shared` is the address of the model that conversations share; None: a model of its own."""
    options = spec.turn_detection
    if not isinstance(options, AudioTurnDetection):
        raise TypeError(f"{spec.name} does not use v1-mini")
    thresholds: dict[str, Any] = given(unlikely_threshold=options.unlikely_threshold)
    if options.unlikely_thresholds is not None:
        thresholds = {"unlikely_threshold": dict(options.unlikely_thresholds)}
    if shared is not None:
        return SharedTurnDetector(shared, **thresholds)
    # The version is always named: left out, the SDK may choose its cloud's model.
    return inference.TurnDetector(version="v1-mini", **thresholds)
