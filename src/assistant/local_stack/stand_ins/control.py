"""The routes by which tests and benchmarks order faults and read what was received.

They have no keys: the stand-ins are for loopback. A page in a browser can't use them, because they
take only JSON, which a foreign page may not post.
"""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from assistant.local_stack.stand_ins.faults import FaultOrder
from assistant.local_stack.stand_ins.parts import PARTS


def _problem(status: int, title: str, **more: Any) -> web.Response:
    body = {"status": status, "title": title, **more}
    return web.json_response(body, status=status, content_type="application/problem+json")


async def add_fault(request: web.Request) -> web.Response:
    """`POST /control/faults`: put one order in force; answers 201 with its number."""
    if request.content_type != "application/json":
        return _problem(415, "the body must be application/json")
    try:
        order = FaultOrder.model_validate_json(await request.read())
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        return _problem(422, "not a fault", errors=errors)
    return web.json_response({"id": request.app[PARTS].faults.add(order)}, status=201)


async def list_faults(request: web.Request) -> web.Response:
    return web.json_response({"faults": request.app[PARTS].faults.list()})


async def clear_faults(request: web.Request) -> web.Response:
    request.app[PARTS].faults.clear()
    return web.Response(status=204)


async def list_requests(request: web.Request) -> web.Response:
    """`GET /control/requests?service=&operation=&after=`: oldest first."""
    query = request.query
    after = query.get("after", "0")
    if not after.isdecimal():
        return _problem(422, "after must be an entry's number")
    entries = request.app[PARTS].journal.select(
        query.get("service"), query.get("operation"), int(after)
    )
    return web.json_response({"requests": [entry.as_json() for entry in entries]})


async def clear_requests(request: web.Request) -> web.Response:
    request.app[PARTS].journal.clear()
    return web.Response(status=204)


async def health(request: web.Request) -> web.Response:
    """`GET /health`: 200 when recognisers and voices are loaded, 503 when the former are gone."""
    parts = request.app[PARTS]
    ready = parts.recognizers.ready
    body = {
        "status": "ok" if ready else "unavailable",
        "stt": parts.settings.stt_mode,
        "tts": parts.synthesizer.engine_name,
    }
    return web.json_response(body, status=200 if ready else 503)


def add_routes(app: web.Application) -> None:
    app.router.add_post("/control/faults", add_fault)
    app.router.add_get("/control/faults", list_faults)
    app.router.add_delete("/control/faults", clear_faults)
    app.router.add_get("/control/requests", list_requests)
    app.router.add_delete("/control/requests", clear_requests)
    app.router.add_get("/health", health)
