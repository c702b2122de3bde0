"""What both sides say and do, on the terminal or in a pipe: words on stdout, the rest on stderr."""

import sys

from rich.console import Console
from rich.text import Text

MAX_SHOWN_CHARS = 200  # of a tool's arguments or result; the model reads all of it


class Screen:
    """`echoes` user lines where no terminal does."""

    def __init__(self, *, echoes: bool) -> None:
        self._out = Console(highlight=False, soft_wrap=True, emoji=False)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._echoes = echoes
        self._speaker: str | None = None
        self.agent_spoke = False

    def note(self, text: str, style: str = "dim") -> None:
        """Something about the conversation, not of it."""
        self.end_line()
        self._err.print(Text(text, style=style))

    def words(self, agent: str, text: str) -> None:
        """The next piece of what an agent says."""
        if self._speaker != agent:
            text = text.lstrip()
            if not text:
                return
            self.end_line()
            self._out.print(Text(f"{agent}: ", style="bold green"), end="")
            self._speaker, self.agent_spoke = agent, True
        self._out.print(Text(text), end="")
        sys.stdout.flush()

    def end_line(self) -> None:
        if self._speaker is not None:
            self._speaker = None
            self._out.print()

    def user(self, text: str) -> None:
        self.end_line()
        if self._echoes:
            self._out.print(Text.assemble(("you: ", "bold cyan"), text))

    def prompt(self) -> None:
        """Ask for the next line, where somebody sits."""
        self.end_line()
        if not self._echoes:
            self._out.print(Text("you: ", style="bold cyan"), end="")
            sys.stdout.flush()

    def tool(self, name: str, arguments: str, output: str, *, failed: bool) -> None:
        self.end_line()
        words = f"  tool {name}({_cut(arguments)})" + (f" -> {_cut(output)}" if output else "")
        self._out.print(Text(words, style="red" if failed else "yellow"))

    def handoff(self, old: str | None, new: str) -> None:
        self.end_line()
        self._out.print(Text(f"  handoff {old or '?'} -> {new}", style="magenta"))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN_CHARS else line[:MAX_SHOWN_CHARS] + "…"
