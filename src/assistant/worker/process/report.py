"""`check`: is agents.yaml right, is the environment complete, and what would run?"""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.catalog.catalog import Catalog
from assistant.catalog.environment import required_environment
from assistant.catalog.errors import CatalogError
from assistant.errors import SettingsError
from assistant.settings import SessionSettings, WorkerSettings, read

EXIT_OK = 0
EXIT_MISCONFIGURED = 2
FILE_WIDTH = 200  # of the table where no terminal has one: into a log or a pipe, nothing is cut


def print_report(environ: Mapping[str, str], *, has_stand_ins: bool = False) -> int:
    """Print every finding; returns the exit code: 0, or 2 if a worker would refuse to start.

    `has_stand_ins`: it would be given those of a running `make up` where keys are missing.
    """
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    fine = True
    try:
        settings = read(WorkerSettings, environ)
        path = settings.agents_file
        console.print(f"LiveKit        {escape(settings.livekit_url)}")
        shared = f", {settings.jobs_per_process} a process" * (settings.jobs_per_process > 1)
        jobs = f"{settings.max_jobs} jobs, {settings.prewarm_pool_size} warm{shared}"
        console.print(f"worker         {jobs}")
        console.print(f"agent name     {escape(settings.agent_name)}")
    except SettingsError as error:
        fine = False
        for problem in error.problems:
            console.print(f"[red]wrong[/]          {escape(str(problem))}")
        path = environ.get("ASSISTANT_AGENTS_FILE") or str(
            SessionSettings.model_fields["agents_file"].default
        )
    try:
        catalog = Catalog.load(path)
    except CatalogError as error:
        console.print(escape(str(error)))
        return EXIT_MISCONFIGURED
    console.print(f"agents.yaml    {catalog.digest}")
    console.print(_agents_table(catalog))
    stood_in: dict[str, None] = {}
    for agent in catalog.agents.values():
        for requirement in required_environment(agent):
            if requirement.is_met(environ):
                continue
            if has_stand_ins and requirement.has_stand_in:
                stood_in[f"{requirement.provider}, until {requirement.names[0]} is set"] = None
                continue
            fine = False
            console.print(f"[red]missing[/]        {escape(str(requirement))}")
    for told in stood_in:
        console.print(f"[yellow]stand-in[/]       {told}")
    console.print("ready to start" if fine else "[red]a worker would refuse to start[/]")
    return EXIT_OK if fine else EXIT_MISCONFIGURED


def _agents_table(catalog: Catalog) -> Table:
    table = Table()
    for heading in ("agent", "speech to text", "language model", "text to speech", "turns"):
        table.add_column(heading, overflow="fold")
    for name, spec in catalog.agents.items():
        table.add_row(
            f"{name} (default)" if name == catalog.default else name,
            f"{spec.stt.provider} {spec.stt.model}",
            f"{spec.llm.provider} {spec.llm.model}",
            f"{spec.tts.provider} {spec.tts.model}, {spec.tts.voice}",
            f"{spec.vad.provider} VAD, {spec.turn_detection.model}",
        )
    return table
