"""The whole system on one machine: what `make up` runs."""

import asyncio
import os
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.local_stack import choices as chosen
from assistant.local_stack import ports as free_ports
from assistant.local_stack import state_folder
from assistant.local_stack.choices import Choices
from assistant.local_stack.errors import LocalStackError, PartError, PortBusyError
from assistant.local_stack.livekit_build import livekit_program
from assistant.local_stack.livekit_server import (
    LiveKitKeys,
    LiveKitPorts,
    livekit_part,
    livekit_url,
)
from assistant.local_stack.parts import service_part, stand_ins_part, worker_part
from assistant.local_stack.ports import HOST
from assistant.local_stack.state_folder import StackInfo, StateFolder
from assistant.local_stack.supervisor import Part, RunningPart, Supervisor
from assistant.local_stack.valkey import valkey_part, valkey_url

DEFAULT_HTTP_PORT = 8080
HTTP_PORTS = range(DEFAULT_HTTP_PORT, DEFAULT_HTTP_PORT + 20)  # tried where none was asked for
PORT_NAMES = ("valkey", "livekit-valkey", "livekit", "livekit-udp", "stand-ins", "worker")
EXIT_STOPPED, EXIT_FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a start needs to know. `livekit_program` None: LiveKit is not ours."""

    environ: Mapping[str, str]
    project_dir: Path
    state: StateFolder
    choices: Choices
    ports: Mapping[str, int]
    http_port: int
    keys: LiveKitKeys | None
    livekit_program: Path | None

    @property
    def livekit_ports(self) -> LiveKitPorts:
        return LiveKitPorts(http=self.ports["livekit"], udp=self.ports["livekit-udp"])

    @property
    def service_url(self) -> str:
        return f"http://{HOST}:{self.http_port}"

    @property
    def livekit_url(self) -> str:
        return self.choices.livekit_url or livekit_url(self.livekit_ports)

    @property
    def redis_url(self) -> str:
        return self.choices.redis_url or valkey_url(self.ports["valkey"])


def run(
    *, environ: Mapping[str, str], key_names: Collection[str], project_dir: Path, state_dir: Path
) -> int:
    """Bring everything up, keep it up until a signal, take it down; the exit status.

    `key_names`: the variables of the keys that agents need.
    0: stopped by SIGINT, SIGTERM or SIGHUP. 1: something could not start, or died.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        choices = chosen.choose(environ, key_names)
        with state_folder.hold(state_dir.resolve()) as state:
            return asyncio.run(
                _Stack(environ, project_dir.resolve(), state, choices, console).run()
            )
    except LocalStackError as error:
        console.print(f"[bold red]error[/] {escape(str(error))}")
        return EXIT_FAILED


class _Stack:
    """One run: the signals, the console and the supervisor."""

    def __init__(
        self,
        environ: Mapping[str, str],
        project_dir: Path,
        state: StateFolder,
        choices: Choices,
        console: Console,
    ) -> None:
        self._environ = environ
        self._project_dir = project_dir
        self._state = state
        self._choices = choices
        self._console = console
        self._supervisor: Supervisor | None = None
        self._asked_to_stop = False

    async def run(self) -> int:
        work = asyncio.create_task(self._up(), name="stack")
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(sig, self._on_signal, work)
        try:
            await work
        except asyncio.CancelledError:
            if not self._asked_to_stop:
                raise
        self._console.print("Stopped.")
        return EXIT_STOPPED

    def _on_signal(self, work: asyncio.Task[None]) -> None:
        if not self._asked_to_stop:
            self._asked_to_stop = True
            self._console.print("\nStopping, in order. Once more to stop at once.")
            work.cancel()
        elif self._supervisor:
            self._supervisor.kill_all()

    async def _up(self) -> None:
        """Runs until it is cancelled.

        Raises:
            LocalStackError: something could not start, or died.
        """
        started = time.monotonic()
        plan = await self._plan()
        self._console.print(table(plan))
        self._supervisor = Supervisor(
            self._state.log_dir, guard_fds=(self._state.lock_fd,), on_ready=self._say_ready
        )
        async with self._supervisor as supervisor:
            try:
                await supervisor.start_all(parts(plan))
                with self._state.announced(_info(plan, supervisor)):
                    self._say_up(plan, time.monotonic() - started)
                    raise await supervisor.first_death()
            except PartError as error:
                # Said before the rest is stopped, while what happened is the last thing shown.
                self._console.print(f"\n[bold red]{escape(error.what())}[/]; stopping the rest.")
                raise

    async def _plan(self) -> Plan:
        program = None
        if self._choices.livekit_url is None:
            program = await livekit_program(
                tools_dir=self._project_dir / "tools",
                environ=self._environ,
                progress=lambda text: self._console.print(f"livekit-server: {escape(text)}"),
            )
        return Plan(
            environ=chosen.reaching_loopback(self._environ),
            project_dir=self._project_dir,
            state=self._state,
            choices=self._choices,
            http_port=http_port(self._choices.http_port),
            ports=self._state.ports(PORT_NAMES),
            keys=self._state.livekit_keys() if program else None,
            livekit_program=program,
        )

    def _say_ready(self, running: RunningPart) -> None:
        self._console.print(f"  [green]ready[/] {running.part.name} {running.ready_after_s:.1f} s")

    def _say_up(self, plan: Plan, after_s: float) -> None:
        self._console.print(
            f"\nReady in {after_s:.1f} s. Talk at [bold]{plan.service_url}/[/]  "
            '(or: make call SAY="Tell me what time it is.")'
        )
        if not (plan.project_dir / "web" / "dist" / "index.html").exists():
            self._console.print("The page itself is not built yet: make web")
        self._console.print(f"Logs: {self._state.log_dir}   Stop: Ctrl-C\n")


