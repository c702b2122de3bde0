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
        #: Somebody is asked for a line; and the prompt for it is what stands last.
        self._asks = self._is_prompted = False
        self.agent_spoke = False

    def note(self, text: str, style: str = "dim") -> None:
        """Something about the conversation, not of it."""
        self._begin_line()
        self._err.print(Text(text, style=style))
        self._ask()

    def words(self, agent: str, text: str) -> None:
        """The next piece of what an agent says."""
        if self._speaker != agent:
            text = text.lstrip()
            if not text:
                return
            self._begin_line()
            self._out.print(Text(f"{agent}: ", style="bold green"), end="")
            self._speaker, self.agent_spoke = agent, True
        self._out.print(Text(text), end="")
        sys.stdout.flush()

    def sentence(self, agent: str, text: str) -> None:
        """What an agent says besides, as a line of its own."""
        self._begin_line()
        self.words(agent, text)
        self.end_line()

    def end_line(self) -> None:
        if self._speaker is not None:
            self._begin_line()
        self._ask()

    def user(self, text: str) -> None:
        # The terminal has gone to the next line.
        self._asks = self._is_prompted = False
        self.end_line()
        if self._echoes:
            self._out.print(Text.assemble(("you: ", "bold cyan"), text))

    def prompt(self) -> None:
        """Ask for the next line, where somebody sits."""
        self._asks = not self._echoes
        self.end_line()

    def asks_no_more(self) -> None:
        self._asks = False
        self._begin_line()

    def tool(self, name: str, arguments: str, output: str, *, failed: bool) -> None:
        words = f"  tool {name}({_cut(arguments)})" + (f" -> {_cut(output)}" if output else "")
        self._line(Text(words, style="red" if failed else "yellow"))

    def handoff(self, old: str | None, new: str) -> None:
        self._line(Text(f"  handoff {old or '?'} -> {new}", style="magenta"))

    def _line(self, text: Text) -> None:
        self._begin_line()
        self._out.print(text)
        self._ask()

    def _begin_line(self) -> None:
        """Leave the one that something stands on."""
        if self._speaker is not None or self._is_prompted:
            self._speaker, self._is_prompted = None, False
            self._out.print()

    def _ask(self) -> None:
        """Again, if something came between."""
        if self._asks and not self._is_prompted:
            self._out.print(Text("you: ", style="bold cyan"), end="")
            sys.stdout.flush()
            self._is_prompted = True


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN_CHARS else line[:MAX_SHOWN_CHARS] + "…"
