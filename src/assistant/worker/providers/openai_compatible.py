"""Any server that speaks OpenAI's chat completions."""

import os
from typing import Any

import httpx2
from livekit.agents import llm
from livekit.plugins import openai

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import OpenAICompatibleOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.given import given

NO_KEY = "none"  # The client insists on some key; a server that wants none ignores it.


def build(spec: AgentSpec, _vendors: VendorSettings) -> llm.LLM[Any]:
    options = spec.llm
    if not isinstance(options, OpenAICompatibleOptions):
        raise TypeError(f"{spec.name} does not use openai-compatible")
    return openai.LLM(
        **given(
            api_key=os.environ.get(options.api_key_env or "") or NO_KEY,
            base_url=options.base_url,
            model=options.model,
            temperature=options.temperature,
            top_p=options.top_p,
            max_completion_tokens=options.max_completion_tokens,
            parallel_tool_calls=options.parallel_tool_calls,
            tool_choice=options.tool_choice,
            reasoning_effort=options.reasoning_effort,
            service_tier=options.service_tier,
            timeout=httpx2.Timeout(options.timeout_s),
            max_retries=0,  # As for Groq: the session retries.
        )
    )
