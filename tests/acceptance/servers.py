"""Servers that are not ours, on free ports: LiveKit with its Valkey, and the vendors' stand-ins.

The whole system stands on them (system.py), and so do the benchmarks' contenders.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
from assistant.local_stack.supervisor import Part
from assistant.local_stack.valkey import valkey_part

PROJECT = Path(__file__).parents[2]
NAMES = ("livekit-valkey", "livekit", "stand-ins", "service")
VENDOR_KEYS = ("GROQ_API_KEY", "ASSEMBLYAI_API_KEY", "INWORLD_API_KEY")


@dataclass(frozen=True)
class Servers:
    """`parts` are to be started; `ports` has theirs, and those of what stands on them."""

    parts: Sequence[Part]
    ports: Mapping[str, int]
    livekit_url: str
    keys: LiveKitKeys = field(repr=False)

    @property
    def stand_ins(self) -> str:
        """Host and port of all vendors."""
        return f"{HOST}:{self.ports['stand-ins']}"

    @property
    def environ(self) -> dict[str, str]:
        """What every process that uses them gets."""
        return {
            **base_environ(),
            "LIVEKIT_URL": self.livekit_url,
            "LIVEKIT_API_KEY": self.keys.api_key,
            "LIVEKIT_API_SECRET": self.keys.api_secret,
            **dict.fromkeys(VENDOR_KEYS, "stand-in"),
        }


async def servers(
    folder: Path,
    *,
    also: Sequence[str] = (),
    stand_ins: Mapping[str, str],
    webhook_port: int | None = None,
) -> Servers:
    """What is to be started; nothing runs yet, but a LiveKit that is not there is made.

    `also`: names of what else needs a port. `stand_ins`: the stand-ins' environment beside the
    common one. `webhook_port`: where LiveKit sends its webhooks instead of to the service.
    """
    program = await livekit_program(tools_dir=PROJECT / "tools", environ=os.environ, progress=print)
    ports = assign((*NAMES, *also), remembered={})
    livekit_ports = LiveKitPorts(http=ports["livekit"], udp=free_port(taken=ports.values()))
    keys = new_keys()
    parts = (
        valkey_part(
            name="livekit-valkey", port=ports["livekit-valkey"], data_dir=folder / "livekit-valkey"
        ),
        livekit_part(
            program=program,
            config_file=folder / "livekit.yaml",
            ports=livekit_ports,
            keys=keys,
            redis_port=ports["livekit-valkey"],
            webhook_url=f"http://{HOST}:{webhook_port or ports['service']}/livekit/webhook",
            needs=frozenset({"livekit-valkey"}),
        ),
        stand_ins_part(port=ports["stand-ins"], env={**base_environ(), **stand_ins}, cwd=PROJECT),
    )
    return Servers(parts, ports, livekit_url(livekit_ports), keys)


def base_environ() -> dict[str, str]:
    """What every process gets: nothing of whoever runs this but where programs and home are."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONUNBUFFERED": "1",
        "ASSISTANT_LOG_FORMAT": "json",
    }
