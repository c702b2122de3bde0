"""What all contenders share: one real livekit-server and one set of stand-ins, on loopback."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livekit import api
from tests.acceptance.servers import Servers, servers

from assistant.local_stack.supervisor import Supervisor

PROJECT = Path(__file__).parents[2]
# What the stand-ins answer after, the same for everybody. Source: the vendors' own figures, but
# for the model, whose 50 ms are those of the other benches.
DELAYS = {
    "ASSISTANT_STAND_IN_STT_DELAY_S": "0.1",
    "ASSISTANT_STAND_IN_LLM_TTFT_S": "0.05",
    "ASSISTANT_STAND_IN_TTS_TTFB_S": "0.12",
}
INJECTED_S = sum(float(delay) for delay in DELAYS.values())
CALLER = "caller"


@dataclass(frozen=True)
class Stage:
    """The running servers."""

    folder: Path
    supervisor: Supervisor
    servers: Servers
    api: api.LiveKitAPI

    @property
    def livekit_url(self) -> str:
        return self.servers.livekit_url

    @property
    def service_port(self) -> int:
        """Where LiveKit sends its webhooks."""
        return self.servers.ports["service"]

    @property
    def environ(self) -> dict[str, str]:
        """What every contender's processes get."""
        return self.servers.environ

    @property
    def groq_url(self) -> str:
        return f"http://{self.servers.stand_ins}/openai/v1"

    @property
    def assemblyai_url(self) -> str:
        return f"ws://{self.servers.stand_ins}"

    @property
    def inworld_url(self) -> str:
        return f"http://{self.servers.stand_ins}/"

    @property
    def inworld_ws_url(self) -> str:
        return f"ws://{self.servers.stand_ins}/"

    def logs(self, *, lines: int) -> str:
        """The end of every part's log."""
        shown = []
        for running in self.supervisor.running:
            shown += [f"--- {running.part.name}", *running.log_tail(lines)]
        return "\n".join(shown)

    def caller_token(self, room: str) -> str:
        keys = self.servers.keys
        token = api.AccessToken(keys.api_key, keys.api_secret).with_identity(CALLER)
        return token.with_grants(api.VideoGrants(room_join=True, room=room)).to_jwt()


def on_core(core: int | None, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command, with all that it starts, on one core; None: wherever there is time."""
    return argv if core is None else ("taskset", "-c", str(core), *argv)


@asynccontextmanager
async def running_stage(
    folder: Path, *, stand_ins: Mapping[str, str] | None = None
) -> AsyncIterator[Stage]:
    """The servers, ready; `stand_ins` adds to the stand-ins' environment."""
    below = await servers(folder, stand_ins={**DELAYS, **(stand_ins or {})})
    async with Supervisor(folder / "logs") as supervisor:
        await supervisor.start_all(below.parts)
        url = below.livekit_url.replace("ws://", "http://")
        async with api.LiveKitAPI(url, below.keys.api_key, below.keys.api_secret) as client:
            yield Stage(folder, supervisor, below, client)
