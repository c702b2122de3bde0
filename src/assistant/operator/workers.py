"""`python -m assistant workers`: who could take a job."""

import json
from collections.abc import Mapping
from typing import Any

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
    in_force = stats.get("catalog", {}).get("digest")
    table = Table("host", "pid", "slots", "jobs", "warm", "load", "state", "version", box=None)
    table.add_column("catalog", no_wrap=True)
    table.add_column("beat", no_wrap=True)
    for worker in workers:
        age_s, digest = worker.get("beatAgeS"), worker.get("catalog")
        table.add_row(
            escape(worker["host"]),
            str(worker["pid"]),
            str(worker["maxJobs"]),
            str(worker["jobs"]),
            str(worker["warm"]),
            f"{worker['load']:.2f}",
            _state(worker),
            escape(worker["version"]),
            f"[red]{digest}[/]" if _lags(digest, in_force) else digest or "",
            "" if age_s is None else f"{age_s:.1f} s",
        )
    console.print(table)
    if any(_lags(worker.get("catalog"), in_force) for worker in workers):
        said = f"the service gives its sessions another agents.yaml, {in_force}: SIGHUP takes it"
        console.print(said, style="red")
    if not takes:
        console.print("none of them takes jobs: see their logs and /readyz", style="red")
    return code


def _state(worker: Mapping[str, Any]) -> str:
    if worker["draining"]:
        return "draining"
    return "serving" if worker["registered"] else "[red]away[/]"


def _lags(digest: str | None, in_force: str | None) -> bool:
    """Whether the worker has another catalog; an older release does not say."""
    return None not in {digest, in_force} and digest != in_force
