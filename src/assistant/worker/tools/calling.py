"""One call of a tool: checked, bounded, filled with words when it is slow."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from jsonschema import Draft202012Validator
from livekit.agents import RunContext
from livekit.agents.llm import FunctionTool, RawFunctionTool, ToolError, function_tool
from referencing import Registry

from assistant import log
from assistant.catalog.tools import Tool
from assistant.worker.tools.allowance import Allowance

MAX_RESULT_CHARS = 32_768  # Of one result; a model that reads more forgets what it was asked.
MAX_WORDS_CHARS = 300  # Of what is wrong with an argument, told to the model.
TIMED_OUT = "The tool did not answer in time."

Run = Callable[[dict[str, Any], RunContext[Any]], Awaitable[Any]]
SdkTool = FunctionTool[..., Any] | RawFunctionTool[..., Any]

_log = log.get(__name__)


def make(
    tool: Tool,
    described: Mapping[str, Any],
    run: Run,
    allowance: Allowance,
    *,
    timed_out: str = TIMED_OUT,
) -> SdkTool:
    """A tool for the SDK that runs `run` within all bounds.

    `described` has its `name`, `description` and, as JSON Schema, `parameters`; `timed_out` is
    what the model is told when `run` takes too long.

    Raises:
        jsonschema.SchemaError: `parameters` are no JSON Schema.
    """
    Draft202012Validator.check_schema(described["parameters"])
    # Without a registry of our own it would fetch what a `$ref` names, from wherever that is.
    validator = Draft202012Validator(described["parameters"], registry=Registry())

    async def call(raw_arguments: dict[str, Any], context: RunContext[Any]) -> str:
        with allowance.call():
            try:
                _check(validator, raw_arguments)
                async with asyncio.timeout(min(tool.timeout_s, allowance.left_s)):
                    async with _filler(tool, context):
                        result = await run(raw_arguments, context)
            except TimeoutError:
                raise ToolError(timed_out) from None
            except ToolError:
                raise
            except Exception as error:
                # Whatever a tool raises, the conversation goes on; the model learns no details.
                _log.warning("tool.failed", tool=described["name"], error=type(error).__name__)
                raise ToolError("The tool failed.") from error
        return allowance.take(as_text(result))

    schema = {key: described[key] for key in ("name", "description", "parameters")}
    return function_tool(call, raw_schema=schema)


def as_text(result: Any) -> str:
    """What the model reads: text as it is, everything else as JSON.

    Raises:
        ToolError: it is too long, or no JSON.
    """
    try:
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError):
        raise ToolError("The tool gave back something that is not text.") from None
    if len(text) > MAX_RESULT_CHARS:
        raise ToolError("The tool's result is too long to read.")
    return text


def _check(validator: Draft202012Validator, arguments: dict[str, Any]) -> None:
    wrong = [
        f"{'.'.join(str(part) for part in error.absolute_path) or 'arguments'}: {error.message}"
        for error in validator.iter_errors(arguments)
    ]
    if wrong:
        raise ToolError(f"Wrong arguments: {'; '.join(wrong)[:MAX_WORDS_CHARS]}")


def _filler(tool: Tool, context: RunContext[Any]) -> AbstractAsyncContextManager[None]:
    if tool.filler is None:
        return nullcontext()
    return context.with_filler(tool.filler, delay=tool.filler_after_s)
