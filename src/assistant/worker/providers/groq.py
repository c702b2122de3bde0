"""Groq's language models."""

from typing import Any

from livekit.agents import llm
from livekit.plugins import groq

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import GroqOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.chat import chat_client, chat_options, closing
from assistant.worker.providers.given import given

GROQ_URL = "https://api.groq.com/openai/v1"


def build(spec: AgentSpec, vendors: VendorSettings) -> llm.LLM[Any]:
    options = spec.llm
    if not isinstance(options, GroqOptions):
        raise TypeError(f"{spec.name} does not use groq")
    key = vendors.groq_api_key.get_secret_value() if vendors.groq_api_key else None
    client = chat_client(options, key, base_url=vendors.groq_url or GROQ_URL)
    return closing(groq.LLM(**given(api_key=key), client=client, **chat_options(options)))
