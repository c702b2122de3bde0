"""The errors of the worker."""

from assistant.errors import AssistantError


class WorkerError(AssistantError):
    """The worker cannot do its work."""


class MissingExtraError(WorkerError):
    """agents.yaml asks for a provider whose package is not installed."""

    def __init__(self, name: str, extra: str) -> None:
        super().__init__(name, extra)
        self.name = name
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.name!r} needs the extra {self.extra!r}: pip install -e '.[{self.extra}]'"


class WeightsMissingError(WorkerError):
    """An agent's turn detection needs a model that is not on this host."""

    def __init__(self, agent: str, model: str) -> None:
        super().__init__(agent, model)
        self.agent = agent
        self.model = model

    def __str__(self) -> str:
        return (
            f"agents.{self.agent}.turn_detection: the model {self.model!r} is not on this host; "
            "run `python -m assistant download-files`, or use 'v1-mini'"
        )


class RestartNeededError(WorkerError):
    """A changed agents.yaml wants a model whose process is only started with the worker."""

    def __init__(self, agent: str, model: str) -> None:
        super().__init__(agent, model)
        self.agent = agent
        self.model = model

    def __str__(self) -> str:
        return (
            f"agents.{self.agent}.turn_detection: the model {self.model!r} runs in a process that "
            "is only started with the worker; restart it, or use 'v1-mini'"
        )


class HealthPageError(WorkerError):
    """The worker's health page cannot listen where it should."""

    def __init__(self, host: str, port: int, detail: str) -> None:
        super().__init__(host, port, detail)
        self.host = host
        self.port = port
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"cannot listen on {self.host}:{self.port} ({self.detail}); "
            "is another worker running? set ASSISTANT_WORKER_HTTP_PORT to a free port, or to 0"
        )


class NotAdmittedError(WorkerError):
    """LiveKit would not let the agent into its room."""

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(url, detail)
        self.url = url
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.url} does not let the agent in: {self.detail}"


class ToolUnusableError(WorkerError):
    """A Python function that agents.yaml names as a tool cannot be one."""

    def __init__(self, function: str, detail: str) -> None:
        super().__init__(function, detail)
        self.function = function
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"the tool {self.function!r} cannot be used ({self.detail}); it must be importable "
            "where the worker runs, with type hints on all parameters"
        )


class SilentVendorError(WorkerError):
    """A vendor stays connected and says nothing more."""

    def __init__(self, stage: str, after_s: float) -> None:
        super().__init__(stage, after_s)
        self.stage = stage
        self.after_s = after_s

    def __str__(self) -> str:
        return f"nothing came of {self.stage} for {self.after_s:g} s"


class HouseHeldError(WorkerError):
    """A process with several jobs does not answer at the moment, and can take no further one."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(pid)
        self.pid = pid

    def __str__(self) -> str:
        return f"the loop of process {self.pid} is held"
