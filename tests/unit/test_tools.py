"""Tools, one by one: what they take, what they give back, and what they refuse."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from aiohttp import web
from livekit.agents import RunContext
from livekit.agents.llm import ToolError

from assistant.catalog.tools import HttpTool, McpTool, PythonTool, ToolLimits
from assistant.sessions.item import Item, ToolUse
from assistant.worker.errors import ToolUnusableError
from assistant.worker.tools import http_request, python_function
from assistant.worker.tools.allowance import Allowance
from assistant.worker.tools.calling import SdkTool
from assistant.worker.tools.http_request import HttpRequest
from assistant.worker.tools.mcp_server import McpTools
from tests.timing import scaled
from tests.unit.mcp_library import library

HOST = "127.0.0.1"
FUNCTIONS = "tests.unit.tool_functions"
ORDER: dict[str, Any] = {
    "type": "http",
    "name": "order_status",
    "description": "Looks an order up.",
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "string"}, "lang": {"type": "string"}},
        "required": ["number"],
    },
}


def allowance(**limits: Any) -> Allowance:
    return Allowance(ToolLimits.model_validate(limits))


async def called(tool: SdkTool, **arguments: Any) -> Any:
    # None of these tools has a filler, which alone needs a conversation.
    context = cast("RunContext[Any]", None)
    return await cast("Any", tool)(raw_arguments=arguments, context=context)


def python(function: str, *, limits: Allowance | None = None, **options: Any) -> SdkTool:
    name = f"{FUNCTIONS}:{function}"
    tool = PythonTool.model_validate({"type": "python", "function": name, **options})
    return python_function.build(tool, limits or allowance())


async def test_a_python_function_is_called_with_checked_arguments() -> None:
    """Results are text or JSON; a function that blocks runs beside the conversation."""
    assert await called(python("add_numbers"), first=2, second=3) == "5"
    assert await called(python("look_up_slowly"), shelf="top") == '{"shelf": "top"}'
    with pytest.raises(ToolError, match="first: 'two' is not of type 'integer'"):
        await called(python("add_numbers"), first="two", second=3)
    with pytest.raises(ToolError, match=r"shelf: 'middle' is not one of"):
        await called(python("look_up_slowly"), shelf="middle")


async def test_a_function_that_raises_tells_the_model_nothing_else() -> None:
    """The exception's text may hold what no caller should hear."""
    with pytest.raises(ToolError) as caught:
        await called(python("burst"), secret="hunter2")
    assert caught.value.message == "The tool failed."


async def test_what_is_too_long_or_too_slow_is_refused() -> None:
    with pytest.raises(ToolError, match="too long to read"):
        await called(python("flood"))
    with pytest.raises(ToolError, match="did not answer in time"):
        await called(python("look_up_slowly", timeout_s=0.001), shelf="top")


@pytest.mark.parametrize("function", ["no_such", "NOT_A_FUNCTION"])
def test_a_function_that_cannot_be_used_is_named(function: str) -> None:
    with pytest.raises(ToolUnusableError, match=function):
        python(function)


async def test_the_allowance_is_shared_and_ends() -> None:
    """Calls, results and time each have an end; the model is told which."""
    two = allowance(max_calls=2)
    tool, other = python("add_numbers", limits=two), python("look_up_slowly", limits=two)
    await called(tool, first=1, second=1)
    await called(other, shelf="top")
    with pytest.raises(ToolError, match="calls of tools"):
        await called(tool, first=1, second=1)
    small = python("look_up_slowly", limits=allowance(max_result_tokens=1))
    with pytest.raises(ToolError, match="results of tools"):
        await called(small, shelf="top")
    short = python("look_up_slowly", limits=allowance(max_total_s=0.001))
    with pytest.raises(ToolError, match="in time"):
        await called(short, shelf="top")
    with pytest.raises(ToolError, match="time for tools"):
        await called(short, shelf="top")


def used(name: str, *, seconds: float = 0.0, output: str = "") -> Item:
    tool = ToolUse(name=name, call_id="c", arguments="{}", output=output, is_error=False)
    times = {"at": 10.0, "started_at": 10.0, "ended_at": 10.0 + seconds}
    return Item(id=name, role="tool", text="", interrupted=False, tool=tool, **times)


