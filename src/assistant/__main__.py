"""The command line: `python -m assistant COMMAND`.

Nothing but the command line: job processes cannot unpickle what lives in `__main__`. Each command
imports what it needs when it runs, because importing the SDK alone takes seconds.
"""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dotenv import load_dotenv

from assistant import log
from assistant.catalog.errors import CatalogError
from assistant.errors import AssistantError, SettingsError
from assistant.hangup import Hangup
from assistant.settings import OLDER_NAMES, LogSettings, WorkerSettings, read

if TYPE_CHECKING:
    from rich.console import Console

EXIT_MISCONFIGURED = 2  # As the shell's own commands say "wrong usage".

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@cli.callback()
def prepare() -> None:
    """A self-hosted voice assistant on LiveKit."""
    load_dotenv(Path(".env"), override=False)
    settings = read(LogSettings, os.environ)
    log.configure(level=settings.log_level, style=settings.log_format)
    for name in sorted(OLDER_NAMES & os.environ.keys()):
        log.get("assistant").warning("settings.ignored", variable=name, why="of the older backend")


@cli.command()
def start() -> None:
    """Take jobs from LiveKit until SIGTERM; then finish what runs. A second SIGTERM stops at once.

    SIGHUP reads agents.yaml again, and keeps the old one where the new one is wrong.
    Exit code 0: everything finished. 1: conversations were cut short. 2: wrong configuration.
    """
    from assistant.catalog.catalog import Catalog
    from assistant.worker.process import lean
    from assistant.worker.process.preflight import check_keys

    hangup = Hangup()
    settings = read(WorkerSettings, os.environ)
    catalog = Catalog.load(settings.agents_file)
    check_keys(catalog, os.environ)
    lean.set_defaults(os.environ)
    lean.share_arenas(os.environ)
    from assistant.worker.process.agent_server import fork_nursery  # 3 s; after the quick refusals
    from assistant.worker.server import Worker

    fork_nursery(settings, catalog)

    async def work() -> int:
        return await Worker(settings, catalog, hangup).run()

    raise typer.Exit(asyncio.run(work()))


@cli.command()
def dev() -> None:
    """Run the worker, and restart it whenever its code or agents.yaml changes."""
    from assistant.worker.process.reload import run

    settings = read(WorkerSettings, os.environ)
    paths = [Path(__file__).parent, Path(settings.agents_file)]
    raise typer.Exit(asyncio.run(run(paths, {})))


