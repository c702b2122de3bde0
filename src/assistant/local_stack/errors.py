"""The errors of the local stack.

LocalStackError
├── ToolMissingError          no usable Go or Node, or a build with it failed
├── StackMisconfiguredError   the environment asks for a mixture that cannot work
├── PortBusyError             a port that people rely on is taken
├── AlreadyRunningError       another stack holds this state folder
└── PartError                 one part of the stack failed
    ├── PartNotStartedError   its program could not be started at all
    ├── PartDiedError         its process ended without being asked to
    └── PartNotReadyError     it lives, but did not become ready in time
"""

import signal
from pathlib import Path

from assistant.errors import AssistantError


class LocalStackError(AssistantError):
    """Base of every error that the local stack raises on purpose."""


class ToolMissingError(LocalStackError):
    """A tool is missing or failed; `remedy` says what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}"


class StackMisconfiguredError(LocalStackError):
    """The environment asks for a mixture that cannot work."""


class PortBusyError(LocalStackError):
    """A port that people rely on is taken by another process."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(port, setting)
        self.port = port
        self.setting = setting

    def __str__(self) -> str:
        return (
            f"Port {self.port} on 127.0.0.1 is taken by another process. "
            f"Stop that one, or choose another port: {self.setting}={self.port + 1} make up"
        )


class AlreadyRunningError(LocalStackError):
    """Another stack holds this state folder; `pid` is None if it did not write one."""

    def __init__(self, state_dir: Path, pid: int | None) -> None:
        super().__init__(state_dir, pid)
        self.state_dir = state_dir
        self.pid = pid

    def __str__(self) -> str:
        who = f" (process {self.pid})" if self.pid else ""
        return (
            f"Another stack{who} already runs in {self.state_dir}. Stop it with Ctrl-C where it "
            "was started, or run a second one with ASSISTANT_STATE_DIR set to another folder."
        )


class PartError(LocalStackError):
    """One part of the stack failed; `log_tail` is the end of its log."""

    def __init__(self, name: str, log: Path, log_tail: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.log = log
        self.log_tail = log_tail

    def what(self) -> str:
        """What happened, in one line, without the log."""
        return f"{self.name} failed"

    def __str__(self) -> str:
        if not self.log_tail:
            return f"{self.what()}. Its log, {self.log}, is empty."
        lines = "\n".join(f"    {line}" for line in self.log_tail)
        return f"{self.what()}. The end of {self.log}:\n{lines}"


class PartNotStartedError(PartError):
    """Its program could not be started at all."""

    def __init__(self, name: str, log: Path, reason: str) -> None:
        super().__init__(name, log, ())
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name} could not be started: {self.reason}"


class PartDiedError(PartError):
    """Its process ended without being asked to; `returncode` is negative after a signal."""

    def __init__(self, name: str, log: Path, log_tail: tuple[str, ...], returncode: int) -> None:
        super().__init__(name, log, log_tail)
        self.returncode = returncode

    def what(self) -> str:
        return f"{self.name} died ({describe_exit(self.returncode)})"


class PartNotReadyError(PartError):
    """It lives, but did not become ready in time; `reason` is its last answer."""

    def __init__(
        self, name: str, log: Path, log_tail: tuple[str, ...], *, waited_s: float, reason: str
    ) -> None:
        super().__init__(name, log, log_tail)
        self.waited_s = waited_s
        self.reason = reason

    def what(self) -> str:
        return f"{self.name} was not ready after {self.waited_s:.0f} s ({self.reason})"


def describe_exit(returncode: int) -> str:
    """A process's end in words: its exit status, or the signal that killed it."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
