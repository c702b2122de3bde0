"""Deepgram's speech to text."""

from typing import Any

from livekit.agents import stt
from livekit.plugins import deepgram

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import DeepgramOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.given import given, milliseconds


def build(spec: AgentSpec, vendors: VendorSettings) -> stt.STT[Any]:
    options = spec.stt
    if not isinstance(options, DeepgramOptions):
        raise TypeError(f"{spec.name} does not use deepgram")
    key = vendors.deepgram_api_key
    return deepgram.STT(
        **given(
            api_key=key.get_secret_value() if key else None,
            base_url=options.base_url or vendors.deepgram_url,
            model=options.model,
            language=options.language,
            punctuate=options.punctuate,
            smart_format=options.smart_format,
            numerals=options.numerals,
            filler_words=options.filler_words,
            endpointing_ms=milliseconds(options.endpointing_s),
            utterance_end_ms=milliseconds(options.utterance_end_s),
            keyterm=list(options.keyterms) or None,
            profanity_filter=options.profanity_filter,
            redact=list(options.redact) or None,
            replace=dict(options.replace) if options.replace else None,
            dictation=options.dictation,
            enable_diarization=options.speaker_labels,
            mip_opt_out=options.mip_opt_out,
            tags=list(options.tags) or None,
            sample_rate=options.sample_rate,
        )
    )
