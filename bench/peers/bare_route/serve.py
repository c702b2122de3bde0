"""A route of Starlette's that reads JSON and writes JSON, and does nothing else.

`python serve.py PORT ANSWER`: ANSWER is the file whose JSON object every request gets.
"""

import json
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ANSWER = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))


async def token(request: Request) -> JSONResponse:
    body = await request.json()
    return JSONResponse(ANSWER | {"sessionId": body["sessionId"]})


async def livez(_request: Request) -> JSONResponse:
    return JSONResponse({})


app = Starlette(
    routes=[Route("/api/token", token, methods=["POST"]), Route("/livez", livez, methods=["GET"])]
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
