"""`POST /api/token` in FastAPI, as its documentation writes such a route: key, models, token.

What it does not do, and the service does: keep sessions in Redis and refuse those of others and
of the past, limit how often a user may ask, make the room in LiveKit, keep to one host name,
answer repetitions alike, and refuse what JSON parsers let pass (repeated keys, deep nesting).

`python serve.py PORT`, with KEY, LIVEKIT_API_KEY and LIVEKIT_API_SECRET in the environment.
"""

import datetime as dt
import json
import os
import secrets
import sys
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from livekit import api
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

KEY = os.environ["KEY"]
API_KEY, API_SECRET = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
URL = os.environ["LIVEKIT_URL"]
TTL = dt.timedelta(minutes=10)


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class TokenRequest(Model):
    session_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    user_id: str = Field(min_length=1, max_length=128)


class TokenResponse(Model):
    token: str
    url: str
    session_id: str
    room: str


app = FastAPI()
bearer = HTTPBearer()


async def require_key(
    shown: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> None:
    if not secrets.compare_digest(shown.credentials.encode(), KEY.encode()):
        raise HTTPException(401, "Key needed")


@app.post("/api/token", dependencies=[Depends(require_key)])
async def token(body: TokenRequest) -> TokenResponse:
    room = f"va-{body.session_id}"
    minted = (
        api.AccessToken(API_KEY, API_SECRET)
        .with_identity(body.user_id)
        .with_ttl(TTL)
        .with_metadata(json.dumps({"sessionId": body.session_id, "userId": body.user_id}))
        .with_grants(
            api.VideoGrants(
                room_join=True,
                room=room,
                can_publish=True,
                can_publish_sources=["microphone"],
                can_publish_data=True,
                can_subscribe=True,
                can_update_own_metadata=False,
            )
        )
        .to_jwt()
    )
    return TokenResponse(token=minted, url=URL, session_id=body.session_id, room=room)


@app.get("/livez")
async def livez() -> None:
    return None


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
