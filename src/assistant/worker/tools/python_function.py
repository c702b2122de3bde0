"""Tools that are Python functions of the user's own."""

import asyncio
import importlib
import inspect
from typing import Any

from livekit.agents import RunContext
from livekit.agents.llm import FunctionTool, function_tool
from livekit.agents.llm.utils import build_legacy_openai_schema, prepare_function_arguments

from assistant.catalog.tools import PythonTool
from assistant.worker.errors import ToolUnusableError
from assistant.worker.tools import calling
from assistant.worker.tools.allowance import Allowance


def load(tool: PythonTool) -> FunctionTool[..., Any]:
    """Import the function.

    Raises:
        ToolUnusableError: it cannot be imported, or its parameters have no type hints.
    """
    module, _, name = tool.function.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception as error:
        # The module is the user's: importing it may raise anything.
        raise ToolUnusableError(tool.function, f"{type(error).__name__}: {error}") from error
    if isinstance(function, FunctionTool):
        made: FunctionTool[..., Any] = function
        return made
    if not inspect.isroutine(function):
        raise ToolUnusableError(tool.function, "is not a function")
    wrapped: FunctionTool[..., Any] = function_tool(function)
    return wrapped


def build(tool: PythonTool, allowance: Allowance) -> calling.SdkTool:
    """Raises: ToolUnusableError: as `load`."""
    function = load(tool)
    try:
        described = build_legacy_openai_schema(function, internally_tagged=True)
    except Exception as error:
        # pydantic has many ways to say that it knows no schema for a type.
        raise ToolUnusableError(tool.function, f"{type(error).__name__}: {error}") from error

    async def run(arguments: dict[str, Any], context: RunContext[Any]) -> Any:
        args, kwargs = prepare_function_arguments(
            fnc=function, json_arguments=arguments, call_ctx=context
        )
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            return await function(*args, **kwargs)
        # A function that blocks must not stop the talk.
        result = await asyncio.to_thread(function, *args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    # By what agents.yaml knows it, whatever a decorator of the SDK's calls it.
    described["name"] = tool.names[0]
    # A model that invents an argument is told so; the function would not get it anyway.
    described["parameters"]["additionalProperties"] = False
    return calling.make(tool, described, run, allowance)
