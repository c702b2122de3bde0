"""What can go wrong with the catalog.

AgentCatalogError
├── CatalogError                the file: all its problems at once
└── OverrideError               one session's `config`; `field` names the culprit
├── UnknownAgentError
├── UnknownVoiceError
└── OverrideNotAllowedError
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a catalog file."""

    file: str
    """The path of the file as the caller gave it."""
    line: int | None
    """Starts at 1. None where no line exists, as for a file that cannot be read."""
    path: str
    """Keys from the top, such as `agents.assistant.stt.model`; empty for the whole file."""
    message: str
    suggestion: str | None = None
    """The allowed word that is nearest to what was written."""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        text = ": ".join(part for part in (place, self.path, self.message) if part)
        return text if self.suggestion is None else f"{text}; did you mean '{self.suggestion}'?"


class AgentCatalogError(Exception):
    """The base of everything that this package raises on purpose."""


class CatalogError(AgentCatalogError):
    """A catalog file is wrong; `problems` holds every mistake found, in order of lines."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class OverrideError(AgentCatalogError):
    """A session's `config` asks for something that the catalog does not offer."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field
        """The name in `config`, such as `systemPrompt`."""


class UnknownAgentError(OverrideError):
    """No such agent, or none that this caller may start."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__("agent")
        self.name = name
        self.known = known
        """The names that this caller may use, sorted."""

    def __str__(self) -> str:
        return f"unknown agent '{self.name}'; known agents: {', '.join(self.known) or 'none'}"


class UnknownVoiceError(OverrideError):
    """No such voice, or none that this caller may choose."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__("voice")
        self.name = name
        self.known = known
        """The names that this caller may use, sorted."""

    def __str__(self) -> str:
        return f"unknown voice '{self.name}'; known voices: {', '.join(self.known) or 'none'}"


class OverrideNotAllowedError(OverrideError):
    """The agent does not let this caller choose that field, or not that value."""

    def __init__(self, field: str, agent: str, reason: str) -> None:
        super().__init__(field)
        self.agent = agent
        self.reason = reason
        """Why the field or its value is refused, and what is allowed."""

    def __str__(self) -> str:
        return f"'{self.field}' is refused by agent '{self.agent}': {self.reason}"
