"""Groq's language models."""

from typing import Any

from livekit.agents import llm
from livekit.plugins import groq

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import GroqOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.chat import chat_options
from assistant.worker.providers.given import given


def build(spec: AgentSpec, vendors: VendorSettings) -> llm.LLM[Any]:
    options = spec.llm
    if not isinstance(options, GroqOptions):
        raise TypeError(f"{spec.name} does not use groq")
    key = vendors.groq_api_key
    return groq.LLM(
        **given(
            api_key=key.get_secret_value() if key else None,
            base_url=vendors.groq_url,
        ),
        **chat_options(options),
    )
