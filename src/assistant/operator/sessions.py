"""`python -m assistant sessions`: the list, and one session's timeline with its verdict."""

import json
import time
from collections.abc import Iterable
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.operator.service import Json, Service
from assistant.operator.timeline import Stage, stages_of
from assistant.sessions.verdict import verdict_of

PAGE = 100
MAX_PAGES = 20  # A terminal is no place for more than some thousand lines.
SLOW_S = 1.0  # A stage that took longer is shown in colour.

EXIT_OK = 0
#: The session that was asked for has failed.
EXIT_FAILED = 1


async def list_sessions(
    service: Service,
    console: Console,
    *,
    limit: int,
    statuses: list[str],
    agent: str | None,
    as_json: bool,
) -> int:
    """Print the newest sessions, `limit` at most; returns the exit code, 0."""
    found: list[Json] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await service.sessions(
            limit=min(limit - len(found), PAGE), statuses=statuses, agent=agent, cursor=cursor
        )
        found += page.get("sessions") or []
        cursor = page.get("cursor")
        if cursor is None or len(found) >= limit:
            break
    if as_json:
        console.out(json.dumps({"sessions": found}), highlight=False)
        return EXIT_OK
    table = Table("id", "user", "status", "agent", "attempt", "age", "reason", box=None)
    now = time.time()
    for session in found:
        table.add_row(*map(escape, _row(session, now)))
    console.print(table if found else "no sessions")
    return EXIT_OK


async def show_session(
    service: Service, console: Console, session_id: str, *, as_json: bool
) -> int:
    """Print what happened to a session, and why; returns the exit code: 1 if it failed."""
    session = await service.session(session_id)
    verdict = verdict_of(session)
    code = EXIT_FAILED if verdict.is_failure else EXIT_OK
    if as_json:
        said = {"cause": verdict.cause, "remedy": verdict.remedy, "failure": verdict.is_failure}
        console.out(json.dumps({**session, "verdict": said}), highlight=False)
        return code
    reason = f" ({session['reason']})" if session.get("reason") else ""
    console.print(
        f"[bold]{escape(session_id)}[/] {session['status']}{reason}, "
        f"agent {escape(session['agent'])}, user {escape(session['userId'])}, "
        f"room {escape(session['room'])}"
    )
    if session.get("timeline") is None:
        console.print("its timeline is for secret keys alone", style="yellow")
    print_stages(console, stages_of(session.get("timeline") or ()))
    console.print(escape(str(verdict)), style="red" if verdict.is_failure else "green")
    return code


def print_stages(console: Console, stages: Iterable[Stage]) -> None:
    """The stages, attempt by attempt."""
    attempt: int | None = None
    for stage in stages:
        if stage.attempt != attempt and stage.attempt > 0:
            console.print(f"attempt {stage.attempt}", style="bold")
        attempt = stage.attempt
        at = datetime.fromtimestamp(stage.at).astimezone().strftime("%H:%M:%S.%f")[:-3]
        facts = f"  [dim]{escape(stage.facts)}[/]" if stage.facts else ""
        console.print(f"  {at} {_after(stage.after_s)}  {escape(stage.says)}{facts}")


def _row(session: Json, now: float) -> list[str]:
    return [
        session["sessionId"],
        session["userId"],
        session["status"],
        session["agent"],
        str(session["attempt"]),
        _age(now - session["created"]),
        session.get("reason") or "",
    ]


def _after(seconds: float | None) -> str:
    if seconds is None:
        return " " * 9
    # Events come from several hosts, whose clocks may differ by a little: negative is possible.
    text = f"{round(seconds, 3) + 0.0:+.3f} s" if seconds < 100 else f"+{seconds:.0f} s"
    return f"[yellow]{text:>9}[/]" if seconds >= SLOW_S else f"{text:>9}"


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
