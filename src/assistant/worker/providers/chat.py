"""What the plugins of all chat-completions vendors take alike."""

from typing import Any

import httpx2

from assistant.catalog.providers import GroqOptions, OpenAICompatibleOptions
from assistant.worker.providers.given import given


def chat_options(options: GroqOptions | OpenAICompatibleOptions) -> dict[str, Any]:
    """Model, sampling and time-out, as the plugins' keywords; what is not set is left out."""
    return given(
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
