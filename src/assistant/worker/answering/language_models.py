"""Several language models as one: whoever fails or falls silent is replaced in mid-answer.

The SDK's own adapter gives up an answer of which a word was released, since the next vendor would
begin anew. Here the next vendor is shown what was said and goes on behind it; where there is no
other, the same one is asked once more, as often as the session retries. A tool that was called is
running: its result is asked about, the call itself is never made a second time.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from livekit.agents import NOT_GIVEN, APIConnectionError, APIConnectOptions, APIError, ChatContext
from livekit.agents.llm import (
    LLM,
    AvailabilityChangedEvent,
    ChatChunk,
    LLMError,
    LLMStream,
    Tool,
    ToolChoice,
)
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NotGivenOr

from assistant.worker.answering.seam import Seam, going_on
from assistant.worker.availability import PROBE_AFTER_S, Availability
from assistant.worker.errors import SilentVendorError

# What a failed vendor is asked; the first word of the answer will do.
PROBE_TEXT = "Hello."

_Changed = Literal["llm_availability_changed"]


class LanguageModels(LLM[_Changed]):
    """`vendors`, the first one first; `patience_s`: without a first or a next piece of an answer.

    A vendor that failed is tried again after `probe_after_s`, then after twice as long each time.
    Emits `llm_availability_changed`, and for a silent vendor that one's own `error`.
    """

    def __init__(
        self,
        vendors: Sequence[LLM[Any]],
        *,
        patience_s: float,
        probe_after_s: float = PROBE_AFTER_S,
    ) -> None:
        super().__init__()
        self.vendors = tuple(vendors)
        self.patience_s = patience_s
        self._availability = Availability(
            len(vendors),
            self._answers,
            self._on_available,
            away="model.still_away",
            patience_s=patience_s,
            probe_after_s=probe_after_s,
        )
        #: Who answered last.
        self.active = self.vendors[0]
        #: Since when (monotonic seconds) more of an answer is waited for; None: of none.
        self.starving_since: float | None = None
        for vendor in vendors:
            vendor.on("metrics_collected", self._on_metrics)

    @property
    def model(self) -> str:
        return self.active.model

    @property
    def provider(self) -> str:
        return self.active.provider

    @property
    def available(self) -> list[bool]:
        return self._availability.now

    def order(self) -> list[int]:
        """Whom to ask, one after the other."""
        return self._availability.order()

    def failed(self, place: int) -> None:
        """It is asked no more until a probe succeeds."""
        self._availability.failed(place)

    def chat(
        self,
        *,
        chat_ctx: ChatContext,
        tools: list[Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> "LanguageModelsStream":
        return LanguageModelsStream(
            self,
            chat_ctx=chat_ctx,
            tools=tools or [],
            conn_options=conn_options,
            asked={
                "parallel_tool_calls": parallel_tool_calls,
                "tool_choice": tool_choice,
                "extra_kwargs": extra_kwargs,
            },
        )

    def prewarm(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.vendors[0].prewarm(loop=loop)

    async def aclose(self) -> None:
        await self._availability.aclose()
        for vendor in self.vendors:
            vendor.off("metrics_collected", self._on_metrics)
        await asyncio.gather(*(vendor.aclose() for vendor in self.vendors))

    async def _answers(self, place: int) -> bool:
        return await _answers(self.vendors[place], self.patience_s)

    def _on_available(self, place: int, available: bool) -> None:
        changed = AvailabilityChangedEvent(llm=self.vendors[place], available=available)
        self.emit("llm_availability_changed", changed)

    def _on_metrics(self, *told: Any) -> None:
        self.emit("metrics_collected", *told)


async def _answers(vendor: LLM[Any], timeout_s: float) -> bool:
    context = ChatContext.empty()
    context.add_message(role="user", content=PROBE_TEXT)
    options = APIConnectOptions(max_retry=0, timeout=timeout_s)
    async with vendor.chat(chat_ctx=context, conn_options=options) as stream:
        async for chunk in stream:
            if chunk.has_response():
                return True
    return False


class LanguageModelsStream(LLMStream):
    """One answer, by as many vendors as it takes; `asked` is what else each is asked with.

    What it holds survives a retry of the base class, which calls `_run` once more.
    """

    # Each vendor's request has spans of its own, directly below this one's.
    _llm_request_span_name = "llm_fallback_adapter"
    _llm_attempt_span_name = None
    _genai_operation_name = None

    def __init__(
        self,
        owner: LanguageModels,
        *,
        chat_ctx: ChatContext,
        tools: list[Tool],
        conn_options: APIConnectOptions,
        asked: dict[str, Any],
    ) -> None:
        self._owner = owner
        self._asked = asked
        #: What was released of the answer.
        self._said = ""
        #: A tool is running; what comes of it is asked about with the next request.
        self._called = False
        super().__init__(owner, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)

    async def _run(self) -> None:
        owner, cause = self._owner, None
        said_before = self._said
        try:
            for place in owner.order():
                try:
                    await self._answer(place)
                    return
                except Exception as error:  # noqa: BLE001 - whoever it is, the next one answers
                    cause = error
                    owner.failed(place)
                    if self._called:
                        return
        finally:
            owner.starving_since = None
        if isinstance(cause, APIError) and len(owner.vendors) == 1 and self._said == said_before:
            raise cause  # It knows whether it makes sense to ask again.
        raise APIConnectionError("no language model is left") from cause

    async def _answer(self, place: int) -> None:
        """Have one vendor answer, or go on with the answer.

        Raises:
            SilentVendorError: nothing came for too long.
        """
        owner, vendor = self._owner, self._owner.vendors[place]
        seam = Seam(self._said) if self._said else None
        options = replace(self._conn_options, max_retry=0, timeout=owner.patience_s)
        async with vendor.chat(
            chat_ctx=going_on(self._chat_ctx, self._said) if seam else self._chat_ctx,
            tools=self._tools,
            conn_options=options,
            **self._asked,
        ) as stream:
            chunk: ChatChunk | None = None
            while (chunk := await self._next(place, stream)) is not None:
                owner.active = vendor
                self._release(chunk, seam)
            if seam is not None and (rest := seam.end()):
                self._said += rest
                self._event_ch.send_nowait(_of_text(rest))

    def _release(self, chunk: ChatChunk, seam: Seam | None) -> None:
        delta = chunk.delta
        if delta is not None and delta.content and seam is not None:
            text = seam.push(delta.content)
            chunk = chunk.model_copy(update={"delta": delta.model_copy(update={"content": text})})
            delta = chunk.delta
        if delta is not None and delta.content:
            self._said += delta.content
            self._owner.starving_since = time.monotonic()
        self._called = self._called or (delta is not None and bool(delta.tool_calls))
        self._event_ch.send_nowait(chunk)

    async def _next(self, place: int, stream: LLMStream) -> ChatChunk | None:
        """The next piece of the answer; None: that was all."""
        try:
            async with asyncio.timeout(self._owner.patience_s):
                return await anext(stream)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise self._accuse(place) from None

    def _accuse(self, place: int) -> SilentVendorError:
        vendor = self._owner.vendors[place]
        error = SilentVendorError("the language model", self._owner.patience_s)
        told = LLMError(timestamp=time.time(), label=vendor.label, error=error, recoverable=True)
        vendor.emit("error", told)
        return error

    async def _metrics_monitor_task(self, event_aiter: Any) -> None:
        # The vendors' own streams measure.
        async for _ in event_aiter:
            pass


def _of_text(text: str) -> ChatChunk:
    return ChatChunk.model_validate({"id": "rest", "delta": {"role": "assistant", "content": text}})
