"""What can go wrong with a conversation in the terminal."""

from assistant.errors import AssistantError


class ConsoleError(AssistantError):
    """The conversation cannot be had."""


class WishError(ConsoleError):
    """An option asks for what agents.yaml does not offer."""

    def __init__(self, option: str, detail: str) -> None:
        super().__init__(option, detail)
        self.option = option
        self.detail = detail

    def __str__(self) -> str:
        return f"--{self.option}: {self.detail}"


class NoSoundError(ConsoleError):
    """This machine can neither listen nor speak."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail, remedy)
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        return f"no sound: {self.detail}; {self.remedy}, or write instead: console --text"


class NotInConsoleError(ConsoleError):
    """The agent uses something that only a worker has."""

    def __init__(self, agent: str, model: str) -> None:
        super().__init__(agent, model)
        self.agent = agent
        self.model = model

    def __str__(self) -> str:
        return (
            f"agents.{self.agent}.turn_detection: the model {self.model!r} runs in a worker only; "
            "use 'v1-mini' to hear this agent, or write to it: console --text"
        )


class FileNotWrittenError(ConsoleError):
    """What was heard could not be kept."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"--out: {self.path} cannot be written: {self.detail}"
