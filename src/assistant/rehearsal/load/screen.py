"""What a load run shows while it goes on, and the table at its end."""

import time
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from assistant.rehearsal.load.advice import Advice
from assistant.rehearsal.load.figures import CallFigures, CpuUse, Spread, Summary, summarise
from assistant.rehearsal.load.verdict import Miss

REFRESH_EVERY_S = 0.5
# Where nobody watches a screen, a line now and then.
LINE_EVERY_S = 10.0


def is_this_machine(url: str) -> bool:
    """Whether the address is one of loopback: then callers and workers compete for its CPU."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def spread_text(value: Spread | None) -> str:
    if value is None:
        return "none"
    return f"p50 {value.p50:.2f} s, p95 {value.p95:.2f} s, max {value.max:.2f} s ({value.count})"


def cpu_text(cpu: CpuUse) -> str:
    machine = "" if cpu.machine is None else f", all of this machine {cpu.machine:.2f}"
    return f"callers {cpu.callers:.2f}{machine}, of {cpu.cores} cores"


class Screen:
    """Prints; on a terminal, the figures as they change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._last_line_at = time.monotonic()

    def note(self, text: str, style: str = "dim") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def begin(self) -> None:
        self._last_line_at = time.monotonic()
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def finish(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(
        self, calls: Sequence[CallFigures], *, took_s: float, limit_s: float, cpu: CpuUse
    ) -> None:
        """The run so far."""
        summary = summarise(calls, took_s=took_s, cpu=cpu)
        living = sum(call.ended_s >= took_s - 0.05 for call in calls)
        if self._live is not None:
            table = _table(summary)
            table.title = f"{took_s:.0f} of at most {limit_s:.0f} s, {living} in a call"
            self._live.update(table, refresh=True)
            return
        now = time.monotonic()
        if now - self._last_line_at >= LINE_EVERY_S:
            self._last_line_at = now
            reply = spread_text(summary.reply)
            self.note(
                f"{took_s:.0f} s: {living} in a call, {summary.calls} begun, {summary.failed} "
                f"failed, reply {reply}, CPU {cpu_text(cpu)}"
            )

    def result(self, summary: Summary) -> None:
        self._console.print(_table(summary))

    def doubts(self, doubts: Sequence[str]) -> None:
        for doubt in doubts:
            self.note(f"note: {doubt}", style="yellow")

    def misses(self, misses: Sequence[Miss]) -> None:
        for miss in misses:
            self.note(f"missed: {miss}", style="bold red")

    def advice(self, advices: Sequence[Advice]) -> None:
        for advice in advices:
            value = "unknown" if advice.value is None else str(advice.value)
            self.note(f"{advice.setting}={value}", style="bold")
            for line in advice.why:
                self.note(f"  {line}", style="")


def _table(summary: Summary) -> Table:
    table = Table(box=None, show_header=False, title_justify="left", pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    answered = "" if summary.answered is None else f" ({summary.answered:.1%})"
    rate = "" if summary.starts_per_s is None else f", {60 * summary.starts_per_s:.1f} a minute"
    cut = f", {summary.cut} cut short" if summary.cut else ""
    rows = [
        (
            "calls",
            (
                f"{summary.calls}{rate}; {summary.joined} got an agent, {summary.failed} failed"
                f"{cut}; at most {summary.most_at_once} at once"
            ),
        ),
        ("turns", f"{summary.answered_turns} of {summary.due} answered{answered}"),
        ("start -> agent in the room", spread_text(summary.agent)),
        ("start -> greeting heard", spread_text(summary.greeting)),
        ("end of speech -> reply heard", spread_text(summary.reply)),
        ("CPU, in cores", cpu_text(summary.cpu)),
    ]
    rows += [(f"failed: {reason}", str(count)) for reason, count in summary.failures.items()]
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table
