"""Any server that speaks OpenAI's chat completions."""

import os
from typing import Any

from livekit.agents import llm
from livekit.plugins import openai

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import OpenAICompatibleOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.chat import chat_client, chat_options, closing
from assistant.worker.providers.given import given


def build(spec: AgentSpec, _vendors: VendorSettings) -> llm.LLM[Any]:
    options = spec.llm
    if not isinstance(options, OpenAICompatibleOptions):
        raise TypeError(f"{spec.name} does not use openai-compatible")
    key = os.environ.get(options.api_key_env or "")
    model = openai.LLM(
        client=chat_client(options, key, base_url=options.base_url),
        **given(
            verbosity=options.verbosity,
            extra_headers=dict(options.extra_headers) if options.extra_headers else None,
            extra_query=dict(options.extra_query) if options.extra_query else None,
            extra_body=dict(options.extra_body) if options.extra_body else None,
        ),
        **chat_options(options),
    )
    return closing(model)
