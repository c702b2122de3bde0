"""What clients send to Inworld's speech synthesis, as far as the stand-in reads it."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: Source: the vendor's API reference; the plugin cuts longer text itself.
MAX_TEXT_CHARS = 2_000

Encoding = Literal["PCM", "LINEAR16"]


class _Wire(BaseModel):
    # The vendor's clients send fields that come and go; what isn't read here is left alone.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class AudioConfig(_Wire):
    """Rates in Hz. Only the uncompressed encodings are spoken here."""

    encoding: Encoding = Field(default="LINEAR16", alias="audioEncoding")
    rate: int = Field(default=48_000, alias="sampleRateHertz", ge=8_000, le=48_000)
    speaking_rate: float = Field(default=1.0, alias="speakingRate", ge=0.5, le=1.5)


class VoiceConfig(_Wire):
    """A `create` message, and what a one-shot request has in common with it."""

    voice_id: str = Field(alias="voiceId", min_length=1, max_length=256)
    model_id: str = Field(alias="modelId", min_length=1, max_length=256)
    audio: AudioConfig = Field(default=AudioConfig(), alias="audioConfig")
    timestamps: Literal["TIMESTAMP_TYPE_UNSPECIFIED", "WORD", "CHARACTER"] = Field(
        default="TIMESTAMP_TYPE_UNSPECIFIED", alias="timestampType"
    )
    auto_mode: bool = Field(default=False, alias="autoMode")
    auto_mode_strategy: Literal["CLIENT_SEGMENTED", "SENTENCE_BOUNDARY"] = Field(
        default="CLIENT_SEGMENTED", alias="autoModeStrategy"
    )
    buffer_char_threshold: int = Field(default=1_000, alias="bufferCharThreshold", ge=1)
    #: Milliseconds; 0 is without a limit.
    max_buffer_delay_ms: int = Field(default=0, alias="maxBufferDelayMs", ge=0)


class OneShot(VoiceConfig):
    """The body of `/tts/v1/voice:stream`."""

    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)


class SendText(_Wire):
    text: str = Field(max_length=MAX_TEXT_CHARS)


class Nothing(_Wire):
    """The body of a message that only has a name."""


class ContextMessage(_Wire):
    """One message on the websocket: exactly one of the fields besides `contextId` is set."""

    context_id: str | None = Field(default=None, alias="contextId", max_length=256)
    create: VoiceConfig | None = None
    send_text: SendText | None = None
    flush_context: Nothing | None = None
    close_context: Nothing | None = None
    cancel_context: Nothing | None = None


_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+")


def sentences(text: str) -> list[str]:
    """The sentences of `text`, the last one perhaps unfinished; never empty ones."""
    parts: list[str] = []
    for part in _SENTENCE_END.split(text):
        # "Dr. Smith" and "No. 5" are no ends: such short pieces stay with what follows.
        if parts and len(parts[-1].split()[-1]) <= 3 and parts[-1].split()[-1][0].isupper():
            parts[-1] = f"{parts[-1]} {part.strip()}"
        elif part.strip():
            parts.append(part.strip())
    return parts