@pytest.mark.parametrize(
    ("said", "nothing_left_of"),
    [
        ([used("add_numbers"), used("add_numbers")], "calls of tools"),
        ([used("add_numbers", seconds=120)], "time for tools"),
        ([used("add_numbers", output="word" * 100)], "results of tools"),
        ([used("date_time", seconds=120), used("end_call", output="word" * 100)], None),
    ],
)
def test_what_a_lost_attempt_has_used_is_gone(
    said: list[Item], nothing_left_of: str | None
) -> None:
    """The next agent of the session begins with what is left, by what is on record."""
    limits = ToolLimits(max_calls=2, max_total_s=100, max_result_tokens=100)
    left = Allowance(limits, said)
    refusal = pytest.raises(ToolError, match=nothing_left_of) if nothing_left_of else nullcontext()
    with refusal, left.call():
        pass


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A service on a free port, and what it was asked."""
    asked: list[web.Request] = []

    async def orders(request: web.Request) -> web.StreamResponse:
        await request.read()
        asked.append(request)
        number = request.match_info["number"]
        if number == "away":
            raise web.HTTPFound("/secret")
        if number == "long":
            return web.Response(text="x" * 9000)
        if number == "slow":
            await asyncio.sleep(scaled(5))
        if number == "none":
            raise web.HTTPNotFound
        return web.json_response({"number": number, "status": "sent"})

    app = web.Application()
    app.router.add_route("*", "/orders/{number}", orders)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def http_tool(url: str, **options: Any) -> HttpTool:
    return HttpTool.model_validate({**ORDER, "url": url, "allow_internal": True, **options})


async def test_an_http_tool_asks_as_declared() -> None:
    """Arguments go into path, query or body; secrets come from the environment."""
    async with shop() as (base, asked):
        environ = {"SHOP": base, "SHOP_KEY": "k1"}
        headers = {"Authorization": "Bearer ${SHOP_KEY}"}
        tool = http_tool("${SHOP}/orders/{number}", headers=headers)
        assert tool.environment == ("SHOP", "SHOP_KEY")
        answer = await HttpRequest(tool, environ).send({"number": "12 ä", "lang": "de"})
        assert answer == '{"number": "12 \\u00e4", "status": "sent"}'
        assert asked[0].headers["Authorization"] == "Bearer k1"
        assert (asked[0].method, dict(asked[0].query)) == ("GET", {"lang": "de"})
        post = http_tool("${SHOP}/orders/{number}", method="POST")
        await HttpRequest(post, environ).send({"number": "5", "lang": "de"})
        assert (await asked[1].json(), dict(asked[1].query)) == ({"lang": "de"}, {})


def http(url: str, *, limits: Allowance | None = None, **options: Any) -> SdkTool:
    return http_request.build(http_tool(url, **options), {}, limits or allowance())


async def test_an_http_tool_refuses_in_words() -> None:
    """Redirects are not followed; long, slow and failing answers each have their words."""
    errors = {"404": "No order.", "timeout": "The shop is slow."}
    async with shop() as (base, asked):
        tool = http(f"{base}/orders/{{number}}", timeout_s=0.3, errors=errors)
        for number, words in {
            "none": "No order.",
            "away": "status 302",
            "long": "too long",
            "slow": "The shop is slow.",
        }.items():
            with pytest.raises(ToolError, match=words):
                await called(tool, number=number)
        assert {each.path for each in asked} == {
            f"/orders/{number}" for number in ("none", "away", "long", "slow")
        }
    gone = http(f"{base}/orders/{{number}}", errors={"unreachable": "The shop is closed."})
    with pytest.raises(ToolError, match="The shop is closed"):
        await called(gone, number="1")


async def test_nothing_that_is_not_declared_becomes_part_of_a_request() -> None:
    """Unless the schema says that it may."""
    async with shop() as (base, asked):
        with pytest.raises(ToolError, match="'admin' was unexpected"):
            await called(http(f"{base}/orders/{{number}}"), number="1", admin="true")
        assert asked == []
        parameters = {**ORDER["parameters"], "additionalProperties": True}
        await called(http(f"{base}/orders/{{number}}", parameters=parameters), number="1", x="y")
        assert dict(asked[0].query) == {"x": "y"}


async def test_a_schema_fetches_nothing() -> None:
    """A `$ref` to elsewhere is not followed, wherever the schema comes from."""
    async with shop() as (base, asked):
        far = {"type": "object", "properties": {"number": {"$ref": f"{base}/orders/schema"}}}
        parameters = {**far, "required": ["number"]}
        with pytest.raises(ToolError, match="The tool failed"):
            await called(http(f"{base}/orders/{{number}}", parameters=parameters), number="1")
        assert asked == []


@pytest.mark.parametrize("number", ["..", ".", "", "a/b", "a\\b", "%2e%2e", "a?b=c", "a#b", "1\n"])
async def test_an_argument_cannot_leave_its_place_in_the_path(number: str) -> None:
    async with shop() as (base, asked):
        with pytest.raises(ToolError, match="number must be one plain word"):
            await HttpRequest(http_tool(f"{base}/orders/{{number}}"), {}).send({"number": number})
        assert asked == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "localhost.", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0"),
    ],
)
async def test_an_http_tool_does_not_reach_this_machine(host: str) -> None:
    """However its address is written: unless agents.yaml allows it, nothing is sent."""
    async with shop() as (base, asked):
        port = base.rpartition(":")[2]
        tool = http_tool(f"http://{host}:{port}/orders/{{number}}", allow_internal=False)
        with pytest.raises(ToolError, match="cannot be reached"):
            await HttpRequest(tool, {}).send({"number": "1"})
        assert asked == []


def mcp_tool(**options: Any) -> McpTool:
    program = str(Path(__file__).with_name("mcp_program.py"))
    declared = {"type": "mcp", "command": [sys.executable, program], "connect_timeout_s": 30}
    declared |= options
    return McpTool.model_validate_json(json.dumps(declared))


async def test_only_the_allowed_tools_of_an_mcp_server_exist() -> None:
    """The program sees no variable that it was not given."""
    environ = {"SHELF": "4", "GROQ_API_KEY": "secret"}
    tool = mcp_tool(allow=["find_book", "show_environment", "no_such"], env=["SHELF"])
    server = McpTools(tool, environ, allowance())
    try:
        tools = {each.info.name: each for each in await server.open()}
        assert set(tools) == {"find_book", "show_environment"}
        assert "Emma is on shelf 4" in await called(tools["find_book"], title="Emma")
        seen = await called(tools["show_environment"])
        assert "SHELF" in seen
        assert "GROQ_API_KEY" not in seen
        with pytest.raises(ToolError, match="'title' is a required property"):
            await called(tools["find_book"])
    finally:
        await server.close()


async def test_without_its_mcp_server_the_agent_has_fewer_tools() -> None:
    """A program that is not there, and one that says nothing in the time that it has."""
    missing = McpTool(type="mcp", command=("/no/such/program",), allow=("find_book",))
    assert await McpTools(missing, {}, allowance()).open() == []
    silent = mcp_tool(command=["sleep", "60"], allow=["find_book"], connect_timeout_s=0.1)
    assert await McpTools(silent, {}, allowance()).open() == []


async def test_an_mcp_server_over_http_is_asked_within_bounds() -> None:
    """An internal one only if that is allowed, by the address that is connected to; no flood."""
    async with library() as (url, asked):
        declared: dict[str, Any] = {"type": "mcp", "url": url, "allow": ["find_book", "flood"]}
        outside = McpTools(McpTool.model_validate_json(json.dumps(declared)), {}, allowance())
        assert await outside.open() == []
        assert asked == []
        declared["allow_internal"] = True
        inside = McpTools(McpTool.model_validate_json(json.dumps(declared)), {}, allowance())
        try:
            find_book, flood = await inside.open()
            assert "Emma is on shelf 4" in await called(find_book, title="Emma")
            # Not "too long": that is said of what was read to its end.
            with pytest.raises(ToolError, match="The tool failed"):
                await called(flood)
        finally:
            await inside.close()


async def test_a_program_that_does_not_end_by_itself_is_ended() -> None:
    """Nothing is left of an MCP server when its conversation is over."""
    server = McpTools(mcp_tool(allow=["find_book"]), {}, allowance())
    await server.open()
    ours = psutil.Process().children()
    (program,) = (each for each in ours if "mcp_program" in str(each.cmdline()))
    program.suspend()
    await server.close()
    assert not program.is_running()
