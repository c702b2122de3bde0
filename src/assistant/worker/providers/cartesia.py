"""Cartesia's text to speech."""

from typing import Any

from livekit.agents import tts
from livekit.plugins import cartesia

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import CartesiaOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.given import given
from assistant.worker.providers.sentences import sentences


def build(spec: AgentSpec, vendors: VendorSettings) -> tts.TTS[Any]:
    options = spec.tts
    if not isinstance(options, CartesiaOptions):
        raise TypeError(f"{spec.name} does not use cartesia")
    key = vendors.cartesia_api_key
    return cartesia.TTS(
        **given(
            api_key=key.get_secret_value() if key else None,
            base_url=_without_slash(options.base_url or vendors.cartesia_url),
            voice=options.voice,
            model=options.model,
            language=options.language,
            speed=options.speed,
            volume=options.volume,
            emotion=options.emotion,
            pronunciation_dict_id=options.pronunciation_dict_id,
            word_timestamps=options.word_timestamps,
            sample_rate=options.sample_rate,
            tokenizer=sentences(retain_format=False),
        )
    )


def _without_slash(url: str | None) -> str | None:
    # The plugin puts its paths behind it as they are.
    return url.rstrip("/") if url else None
