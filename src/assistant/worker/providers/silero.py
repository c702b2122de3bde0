"""The silero plugin's voice activity detection."""

from livekit.agents import vad
from livekit.plugins import silero

from assistant.catalog.agent import AgentSpec
from assistant.catalog.turns import SileroVadOptions
from assistant.worker.providers.given import given


def build_vad(spec: AgentSpec) -> vad.VAD:
    options = spec.vad
    if not isinstance(options, SileroVadOptions):
        raise TypeError(f"{spec.name} does not use silero")
    return silero.VAD.load(
        **given(
            min_speech_duration=options.min_speech_duration_s,
            min_silence_duration=options.min_silence_duration_s,
            prefix_padding_duration=options.prefix_padding_duration_s,
            max_buffered_speech=options.max_buffered_speech_s,
            activation_threshold=options.activation_threshold,
            deactivation_threshold=options.deactivation_threshold,
            sample_rate=options.sample_rate,
            force_cpu=options.force_cpu,
        )
    )
