"""The errors of the assistant package.

AssistantError
├── SettingsError         the environment holds a wrong, missing or unknown setting
├── catalog.CatalogError  agents.yaml is wrong          (assistant.catalog.errors)
└── sessions.SessionError a session cannot do that now  (assistant.sessions.errors)
"""

from dataclasses import dataclass


class AssistantError(Exception):
    """Base of every error that this package raises on purpose."""


@dataclass(frozen=True)
class SettingProblem:
    """One wrong setting: the variable's name, what is wrong, and what to do."""

    name: str
    message: str
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" + (f"; {self.remedy}" if self.remedy else "")


class SettingsError(AssistantError):
    """The environment holds wrong, missing or unknown settings."""

    def __init__(self, problems: tuple[SettingProblem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
