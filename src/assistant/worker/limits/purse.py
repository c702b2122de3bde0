"""What a session may still use of its vendors: asked before each call of a model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from livekit.agents import ChatContext
from livekit.agents.llm import ChatChunk, ChatMessage, FunctionCall, FunctionCallOutput

from assistant.catalog.budget import Budget
from assistant.catalog.prices import Prices
from assistant.catalog.providers import LlmOptions
from assistant.sessions.usage import Spent, Usage, together
from assistant.worker.limits.spending import cost_of, priced
from assistant.worker.tools.allowance import BYTES_PER_TOKEN

NOTHING = Spent()


@dataclass
class Call:
    """One request to a language model while it runs."""

    counted: bool = False
    chars: int = 0

    def heard(self, chunk: object) -> None:
        if isinstance(chunk, ChatChunk):
            self.counted = self.counted or chunk.usage is not None
            if chunk.delta is not None:
                self.chars += len(chunk.delta.content or "")


class Purse:
    """One session's budget, whichever of its attempts and agents has it.

    `spent` says what this attempt has used so far, `before` is what earlier ones had; `tell` has
    it written down, so that a killed job does not begin anew. A vendor that was interrupted, or
    that does not say what it used, is counted by the length of what was said; so one call, or two
    where an answer is prepared ahead, is all that can go beyond the budget.
    """

    def __init__(
        self,
        budget: Budget,
        prices: Prices | None,
        *,
        spent: Callable[[], Spent],
        before: Spent = NOTHING,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self._budget = budget
        self._prices = prices
        self._spent = spent
        self._before = before
        self._tell = tell
        self._uncounted = NOTHING

    def used_up(self) -> str | None:
        """What nothing is left of: `tokens` or `cost`; None: there is still some of both."""
        models = together((self._before, self._spent(), self._uncounted)).models
        tokens = sum(m.input_tokens + m.output_tokens for m in models if m.kind == "llm")
        if self._budget.max_tokens is not None and tokens >= self._budget.max_tokens:
            return "tokens"
        # Every model has a price, or the agent would have been refused.
        money = sum(m.cost for m in models if m.cost is not None)
        if self._budget.max_cost is not None and money >= self._budget.max_cost:
            return "cost"
        return None

    @contextmanager
    def call(self, options: LlmOptions, context: ChatContext) -> Iterator[Call]:
        """One call of a language model, from its admission to its end."""
        call = Call()
        failed = False
        try:
            yield call
        except Exception:
            failed = True  # No vendor charges for a refusal.
            raise
        finally:
            if not call.counted and not failed:
                self._estimate(options, context, call)
            self._tell()

    def _estimate(self, options: LlmOptions, context: ChatContext, call: Call) -> None:
        usage = Usage(
            kind="llm",
            provider=options.provider,
            model=options.model,
            input_tokens=-(-_length(context) // BYTES_PER_TOKEN),
            output_tokens=-(-call.chars // BYTES_PER_TOKEN),
        )
        guess = Spent(models=(priced(usage, cost_of(usage, self._prices)),))
        self._uncounted = together((self._uncounted, guess))


def _length(context: ChatContext) -> int:
    length = 0
    for item in context.items:
        match item:
            case ChatMessage():
                length += len(item.text_content or "")
            case FunctionCall():
                length += len(item.arguments)
            case FunctionCallOutput():
                length += len(item.output)
            case _:
                pass
    return length