@cli.command()
def connect(
    room: Annotated[str | None, typer.Option(help="Room to join.")] = None,
    session_id: Annotated[
        str | None, typer.Option(help="Older name: the room is named after the session.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="LiveKit server.", envvar="LIVEKIT_URL")] = None,
    token: Annotated[
        str | None, typer.Option(help="An agent's token for the room; made if left out.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Agent of agents.yaml; its default if left out.")
    ] = None,
) -> None:
    """Let an agent join one room directly: no dispatch, no Redis, no session."""
    from assistant.catalog.catalog import Catalog
    from assistant.worker.connecting import Connection
    from assistant.worker.process.preflight import check_keys

    connection = Connection.plan(os.environ, url=url, room=room, session_id=session_id, token=token)
    os.environ.update(connection.environ)  # the job process reads its settings from there
    settings = read(WorkerSettings, os.environ)
    catalog = Catalog.load(settings.agents_file)
    check_keys(catalog, os.environ)
    if agent is not None and agent not in catalog.agents:
        raise typer.BadParameter(f"no agent {agent!r}; there are {', '.join(catalog.agents)}")
    from assistant.worker.direct import join_room

    code = asyncio.run(
        join_room(
            settings,
            catalog,
            room=connection.room,
            identity=connection.identity,
            token=token,
            agent=agent,
            announce=lambda: typer.echo(f"an agent joins room {connection.room}", err=True),
        )
    )
    raise typer.Exit(code)


@cli.command()
def console(
    text: Annotated[bool, typer.Option("--text", help="Write instead of speaking.")] = False,
    agent: Annotated[str | None, typer.Option(help="Agent of agents.yaml.")] = None,
    voice: Annotated[str | None, typer.Option(help="Voice of agents.yaml.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="key=value for {{ key }}; repeat for more.")
    ] = None,
    wav: Annotated[
        list[Path] | None, typer.Option(help="WAV files to say instead of a microphone.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --wav: where to keep what the agent said.")
    ] = None,
) -> None:
    """Talk to an agent here: no LiveKit, no Redis, and stand-ins for vendors without a key.

    Exit code 1: something stayed without an answer. 2: wrong options or configuration.
    """
    import logging

    from assistant.catalog.catalog import Catalog
    from assistant.console.errors import NotInConsoleError, WishError
    from assistant.console.plan import plan as plan_console
    from assistant.local_stack.ports import free_port
    from assistant.settings import SessionSettings

    if text and (wav or out):
        raise typer.BadParameter("--text writes; --wav and --out are for speech")
    if out is not None and not wav:
        raise typer.BadParameter("--out needs --wav: only then what was said is kept")
    catalog = Catalog.load(read(SessionSettings, os.environ).agents_file)
    try:
        plan = plan_console(
            catalog,
            os.environ,
            port=free_port(),
            agent=agent,
            voice=voice,
            metadata=metadata or (),
            writes=text,
        )
    except (WishError, NotInConsoleError) as error:
        raise typer.BadParameter(str(error)) from error
    os.environ.update(plan.environ)  # loopback is exempt from proxies
    # What the conversation's parts tell of themselves would stand between the lines spoken, and
    # what fails in the SDK, or comes late, is shown there in a line.
    if not os.environ.get("ASSISTANT_LOG_LEVEL"):
        logging.getLogger().setLevel(logging.WARNING)
        for told in ("livekit", "assistant.worker.speaking.dead_air"):
            logging.getLogger(told).setLevel(logging.CRITICAL)
    from assistant.console.command import Means, run

    means = Means(writes=text, wav=tuple(wav or ()), out=out)
    raise typer.Exit(asyncio.run(run(plan, means)))


@cli.command()
def check() -> None:
    """Validate agents.yaml and the environment, and print what would run.

    Beside a running `make up`: with its addresses, keys and stand-ins.
    """
    from assistant.operator.location import read_local_stack
    from assistant.worker.process.report import print_report

    stack = read_local_stack(os.environ)
    if stack is None:
        raise typer.Exit(print_report(os.environ))
    environ = stack.fill_in(os.environ)
    raise typer.Exit(print_report(environ, has_stand_ins=stack.has_stand_ins))


@cli.command()
def schema() -> None:
    """Print the JSON Schema of agents.yaml, with which editors complete and check it."""
    from assistant.catalog.schema import schema_text

    typer.echo(schema_text(), nl=False)


@cli.command(name="download-files")
def download_files() -> None:
    """Fetch the weights that the agents' plugins want; only the turn-detector extra has any."""
    from assistant.catalog.catalog import Catalog
    from assistant.worker.process.downloads import download

    path = os.environ.get("ASSISTANT_AGENTS_FILE") or "agents.yaml"
    fetched = download(Catalog.load(path))
    for name in fetched:
        typer.echo(f"downloaded what {name} needs")
    if not fetched:
        typer.echo("nothing to download")


@cli.command()
def up() -> None:
    """Run every part on this machine, with stand-ins for whatever has no key."""
    from assistant.catalog.catalog import Catalog
    from assistant.catalog.environment import required_environment
    from assistant.local_stack import stack
    from assistant.settings import SessionSettings
    from assistant.worker.process.preflight import check_keys

    catalog = Catalog.load(read(SessionSettings, os.environ).agents_file)
    needs = [need for agent in catalog.agents.values() for need in required_environment(agent)]
    stood_in = {name: "stand-in" for need in needs if need.has_stand_in for name in need.names}
    check_keys(catalog, {**os.environ, **stood_in})
    state_dir = Path(os.environ.get("ASSISTANT_STATE_DIR") or ".state")
    code = stack.run(
        environ=os.environ, key_names=set(stood_in), project_dir=Path.cwd(), state_dir=state_dir
    )
    raise typer.Exit(code)


@cli.command()
def call(
    say: Annotated[list[str] | None, typer.Option(help="What to say; repeat for more.")] = None,
    wav: Annotated[list[Path] | None, typer.Option(help="WAV files to play instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep what was heard.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The service; that of `make up` if left out.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Agent of agents.yaml.")] = None,
    voice: Annotated[str | None, typer.Option(help="Voice of agents.yaml.")] = None,
    key: Annotated[str | None, typer.Option(help="Key for the service.")] = None,
) -> None:
    """Call the assistant with synthetic speech, and print what both sides say."""
    import logging

    from assistant.rehearsal.command import CallOptions
    from assistant.rehearsal.command import call as run_call

    # The SDK tells every connect, and calls each room that closes an error; here they would stand
    # between the lines spoken. What fails is told by the call itself.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    options = CallOptions(
        say=tuple(say or ()),
        wav=tuple(wav or ()),
        out=out,
        url=url,
        agent=agent,
        voice=voice,
        key=key,
    )
    raise typer.Exit(asyncio.run(run_call(options)))


@cli.command()
def load(
    callers: Annotated[int, typer.Option(help="How many call; with --find-capacity, at most.")] = 4,
    ramp: Annotated[float, typer.Option(help="Seconds from the first call to the last.")] = 0.0,
    turns: Annotated[int, typer.Option(help="Turns that each takes in a call.")] = 3,
    calls: Annotated[int, typer.Option(help="Calls that each makes, one after another.")] = 1,
    think: Annotated[float, typer.Option(help="Seconds of thought before a turn.")] = 1.0,
    limit: Annotated[float, typer.Option(help="Seconds after which all calls end.")] = 600.0,
    find_capacity: Annotated[
        bool, typer.Option("--find-capacity", help="Raise the callers until the bar is missed.")
    ] = False,
    bar_turn_p95: Annotated[
        float | None, typer.Option(help="Seconds of the end of speech -> reply heard, p95.")
    ] = None,
    bar_join_p95: Annotated[
        float | None, typer.Option(help="Seconds of the start -> agent in the room, p95.")
    ] = None,
    bar_answered: Annotated[
        float, typer.Option(help="Share of turns that must be answered.", min=0, max=1)
    ] = 1.0,
    starts_per_minute: Annotated[
        float | None, typer.Option(help="Real callers expected, for the advice.", min=0.01)
    ] = None,
    call_length: Annotated[
        float | None, typer.Option(help="Seconds of a real call, for the advice.", min=1)
    ] = None,
    say: Annotated[list[str] | None, typer.Option(help="What to say; repeat for more.")] = None,
    wav: Annotated[list[Path] | None, typer.Option(help="WAV files to play instead.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Where to write the report.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw it, as SVG.")] = None,
    seed: Annotated[int, typer.Option(help="Of the times of thought.")] = 1,
    agent: Annotated[str | None, typer.Option(help="Agent of agents.yaml.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The service; that of `make up` if left out.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Key for the service.", envvar="ASSISTANT_KEY")
    ] = None,
) -> None:
    """Call a deployment with many callers at once, and see what it carries.

    The callers take CPU too: on the machine of the workers, they compete with them.
    Exit code 1: a bar was missed. 2: wrong options. 130: Ctrl-C, which ends every session begun.
    """
    import logging

    from assistant.rehearsal.load.command import LoadOptions
    from assistant.rehearsal.load.command import load as run_load
    from assistant.rehearsal.load.plan import LoadPlan
    from assistant.rehearsal.load.verdict import Bars

    # What fails in the SDK reaches the report as a failed call.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    options = LoadOptions(
        plan=LoadPlan(
            callers=callers,
            ramp_s=ramp,
            turns=turns,
            calls=calls,
            think_s=think,
            limit_s=limit,
            seed=seed,
        ),
        bars=Bars(turn_p95_s=bar_turn_p95, join_p95_s=bar_join_p95, answered=bar_answered),
        say=tuple(say or ()),
        wav=tuple(wav or ()),
        url=url,
        agent=agent,
        key=key,
        finds_capacity=find_capacity,
        starts_per_minute=starts_per_minute,
        call_s=call_length,
        json_file=json_file,
        plot_file=plot,
    )
    raise typer.Exit(asyncio.run(run_load(options)))


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


Url = Annotated[str | None, typer.Option(help="The service; that of `make up` if left out.")]
Key = Annotated[
    str | None, typer.Option(help="Secret key for the service.", envvar="ASSISTANT_KEY")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


@cli.command()
def sessions(
    session_id: Annotated[
        str | None, typer.Argument(help="Show this one: what happened, when, and why.")
    ] = None,
    status: Annotated[list[str] | None, typer.Option(help="Only these; repeat for more.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=2000)] = 50,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List the sessions, or show why one's agent did not join.

    Exit code 1: the session that was asked for failed, or the service did not answer.
    """
    from assistant.operator.location import find_url
    from assistant.operator.service import Service
    from assistant.operator.sessions import list_sessions, show_session

    async def work() -> int:
        async with Service(find_url(url, os.environ), key=key) as service:
            if session_id is not None:
                return await show_session(service, _console(), session_id, as_json=as_json)
            return await list_sessions(
                service,
                _console(),
                limit=limit,
                statuses=status or [],
                agent=agent,
                as_json=as_json,
            )

    raise typer.Exit(asyncio.run(work()))


@cli.command()
def workers(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the workers that beat. Exit code 1: none of them takes jobs."""
    from assistant.operator.location import find_url
    from assistant.operator.service import Service
    from assistant.operator.workers import list_workers

    async def work() -> int:
        async with Service(find_url(url, os.environ), key=key) as service:
            return await list_workers(service, _console(), as_json=as_json)

    raise typer.Exit(asyncio.run(work()))


@cli.command()
def doctor(
    url: Url = None,
    key: Key = None,
    trial: Annotated[
        bool, typer.Option(help="Start a session for a moment, and see its agent join.")
    ] = True,
    vendors: Annotated[
        bool, typer.Option(help="Ask each vendor whether it takes our key.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Examine every part of a deployment. Exit code 1: something failed."""
    from assistant.operator.doctor import DoctorOptions, examine

    options = DoctorOptions(
        url=url, key=key, has_trial=trial, asks_vendors=vendors, as_json=as_json
    )
    raise typer.Exit(asyncio.run(examine(options, os.environ, _console())))


def main() -> None:
    try:
        cli()
    except (SettingsError, CatalogError) as error:
        typer.echo(str(error), err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None
    except AssistantError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
