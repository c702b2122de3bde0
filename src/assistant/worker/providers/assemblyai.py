"""AssemblyAI's speech to text."""

from typing import Any

from livekit.agents import stt
from livekit.plugins import assemblyai

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import AssemblyAIOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.given import given, milliseconds


def build(spec: AgentSpec, vendors: VendorSettings) -> stt.STT[Any]:
    options = spec.stt
    if not isinstance(options, AssemblyAIOptions):
        raise TypeError(f"{spec.name} does not use assemblyai")
    return assemblyai.STT(
        **given(
            api_key=vendors.stt_key(),
            base_url=options.base_url or vendors.assemblyai_url,
            model=options.model,
            mode=options.mode,
            sample_rate=options.sample_rate,
            buffer_size_seconds=options.buffer_s,
            language_codes=list(options.language_codes) if options.language_codes else None,
            language_detection=options.language_detection,
            end_of_turn_confidence_threshold=options.end_of_turn_confidence_threshold,
            min_turn_silence=milliseconds(options.min_turn_silence_s),
            max_turn_silence=milliseconds(options.max_turn_silence_s),
            format_turns=options.format_turns,
            continuous_partials=options.continuous_partials,
            interruption_delay=milliseconds(options.interruption_delay_s),
            keyterms_prompt=list(options.keyterms) or None,
            prompt=options.prompt,
            previous_context_n_turns=options.previous_context_n_turns,
            vad_threshold=options.vad_threshold,
            speaker_labels=options.speaker_labels,
            max_speakers=options.max_speakers,
            domain=options.domain,
            voice_focus=options.voice_focus,
            voice_focus_threshold=options.voice_focus_threshold,
        )
    )
