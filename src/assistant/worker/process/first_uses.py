"""What is looked up at its first use and kept: used once in the worker, so that no job does it.

To look at an object is to count a reference to it: its page is the process's own from then on.
For the default of one field of the SDK's, pydantic has Python go through a copy of all modules,
which took 5 MB of each job.

Source: the pages that jobs wrote to, by the function that did; livekit-agents 1.8.9, openai 3.54,
pydantic 2.14.
"""

import json
import time

import httpx2
import numpy as np
import openai
from livekit import local_inference
from livekit.agents import llm
from livekit.agents.metrics import LLMMetrics
from livekit.agents.tokenize import basic
from livekit.agents.utils import http_context
from livekit.agents.voice import events
from livekit.rtc._proto.participant_pb2 import ParticipantInfo
from openai.pagination import AsyncPage
from openai.types import Model
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

_WORD = "word"
# pydantic keeps a type that it makes as long as somebody else does.
_MODELS = AsyncPage[Model]


def of_words() -> None:
    """Patterns are read at the first word; transcripts are timed by syllables."""
    basic.hyphenate_word(_WORD)


def of_certificates() -> None:
    """Parses the whole CA bundle, and is cached for the process image."""
    http_context._create_ssl_context()  # noqa: SLF001


def of_voices() -> None:
    """Of the two models in its library the small one, which hears voices; see `turn_model`."""
    local_inference.init_vad()
    window = np.zeros(local_inference.VAD_WINDOW_SAMPLES, dtype=np.int16)
    with local_inference.VAD() as heard:
        heard.predict(window)


def of_conversations() -> None:
    """What a conversation is made of: its items, and what it tells about them."""
    context = llm.ChatContext.empty()
    message = llm.ChatMessage(role="assistant", content=[_WORD])
    handoff = llm.AgentHandoff(new_agent_id=_WORD)
    for item in (
        message,
        handoff,
        llm.AgentConfigUpdate(instructions=_WORD, tools_added=[_WORD]),
        llm.FunctionCall(call_id=_WORD, name=_WORD, arguments="{}"),
        llm.FunctionCallOutput(call_id=_WORD, name=_WORD, output="", is_error=False),
    ):
        context.insert(item)
    ParticipantInfo().attributes.update((word, word) for word in (_WORD,))
    events.ConversationItemAddedEvent(item=message)
    events.ConversationItemAddedEvent(item=handoff)
    events.UserInputTranscribedEvent(transcript=_WORD, is_final=True)
    events.AgentStateChangedEvent(old_state="listening", new_state="speaking")
    events.UserStateChangedEvent(old_state="listening", new_state="speaking")
    events.MetricsCollectedEvent(
        metrics=LLMMetrics(
            label=_WORD,
            request_id=_WORD,
            timestamp=time.time(),
            duration=0.0,
            ttft=0.0,
            cancelled=False,
            completion_tokens=0,
            prompt_tokens=0,
            prompt_cached_tokens=0,
            total_tokens=0,
            tokens_per_second=0.0,
        )
    )


_MODEL = {"id": "m", "object": "model", "created": 0, "owned_by": "o"}
_FUNCTION = {"name": "f", "arguments": "{}"}
_CALL = {"index": 0, "id": "c", "type": "function", "function": _FUNCTION}
_DELTA = {"role": "assistant", "content": "", "tool_calls": [_CALL]}
_CHUNK = {
    "id": "r",
    "object": "chat.completion.chunk",
    "created": 0,
    "model": "m",
    "system_fingerprint": "s",
    "service_tier": "default",
    "choices": [{"index": 0, "delta": _DELTA, "logprobs": None, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "total_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
_MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": _WORD},
    {"role": "user", "content": _WORD},
    {
        "role": "assistant",
        "content": _WORD,
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": _WORD},
]
_TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
    }
]


def _answer(request: httpx2.Request) -> httpx2.Response:
    """As a server of chat completions would."""
    if request.url.path.endswith("/models"):
        return httpx2.Response(200, json={"object": "list", "data": [_MODEL]})
    return httpx2.Response(200, text=f"data: {json.dumps(_CHUNK)}\n\ndata: [DONE]\n\n")


def of_language_models() -> None:
    """A client looks at the platform, and makes the types of what it asks and is answered.

    Its first requests are the one that opens the connection, and a reply with a tool. The answers
    are made up here.
    """
    with openai.Client(
        api_key="none",
        base_url="http://127.0.0.1/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(_answer), trust_env=False),
    ) as client:
        client.models.list()
        reply = client.chat.completions.create(
            model="m",
            messages=_MESSAGES,
            tools=_TOOLS,
            tool_choice="auto",
            stream=True,
            stream_options={"include_usage": True},
        )
        for _ in reply:
            pass
    _MODELS.construct(object="list", data=[_MODEL])
