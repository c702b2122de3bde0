"""A livekit-server of our own on loopback: its keys, its configuration and its process."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assistant.local_stack.ports import HOST
from assistant.local_stack.private_file import write_private
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Part

SECRET_BYTES = 36  # 48 characters; HS256 needs a key of 32 bytes (RFC 7518, section 3.2)
READY_TIMEOUT_S = 30.0
# It waits for people to leave their rooms; a second signal makes it end at once.
STOP_AGAIN_AFTER_S = 0.5
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class LiveKitKeys:
    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return f"LiveKitKeys(api_key={self.api_key!r})"


@dataclass(frozen=True, slots=True)
class LiveKitPorts:
    """`http` for signalling, workers and the API; `udp` for all media."""

    http: int
    udp: int


def new_keys() -> LiveKitKeys:
    return LiveKitKeys(f"API{secrets.token_hex(6)}", secrets.token_urlsafe(SECRET_BYTES))


def livekit_url(ports: LiveKitPorts) -> str:
    return f"ws://{HOST}:{ports.http}"


def livekit_config(
    *,
    ports: LiveKitPorts,
    keys: LiveKitKeys,
    redis_port: int | None,
    webhook_url: str | None,
    log_level: str = "info",
) -> dict[str, Any]:
    """The server's configuration, loopback only. Source: its config-sample.yaml, v1.13.5.

    `redis_port` None: it forgets its rooms when it restarts. `webhook_url` None: no webhooks.
    """
    config: dict[str, Any] = {
        "port": ports.http,
        "bind_addresses": [HOST],
        "rtc": {
            "node_ip": HOST,
            "use_external_ip": False,
            "udp_port": ports.udp,
            # Media over TCP would listen on every interface; on loopback, UDP always works.
            "tcp_port": 0,
            "ips": {"includes": [f"{HOST}/32"]},
            "enable_loopback_candidate": True,
            # Unless one is named, every client asks a public STUN server for its address. At this
            # one nobody answers, which is well here; at the media port, connecting fails.
            "stun_servers": [f"{HOST}:{ports.http}"],
        },
        "room": {"auto_create": False},
        "keys": {keys.api_key: keys.api_secret},
        "logging": {"level": log_level, "json": False},
    }
    if redis_port is not None:
        config["redis"] = {"address": f"{HOST}:{redis_port}"}
    if webhook_url is not None:
        config["webhook"] = {"api_key": keys.api_key, "urls": [webhook_url]}
    return config


def livekit_part(
    *,
    program: Path,
    config_file: Path,
    ports: LiveKitPorts,
    keys: LiveKitKeys,
    redis_port: int | None,
    webhook_url: str | None,
    log_level: str = "info",
    name: str = "livekit",
    needs: frozenset[str] = frozenset(),
) -> Part:
    """Write `config_file`, which holds the secret and is for its owner alone; the server's part."""
    config = livekit_config(
        ports=ports,
        keys=keys,
        redis_port=redis_port,
        webhook_url=webhook_url,
        log_level=log_level,
    )
    write_private(config_file, yaml.safe_dump(config, sort_keys=False))
    return Part(
        name=name,
        argv=(
            str(program),
            *("--config", str(config_file)),
            *("--bind", HOST),
            *("--node-ip", HOST),
        ),
        # Of the caller's environment nothing: the server takes settings from LIVEKIT_*,
        # NODE_IP, UDP_PORT and REDIS_HOST, and would send webhooks through an HTTP proxy.
        env={"LC_ALL": "C"},
        ready=http_ready(ports.http, "/"),
        needs=needs,
        ready_timeout_s=READY_TIMEOUT_S,
        stop_timeout_s=STOP_TIMEOUT_S,
        stop_again_after_s=STOP_AGAIN_AFTER_S,
    )
