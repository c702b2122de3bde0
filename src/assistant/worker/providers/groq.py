"""Groq's language models."""

from typing import Any

import httpx2
from livekit.agents import llm
from livekit.plugins import groq

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import GroqOptions
from assistant.settings import VendorSettings
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
            model=options.model,
            temperature=options.temperature,
            top_p=options.top_p,
            max_completion_tokens=options.max_completion_tokens,
            parallel_tool_calls=options.parallel_tool_calls,
            tool_choice=options.tool_choice,
            reasoning_effort=options.reasoning_effort,
            service_tier=options.service_tier,
            timeout=httpx2.Timeout(options.timeout_s),
            # The session retries by itself (SessionConnectOptions); both would multiply.
            max_retries=0,
        )
    )
