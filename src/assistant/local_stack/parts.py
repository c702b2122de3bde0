"""The Python parts of the stack: the stand-ins, the service and the workers, as processes."""

import sys
from collections.abc import Mapping
from pathlib import Path

from assistant.local_stack.ports import HOST
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Part

STAND_INS_READY_TIMEOUT_S = 60.0  # they load a speech model, from a cold disk at first
SERVICE_READY_TIMEOUT_S = 60.0
WORKER_READY_TIMEOUT_S = 120.0  # every job process of the pool loads the SDK and its models
SERVICE_STOP_TIMEOUT_S = 10.0
# A worker first lets its conversations finish; a second signal ends them, with their goodbyes.
WORKER_STOP_AGAIN_AFTER_S = 0.5
WORKER_STOP_TIMEOUT_S = 15.0


def stand_ins_part(
    *,
    port: int,
    env: Mapping[str, str],
    name: str = "stand-ins",
    extra_args: tuple[str, ...] = (),
    cwd: Path | None = None,
) -> Part:
    """The vendors' stand-ins on loopback, all on one port."""
    return Part(
        name=name,
        argv=_python(
            "assistant.local_stack.stand_ins", "--host", HOST, "--port", str(port), *extra_args
        ),
        env=env,
        ready=http_ready(port, "/health"),
        cwd=cwd,
        ready_timeout_s=STAND_INS_READY_TIMEOUT_S,
        stop_timeout_s=SERVICE_STOP_TIMEOUT_S,
    )


def service_part(
    *,
    port: int,
    env: Mapping[str, str],
    name: str = "service",
    needs: frozenset[str] = frozenset(),
    cwd: Path | None = None,
) -> Part:
    """`token_service` on loopback at `port`; the rest of its settings is in `env`."""
    return Part(
        name=name,
        argv=_python("token_service"),
        env={"ASSISTANT_HTTP_HOST": HOST, **env, "ASSISTANT_HTTP_PORT": str(port)},
        ready=http_ready(port, "/readyz"),
        needs=needs,
        cwd=cwd,
        ready_timeout_s=SERVICE_READY_TIMEOUT_S,
        stop_timeout_s=SERVICE_STOP_TIMEOUT_S,
    )


def worker_part(
    *,
    http_port: int,
    env: Mapping[str, str],
    name: str = "worker",
    needs: frozenset[str] = frozenset(),
    cwd: Path | None = None,
    stop_again_after_s: float | None = WORKER_STOP_AGAIN_AFTER_S,
) -> Part:
    """One worker, with its health page on loopback at `http_port`."""
    return Part(
        name=name,
        argv=_python("assistant", "start"),
        env={
            **env,
            "ASSISTANT_WORKER_HTTP_HOST": HOST,
            "ASSISTANT_WORKER_HTTP_PORT": str(http_port),
        },
        ready=http_ready(http_port, "/readyz"),
        needs=needs,
        cwd=cwd,
        ready_timeout_s=WORKER_READY_TIMEOUT_S,
        stop_timeout_s=WORKER_STOP_TIMEOUT_S,
        stop_again_after_s=stop_again_after_s,
    )


def _python(module: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *args)
