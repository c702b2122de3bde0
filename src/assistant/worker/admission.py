"""Whether LiveKit would let an agent into a room; `connect` asks before it starts anything.

A job whose join fails is reported as a success by the SDK, so asking later would be too late.
"""

from collections.abc import Mapping
from types import MappingProxyType

import aiohttp
from livekit import api

from assistant.settings import LiveKitSettings
from assistant.worker.errors import NotAdmittedError

TIMEOUT_S = 10.0  # a server across the world answers in one
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
MAX_ANSWER_CHARS = 200  # "success", or a short reason; longer ones come from something else


def agent_token(
    settings: LiveKitSettings,
    *,
    room: str,
    identity: str,
    name: str = "",
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
) -> str:
    """An agent's token for one room, made with the LiveKit key; as LiveKit makes it for a job.

    Source: livekit-server 1.13.5, `BuildAgentToken` in livekit/protocol, agent/token.go.
    """
    secret = settings.livekit_api_secret.get_secret_value()
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        agent=True,
        can_subscribe=True,
        can_publish=True,
        can_publish_data=True,
        can_update_own_metadata=True,
    )
    token = api.AccessToken(settings.livekit_api_key, secret).with_identity(identity)
    token = token.with_name(name).with_attributes(dict(attributes)).with_kind("agent")
    return token.with_grants(grants).to_jwt()


async def ask(url: str, token: str) -> None:
    """Return if the token lets its bearer in.

    Source: livekit-server 1.13.5, pkg/service/rtcservice.go; what its client SDKs ask after a
    failed connect.

    Raises:
        NotAdmittedError: there is no such server or room, or it does not take the token.
    """
    base = url.replace("ws", "http", 1) if url.startswith("ws") else url
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as http,
            # Not in the URL, which servers and proxies write into their logs.
            http.get(
                f"{base}/rtc/validate", headers={"Authorization": f"Bearer {token}"}
            ) as answer,
        ):
            said = (await answer.content.read(MAX_ANSWER_CHARS)).decode(errors="replace").strip()
            if answer.status != 200:
                raise NotAdmittedError(url, f"{answer.status}, {said}")
    except TimeoutError as error:
        raise NotAdmittedError(url, f"no answer within {TIMEOUT_S:g} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise NotAdmittedError(url, str(error) or type(error).__name__) from error
