"""What the plugins of all chat-completions vendors take alike."""

from typing import Any, TypeVar

import httpx2
import openai
from livekit.agents.utils import http_context
from livekit.plugins.openai import LLM

from assistant.catalog.providers import GroqOptions, OpenAICompatibleOptions
from assistant.worker.providers.given import given

# As the plugin's own client has them.
MAX_CONNECTIONS = 50
KEEPALIVE_S = 120.0
NO_KEY = "none"  # The client insists on some key; a server that wants none ignores it.

M = TypeVar("M", bound=LLM)


def chat_options(options: GroqOptions | OpenAICompatibleOptions) -> dict[str, Any]:
    """Model and sampling, as the plugins' keywords; what is not set is left out."""
    return given(
        model=options.model,
        temperature=options.temperature,
        top_p=options.top_p,
        max_completion_tokens=options.max_completion_tokens,
        parallel_tool_calls=options.parallel_tool_calls,
        tool_choice=options.tool_choice,
        reasoning_effort=options.reasoning_effort,
        service_tier=options.service_tier,
        user=options.user,
        prompt_cache_key=options.prompt_cache_key,
        metadata=dict(options.metadata) if options.metadata else None,
    )


def chat_client(
    options: GroqOptions | OpenAICompatibleOptions, key: str | None, *, base_url: str
) -> openai.AsyncClient:
    """The client of a language model, for `closing` to hand over.

    The plugin's own parses the CA bundle for each client, which stops a job's loop for 30 ms while
    a caller waits. This one shares the context that the warm-up has made for all vendors.
    """
    return openai.AsyncClient(
        api_key=key or NO_KEY,
        base_url=base_url,
        # The session retries by itself (SessionConnectOptions); both would multiply.
        max_retries=0,
        http_client=httpx2.AsyncClient(
            verify=http_context._create_ssl_context(),  # noqa: SLF001 - what the SDK's vendors use
            timeout=httpx2.Timeout(options.timeout_s),
            follow_redirects=True,
            limits=httpx2.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=KEEPALIVE_S,
            ),
        ),
    )


def closing(model: M) -> M:
    """The model, which closes the client that was made for it, as it does with its own."""
    model._owns_client = True  # noqa: SLF001 - as the plugin's own constructors for other clouds do
    return model