def http_port(asked: int | None) -> int:
    """The service's port: the one asked for, else the first free one from 8080 on.

    Raises:
        PortBusyError: it is taken.
    """
    if asked is not None:
        if not free_ports.is_free(asked):
            raise PortBusyError(asked, "ASSISTANT_HTTP_PORT")
        return asked
    port = free_ports.first_free(HTTP_PORTS)
    if port is None:
        raise PortBusyError(DEFAULT_HTTP_PORT, "ASSISTANT_HTTP_PORT")
    return port


def table(plan: Plan) -> Table:
    """Which part is ours, which is real, and where each one listens."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("part", "is", "at"):
        rows.add_column(heading, overflow="fold")
    own_livekit = plan.livekit_program is not None
    rows.add_row("LiveKit", "ours" if own_livekit else "yours", chosen.host_of(plan.livekit_url))
    redis = "yours" if plan.choices.redis_url else "ours"
    rows.add_row("Redis", redis, chosen.host_of(plan.redis_url))
    stand_ins = f"http://{HOST}:{plan.ports['stand-ins']}"
    for vendor in plan.choices.vendors:
        what = f"{vendor.role} ({vendor.name})"
        if vendor in plan.choices.stand_ins:
            rows.add_row(what, "stand-in", stand_ins)
        else:
            address = plan.environ.get(vendor.url_name)
            rows.add_row(what, "real", chosen.host_of(address) if address else "the vendor's own")
    rows.add_row("service", "ours", plan.service_url)
    rows.add_row("worker", "ours", f"http://{HOST}:{plan.ports['worker']}")
    if plan.choices.stand_ins:
        keys = ", ".join(vendor.key_names[0] for vendor in plan.choices.stand_ins)
        rows.caption = f"For a real vendor in a stand-in's place, set its key: {keys}"
        rows.caption_justify = "left"
    return rows


def parts(plan: Plan) -> list[Part]:
    """What must be started, in the reverse of the order in which it is to be stopped."""
    stand_ins = plan.choices.stand_ins
    redis = [] if plan.choices.redis_url else [_valkey(plan, "valkey")]
    livekit = [_valkey(plan, "livekit-valkey"), _livekit(plan)] if plan.livekit_program else []
    servers = [*redis, *livekit]
    needs = frozenset(part.name for part in servers)
    common = _common_environ(plan)
    without_keys = {k: v for k, v in common.items() if k not in chosen.KEY_NAMES}
    found = list(servers)
    if stand_ins:
        private = {*chosen.LIVEKIT_NAMES, "REDIS_URL"}
        env = {k: v for k, v in without_keys.items() if k not in private}
        found.append(stand_ins_part(port=plan.ports["stand-ins"], env=env, cwd=plan.project_dir))
    found.append(
        service_part(port=plan.http_port, env=without_keys, needs=needs, cwd=plan.project_dir)
    )
    vendors = chosen.vendor_environ(plan.environ, plan.choices, plan.ports["stand-ins"])
    found.append(
        worker_part(
            http_port=plan.ports["worker"],
            env={**common, **vendors},
            needs=needs,
            cwd=plan.project_dir,
        )
    )
    return found


def _valkey(plan: Plan, name: str) -> Part:
    return valkey_part(name=name, port=plan.ports[name], data_dir=plan.state.path / name)


def _livekit(plan: Plan) -> Part:
    assert plan.livekit_program is not None  # noqa: S101 - asked by the caller
    assert plan.keys is not None  # noqa: S101 - made together with the program
    return livekit_part(
        program=plan.livekit_program,
        config_file=plan.state.path / "livekit.yaml",
        ports=plan.livekit_ports,
        keys=plan.keys,
        redis_port=plan.ports["livekit-valkey"],
        webhook_url=f"{plan.service_url}/livekit/webhook",
        needs=frozenset({"livekit-valkey"}),
    )


def _common_environ(plan: Plan) -> dict[str, str]:
    """What the service and the worker share."""
    values = {
        "ASSISTANT_AGENTS_FILE": str(plan.project_dir / "agents.yaml"),
        "ASSISTANT_WEB_DIR": str(plan.project_dir / "web" / "dist"),
        **plan.environ,
        "LIVEKIT_URL": plan.livekit_url,
        "REDIS_URL": plan.redis_url,
        "PYTHONUNBUFFERED": "1",  # a line of a log is of use at once
    }
    if plan.keys:
        values["LIVEKIT_API_KEY"] = plan.keys.api_key
        values["LIVEKIT_API_SECRET"] = plan.keys.api_secret
    return values


def _info(plan: Plan, supervisor: Supervisor) -> StackInfo:
    pids = {running.part.name: running.pid for running in supervisor.running}
    ours = plan.choices.redis_url is None
    stand_ins = f"http://{HOST}:{plan.ports['stand-ins']}" if plan.choices.stand_ins else None
    return StackInfo(
        service_url=plan.service_url,
        livekit_url=plan.livekit_url,
        worker_url=f"http://{HOST}:{plan.ports['worker']}",
        redis_url=plan.redis_url if ours else None,
        stand_ins_url=stand_ins,
        supervisor_pid=os.getpid(),
        pids=pids,
    )
