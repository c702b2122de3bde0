"""What all contenders share: one real livekit-server and one set of stand-ins, on loopback."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from livekit import api

from assistant.local_stack.livekit_build import livekit_program
from assistant.local_stack.livekit_server import (
    LiveKitKeys,
    LiveKitPorts,
    livekit_part,
    livekit_url,
    new_keys,
)
from assistant.local_stack.parts import stand_ins_part
from assistant.local_stack.ports import HOST, assign, free_port
from assistant.local_stack.supervisor import Supervisor
from assistant.local_stack.valkey import valkey_part

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
    """The running servers. `service_port` is where LiveKit sends its webhooks."""

    folder: Path
    supervisor: Supervisor
    livekit_url: str
    stand_ins: str
    service_port: int
    api: api.LiveKitAPI
    keys: LiveKitKeys = field(repr=False)

    @property
    def environ(self) -> dict[str, str]:
        """What every contender's processes get."""
        return {
            **base_environ(),
            "LIVEKIT_URL": self.livekit_url,
            "LIVEKIT_API_KEY": self.keys.api_key,
            "LIVEKIT_API_SECRET": self.keys.api_secret,
            "GROQ_API_KEY": "stand-in",
            "ASSEMBLYAI_API_KEY": "stand-in",
            "INWORLD_API_KEY": "stand-in",
        }

    @property
    def groq_url(self) -> str:
        return f"http://{self.stand_ins}/openai/v1"

    @property
    def assemblyai_url(self) -> str:
        return f"ws://{self.stand_ins}"

    @property
    def inworld_url(self) -> str:
        return f"http://{self.stand_ins}/"

    @property
    def inworld_ws_url(self) -> str:
        return f"ws://{self.stand_ins}/"

    def logs(self, *, lines: int) -> str:
        """The end of every part's log."""
        shown = []
        for running in self.supervisor.running:
            shown += [f"--- {running.part.name}", *running.log_tail(lines)]
        return "\n".join(shown)

    def caller_token(self, room: str) -> str:
        token = api.AccessToken(self.keys.api_key, self.keys.api_secret).with_identity(CALLER)
        return token.with_grants(api.VideoGrants(room_join=True, room=room)).to_jwt()


def base_environ() -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONUNBUFFERED": "1",
        "ASSISTANT_LOG_FORMAT": "json",
    }


def on_core(core: int | None, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command, with all that it starts, on one core; None: wherever there is time."""
    return argv if core is None else ("taskset", "-c", str(core), *argv)


def python(module: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *args)


@asynccontextmanager
async def running_stage(
    folder: Path, *, stand_ins: Mapping[str, str] | None = None
) -> AsyncIterator[Stage]:
    """The servers, ready; `stand_ins` adds to the stand-ins' environment."""
    program = await livekit_program(tools_dir=PROJECT / "tools", environ=os.environ, progress=print)
    ports = assign(("valkey", "livekit", "stand-ins", "service"), remembered={})
    livekit_ports = LiveKitPorts(http=ports["livekit"], udp=free_port(taken=ports.values()))
    keys = new_keys()
    url = livekit_url(livekit_ports)
    parts = [
        valkey_part(
            name="livekit-valkey", port=ports["valkey"], data_dir=folder / "livekit-valkey"
        ),
        livekit_part(
            program=program,
            config_file=folder / "livekit.yaml",
            ports=livekit_ports,
            keys=keys,
            redis_port=ports["valkey"],
            webhook_url=f"http://{HOST}:{ports['service']}/livekit/webhook",
            needs=frozenset({"livekit-valkey"}),
        ),
        stand_ins_part(
            port=ports["stand-ins"],
            env={**base_environ(), **DELAYS, **(stand_ins or {})},
            cwd=PROJECT,
        ),
    ]
    async with Supervisor(folder / "logs") as supervisor:
        await supervisor.start_all(parts)
        async with api.LiveKitAPI(
            url.replace("ws://", "http://"), keys.api_key, keys.api_secret
        ) as client:
            yield Stage(
                folder,
                supervisor,
                url,
                f"{HOST}:{ports['stand-ins']}",
                ports["service"],
                client,
                keys,
            )
