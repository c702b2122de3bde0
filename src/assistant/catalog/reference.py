"""The tables of docs/agents.md: every option of every vendor, from the models themselves. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from assistant.catalog import providers, turns

BEGIN, END = "<!-- options: generated -->", "<!-- /options -->"
#: What is shown under which heading; the keys of a model that others share stand with it alone.
TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("Every vendor of `stt`, `llm` and `tts`", providers.ProviderOptions),
    ("`stt`: AssemblyAI", providers.AssemblyAIOptions),
    ("`stt`: Deepgram", providers.DeepgramOptions),
    ("Every vendor of `llm`", providers.ChatOptions),
    ("`llm`: Groq", providers.GroqOptions),
    ("`llm`: any server of OpenAI's protocol", providers.OpenAICompatibleOptions),
    ("`tts`: Inworld", providers.InworldOptions),
    ("`tts`: Cartesia", providers.CartesiaOptions),
    ("`vad`: inference", turns.InferenceVadOptions),
    ("`vad`: silero", turns.SileroVadOptions),
    ("`turn_detection`: v1-mini", turns.AudioTurnDetection),
    ("`turn_detection`: multilingual, english", turns.TextTurnDetection),
)


def rewritten(document: str) -> str:
    """The document with the current tables between its markers.

    Raises:
        ValueError: it has none.
    """
    if BEGIN not in document or END not in document:
        raise ValueError(f"there is no {BEGIN} ... {END}")
    head, rest = document.split(BEGIN, 1)
    return f"{head}{BEGIN}\n{''.join(_tables())}{END}{rest.split(END, 1)[1]}"


def _tables() -> Iterator[str]:
    for place, (heading, model) in enumerate(TABLES):
        shared = [base for _, base in TABLES[:place] if issubclass(model, base)]
        rows = [
            f"| `{name}` | {_default(field)} | {_meaning(field)} |\n"
            for name, field in model.model_fields.items()
            if not any(name in base.model_fields for base in shared)
        ]
        yield f"\n**{heading}**\n\n| key | default | is |\n|---|---|---|\n{''.join(rows)}"


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return ""
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    return re.sub(r"\s+", " ", field.description or "").replace("|", "\\|")
