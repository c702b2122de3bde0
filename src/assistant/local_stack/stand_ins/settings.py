"""How fast and by what means the stand-ins answer."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from assistant.settings import SettingsModel


class StandInSettings(SettingsModel):
    """Latencies and modes of the stand-ins.

    The defaults are what the vendors publish for their fast models: a transcript about 300 ms
    after the end of speech (here: 200 ms of heard silence, then `stt_delay_s`), a first token
    after 160 ms, first audio after 120 ms.
    """

    stt_mode: Literal["pocketsphinx", "scripted"] = Field(
        "pocketsphinx",
        alias="ASSISTANT_STAND_IN_STT_MODE",
        description="`pocketsphinx` recognises speech; `scripted` hears energy and says a script.",
    )
    stt_delay_s: float = Field(
        0.10,
        alias="ASSISTANT_STAND_IN_STT_DELAY_S",
        ge=0,
        le=60,
        description="Seconds from the end of the recognition to the final transcript.",
    )
    llm_ttft_s: float = Field(
        0.16,
        alias="ASSISTANT_STAND_IN_LLM_TTFT_S",
        ge=0,
        le=60,
        description="Seconds to the language model's first token.",
    )
    llm_tokens_per_s: float = Field(
        280.0,
        alias="ASSISTANT_STAND_IN_LLM_TOKENS_PER_S",
        gt=0,
        le=100_000,
        description="Tokens a second after the first.",
    )
    tts_ttfb_s: float = Field(
        0.12,
        alias="ASSISTANT_STAND_IN_TTS_TTFB_S",
        ge=0,
        le=60,
        description="Seconds from text to first audio; the engine's own time counts towards it.",
    )
    tts_speed: float = Field(
        10.0,
        alias="ASSISTANT_STAND_IN_TTS_SPEED",
        gt=0,
        le=10_000,
        description="Seconds of audio generated a second, after the first chunk.",
    )
    tts_engine: Literal["auto", "flite", "espeak"] = Field(
        "auto",
        alias="ASSISTANT_STAND_IN_TTS_ENGINE",
        description="`auto`: flite where it is installed, else espeak-ng out of its wheel.",
    )
    script: Path | None = Field(
        None,
        alias="ASSISTANT_STAND_IN_SCRIPT",
        description="YAML of replies and scripted utterances, beside the built-in manners.",
    )
