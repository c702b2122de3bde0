"""What can go wrong for whoever operates a deployment.

OperatorError
├── ServiceSilentError   nothing answers at the service's address
└── ServiceRefusalError  the service answered with an error
"""

from assistant.errors import AssistantError


class OperatorError(AssistantError):
    """The base of all errors of this package."""


class ServiceSilentError(OperatorError):
    def __init__(self, url: str, cause: str) -> None:
        super().__init__(url, cause)
        self.url = url
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"no token service answers at {self.url} ({self.cause}); "
            "name it with --url or ASSISTANT_URL"
        )


class ServiceRefusalError(OperatorError):
    """`code` is the stable code of the problem document; None: there was none."""

    def __init__(self, request: str, *, status: int, code: str | None, detail: str) -> None:
        super().__init__(request, status, code, detail)
        self.request = request
        self.status = status
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        code = f" {self.code}" if self.code else ""
        key = "; give a secret key with --key or ASSISTANT_KEY" if self.status in {401, 403} else ""
        return f"{self.request} was refused with {self.status}{code}: {self.detail}{key}"
