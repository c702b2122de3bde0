"""`python -m assistant workers`: who could take a job."""

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.operator.service import Service

EXIT_OK = 0
#: No worker takes jobs.
EXIT_NONE = 1


async def list_workers(service: Service, console: Console, *, as_json: bool) -> int:
    """Print the workers that beat; returns the exit code: 1 if none of them takes jobs."""
    stats = await service.stats()
    workers = stats["workers"]
    takes = any(worker["registered"] and not worker["draining"] for worker in workers)
    code = EXIT_OK if takes else EXIT_NONE
    if as_json:
        console.out(json.dumps({"workers": workers}), highlight=False)
        return code
    if not workers:
        console.print("no worker beats; start one with `python -m assistant start`", style="red")
        return code
    table = Table(
        *("host", "pid", "slots", "jobs", "warm", "load", "draining", "registered"),
        *("version", "catalog", "beat"),
        box=None,
    )
    for worker in workers:
        age_s = worker.get("beatAgeS")
        table.add_row(
            escape(worker["host"]),
            str(worker["pid"]),
            str(worker["maxJobs"]),
            str(worker["jobs"]),
            str(worker["warm"]),
            f"{worker['load']:.2f}",
            "yes" if worker["draining"] else "no",
            "yes" if worker["registered"] else "[red]no[/]",
            escape(worker["version"]),
            _catalog(worker.get("catalog"), stats.get("catalog", {}).get("digest")),
            "" if age_s is None else f"{age_s:.1f} s ago",
        )
    console.print(table)
    if not takes:
        console.print("none of them takes jobs: see their logs and /readyz", style="red")
    return code


def _catalog(digest: str | None, in_force: str | None) -> str:
    """The worker's catalog, marked where the service gives its sessions another one."""
    if digest is None or digest == in_force:
        return digest or ""
    return f"[red]{escape(digest)}[/] (service: {escape(in_force or 'unknown')})"
