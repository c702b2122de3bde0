"""Inworld's text to speech."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from livekit.agents import tts
from livekit.plugins import inworld

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import InworldOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.given import given, milliseconds
from assistant.worker.providers.sentences import sentences

# They cut text into sentences themselves.
_CUTTING_MODELS = "inworld-tts-2"


def build(spec: AgentSpec, vendors: VendorSettings) -> tts.TTS[Any]:
    options = spec.tts
    if not isinstance(options, InworldOptions):
        raise TypeError(f"{spec.name} does not use inworld")
    key = vendors.inworld_api_key
    url = vendors.inworld_url
    return inworld.TTS(
        **given(
            api_key=key.get_secret_value() if key else None,
            base_url=url,
            ws_url=_as_websocket(url) if url else None,
            voice=options.voice,
            model=options.model,
            language=options.language,
            speaking_rate=options.speaking_rate,
            temperature=options.temperature,
            delivery_mode=options.delivery_mode,
            text_normalization=options.text_normalization,
            encoding=options.encoding,
            bit_rate=options.bit_rate,
            sample_rate=options.sample_rate,
            timestamp_type=options.timestamp_type,
            timestamp_transport_strategy=options.timestamp_transport_strategy,
            buffer_char_threshold=options.buffer_char_threshold,
            max_buffer_delay_ms=milliseconds(options.max_buffer_delay_s),
            tokenizer=None
            if options.model.startswith(_CUTTING_MODELS)
            else sentences(retain_format=True),
        )
    )


def _as_websocket(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="wss" if parts.scheme == "https" else "ws"))
