"""Any server that speaks OpenAI's chat completions."""

import os
from typing import Any

from livekit.agents import llm
from livekit.plugins import openai

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import OpenAICompatibleOptions
from assistant.settings import VendorSettings
from assistant.worker.providers.chat import chat_options
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
            verbosity=options.verbosity,
            extra_body=dict(options.extra_body) if options.extra_body else None,
        ),
        **chat_options(options),
    )
