"""Settings: every environment variable that any process of this project reads.

A process reads its settings once, in its `__main__`, with `read(...)`, and passes them on.
`NAMES` is the registry of all of them; an unknown `ASSISTANT_*` variable is an error, because a
misspelt limit that is silently ignored is worse than a refusal to start.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from assistant.errors import SettingProblem, SettingsError

PREFIX = "ASSISTANT_"
MIN_SECRET_BYTES = 32  # HS256 needs a key as long as its hash (RFC 7518, section 3.2).

# Kubernetes injects link variables for a Service named `assistant` into every pod
# (`ASSISTANT_SERVICE_HOST`, `ASSISTANT_PORT`, `ASSISTANT_PORT_8080_TCP_ADDR`, ...).
_KUBERNETES_LINK = re.compile(r"^ASSISTANT_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)\w*)?)$")

_RECORDINGS_URL = re.compile(r"file:///[^\s?#]+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?")


class SettingsModel(BaseModel):
    """A group of settings; each field's alias is its variable's name."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class LiveKitSettings(SettingsModel):
    livekit_url: str = Field(
        alias="LIVEKIT_URL",
        description="LiveKit server, as `ws://`, `wss://`, `http://`, `https://`.",
    )
    livekit_api_key: str = Field(alias="LIVEKIT_API_KEY", description="LiveKit API key.")
    livekit_api_secret: SecretStr = Field(
        alias="LIVEKIT_API_SECRET", description="LiveKit API secret, at least 32 bytes."
    )

    @field_validator("livekit_url")
    @classmethod
    def _is_livekit_url(cls, url: str) -> str:
        if not re.match(r"^(ws|http)s?://[^/\s]+", url):
            raise ValueError("must start with ws://, wss://, http:// or https:// and name a host")
        return url.rstrip("/")

    @field_validator("livekit_api_secret")
    @classmethod
    def _is_long(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must have at least {MIN_SECRET_BYTES} bytes")
        return secret


class SessionSettings(SettingsModel):
    """What the service and the workers must agree on."""

    redis_url: str = Field(
        "redis://localhost:6379/0",
        alias="REDIS_URL",
        description="Redis or Valkey that holds the sessions.",
    )
    agent_name: str = Field(
        "assistant",
        alias="ASSISTANT_AGENT_NAME",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="LiveKit agent name under which all workers register.",
    )
    agents_file: str = Field(
        "agents.yaml", alias="ASSISTANT_AGENTS_FILE", description="Path of agents.yaml."
    )
    room_prefix: str = Field(
        "va-",
        alias="ASSISTANT_ROOM_PREFIX",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="Prefix of our rooms; rooms without it are never touched.",
    )
    session_retention_s: float = Field(
        86400,
        alias="ASSISTANT_SESSION_RETENTION",
        gt=0,
        description="Seconds that an ended session's record is kept.",
    )
    max_bots: int = Field(
        50,
        alias="MAX_BOTS",
        ge=1,
        le=100_000,
        description="Sessions with an agent, over the whole fleet.",
    )
    session_timeout_ms: int = Field(
        1_800_000,
        alias="SESSION_TIMEOUT",
        ge=1000,
        description="Milliseconds after which any session ends.",
    )
    bot_startup_timeout_s: float = Field(
        30,
        alias="BOT_STARTUP_TIMEOUT",
        gt=0,
        le=600,
        description="Seconds from leaving the queue until an agent must be in the room.",
    )
    queue_timeout_s: float = Field(
        60,
        alias="ASSISTANT_QUEUE_TIMEOUT",
        gt=0,
        le=3600,
        description="Seconds that a session may wait for a free slot.",
    )
    queue_limit: int = Field(
        200, alias="ASSISTANT_QUEUE_LIMIT", ge=0, le=100_000, description="Sessions that may wait."
    )
    when_full: Literal["queue", "reject"] = Field(
        "queue",
        alias="ASSISTANT_WHEN_FULL",
        description="Without a free slot: `queue` the session or `reject` the start with 503.",
    )

    recordings_url: str | None = Field(
        None,
        alias="ASSISTANT_RECORDINGS_URL",
        description="Where recordings lie: `file:///folder` or `s3://bucket/prefix`.",
    )
    recordings_endpoint: str | None = Field(
        None,
        alias="ASSISTANT_RECORDINGS_ENDPOINT",
        pattern=r"^https?://[^\s/?#]+/?$",
        description="Address of an S3-compatible store; not set: AWS.",
    )

    @field_validator("recordings_url")
    @classmethod
    def _is_a_place(cls, url: str | None) -> str | None:
        if url is not None and not _RECORDINGS_URL.fullmatch(url):
            raise ValueError("must be file:///folder or s3://bucket/prefix")
        return url


class LogSettings(SettingsModel):
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="ASSISTANT_LOG_LEVEL", description="Least severe level that is logged."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto",
        alias="ASSISTANT_LOG_FORMAT",
        description="`auto`: text on a terminal, else JSON lines.",
    )


class VendorSettings(SettingsModel):
    """Keys and addresses of the vendors; None: no key is set."""

    groq_api_key: SecretStr | None = Field(
        None, alias="GROQ_API_KEY", description="Groq key, for agents that use `groq`."
    )
    assemblyai_api_key: SecretStr | None = Field(
        None,
        alias="ASSEMBLYAI_API_KEY",
        description="AssemblyAI key, for agents that use `assemblyai`.",
    )
    assembly_api_key: SecretStr | None = Field(
        None, alias="ASSEMBLY_API_KEY", description="Older name of `ASSEMBLYAI_API_KEY`."
    )
    inworld_api_key: SecretStr | None = Field(
        None, alias="INWORLD_API_KEY", description="Inworld key, for agents that use `inworld`."
    )
    deepgram_api_key: SecretStr | None = Field(
        None, alias="DEEPGRAM_API_KEY", description="Deepgram key, for agents that use `deepgram`."
    )
    cartesia_api_key: SecretStr | None = Field(
        None, alias="CARTESIA_API_KEY", description="Cartesia key, for agents that use `cartesia`."
    )
    groq_url: str | None = Field(
        None, alias="ASSISTANT_GROQ_URL", description="Another base URL for Groq's API."
    )
    assemblyai_url: str | None = Field(
        None, alias="ASSISTANT_ASSEMBLYAI_URL", description="Another base URL for AssemblyAI (ws)."
    )
    inworld_url: str | None = Field(
        None, alias="ASSISTANT_INWORLD_URL", description="Another base URL for Inworld (http)."
    )

    deepgram_url: str | None = Field(
        None,
        alias="ASSISTANT_DEEPGRAM_URL",
        description="Another URL of Deepgram's listening (http), up to and with `/v1/listen`.",
    )
    cartesia_url: str | None = Field(
        None, alias="ASSISTANT_CARTESIA_URL", description="Another base URL for Cartesia (http)."
    )

    def voice_url(self, provider: str) -> str | None:
        """Where that vendor's voices are made, if not at its own address."""
        return {"inworld": self.inworld_url, "cartesia": self.cartesia_url}.get(provider)

    def stt_key(self) -> str | None:
        key = self.assemblyai_api_key or self.assembly_api_key
        return key.get_secret_value() if key else None


class SpeechSettings(VendorSettings):
    """The vendors, and where speech of theirs is kept."""

    speech_cache: str | None = Field(
        None,
        alias="ASSISTANT_SPEECH_CACHE",
        description="Folder of greetings and apologies made before. Unset: the user's cache.",
    )


class WorkerSettings(LiveKitSettings, SessionSettings, LogSettings, SpeechSettings):
    """What `python -m assistant start` and its job processes read."""

    prewarm_pool_size: int = Field(
        3, alias="PREWARM_POOL_SIZE", ge=1, le=100, description="Idle job processes kept warm."
    )
    standby_jobs: int = Field(
        2,
        alias="ASSISTANT_STANDBY_JOBS",
        ge=0,
        le=100,
        description="Of the idle job processes, those that LiveKit has dispatched already and that "
        "wait for a session, one less than all at most; 0: every session is dispatched when it "
        "starts.",
    )
    max_jobs: int = Field(
        10,
        alias="ASSISTANT_MAX_JOBS",
        ge=1,
        le=1000,
        description="Jobs that one worker runs at once.",
    )
    jobs_per_process: int = Field(
        1,
        alias="ASSISTANT_JOBS_PER_PROCESS",
        ge=1,
        le=64,
        description="Jobs that share a process and its loop: less memory and CPU for each, and "
        "what stops or ends the process does so to all of them.",
    )
    drain_timeout_s: float = Field(
        3600,
        alias="ASSISTANT_DRAIN_TIMEOUT",
        ge=1,
        description="Seconds that running conversations may take to finish after SIGTERM.",
    )
    worker_http_host: str = Field(
        "127.0.0.1",
        alias="ASSISTANT_WORKER_HTTP_HOST",
        description="Address of the worker's health page.",
    )
    worker_http_port: int = Field(
        8081,
        alias="ASSISTANT_WORKER_HTTP_PORT",
        ge=0,
        le=65535,
        description="Port of the worker's health page; 0 takes a free one.",
    )
    watchdog_timeout_s: float = Field(
        5,
        alias="ASSISTANT_WATCHDOG_TIMEOUT",
        ge=2,
        le=600,
        description="Seconds without a beat of its loop after which a worker is killed.",
    )
    redis_grace_s: float = Field(
        30,
        alias="ASSISTANT_REDIS_GRACE",
        ge=0,
        description="Seconds that a job keeps its conversation while Redis is away.",
    )
    recordings_spool: str | None = Field(
        None,
        alias="ASSISTANT_RECORDINGS_SPOOL",
        description="Folder in which recordings grow; not set: one in the folder for "
        "temporary files.",
    )
    job_memory_limit_mb: float = Field(
        0,
        alias="ASSISTANT_JOB_MEMORY_LIMIT",
        ge=0,
        description="Megabytes above which a job process is killed; 0: no limit.",
    )


class LocalStackSettings(SettingsModel):
    """What `make up`, its stand-ins and `make call` read, beside the above."""

    state_dir: str = Field(
        ".state", alias="ASSISTANT_STATE_DIR", description="State folder of `make up`."
    )
    caller_url: str | None = Field(
        None, alias="ASSISTANT_URL", description="Service that `make call` talks to."
    )
    caller_key: SecretStr | None = Field(
        None, alias="ASSISTANT_KEY", description="Key that `make call` shows to the service."
    )


# Variables of parts that read them by themselves, so that each part stays importable alone.
SERVICE_NAMES = frozenset(
    f"ASSISTANT_{name}"
    for name in (
        "HTTP_HOST",
        "HTTP_PORT",
        "SECRET_KEYS",
        "PUBLISHABLE_KEYS",
        "ALLOWED_ORIGINS",
        "ALLOWED_HOSTS",
        "TALK_PAGE_KEY",
        "LIVEKIT_PUBLIC_URL",
        "CONSOLE",
        "WEB_DIR",
        "TOKEN_TTL",
        "RATE_LIMIT",
        "WEBHOOKS",
        "WEBHOOKS_ALLOW_INTERNAL",
    )
)
STAND_IN_NAMES = frozenset(
    f"ASSISTANT_STAND_IN_{name}"
    for name in (
        "STT_MODE",
        "STT_DELAY_S",
        "LLM_TTFT_S",
        "LLM_TOKENS_PER_S",
        "TTS_TTFB_S",
        "TTS_SPEED",
        "TTS_ENGINE",
        "SCRIPT",
    )
)
OLDER_NAMES = frozenset({"PYTHON_SCRIPT_PATH"})  # read by the older backend; ignored with a warning

Settings = TypeVar("Settings", bound=SettingsModel)


def names_of(model: type[SettingsModel]) -> frozenset[str]:
    """The environment variables that one group of settings reads."""
    return frozenset(field.alias for field in model.model_fields.values() if field.alias)


NAMES = names_of(WorkerSettings) | names_of(LocalStackSettings) | SERVICE_NAMES | STAND_IN_NAMES


def check_names(environ: Mapping[str, str]) -> None:
    """Refuse unknown `ASSISTANT_*` variables.

    Raises:
        SettingsError: names each unknown variable and the nearest known one.
    """
    problems = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NAMES or _KUBERNETES_LINK.match(name):
            continue
        near = difflib.get_close_matches(name, sorted(NAMES), n=1)
        problems.append(
            SettingProblem(
                name,
                "is not a setting",
                f"did you mean {near[0]}?" if near else "docs/configuration.md lists them all",
            )
        )
    if problems:
        raise SettingsError(tuple(problems))


def read(model: type[Settings], environ: Mapping[str, str]) -> Settings:
    """Read one group of settings from the environment; an empty value counts as not set.

    Raises:
        SettingsError: names every wrong or missing variable, and every unknown `ASSISTANT_*`.
    """
    check_names(environ)
    wanted = names_of(model)
    try:
        return model.model_validate({k: v for k, v in environ.items() if k in wanted and v != ""})
    except ValidationError as error:
        raise SettingsError(tuple(_problems(error, model))) from None


def _problems(error: ValidationError, model: type[SettingsModel]) -> list[SettingProblem]:
    descriptions = {f.alias: f.description for f in model.model_fields.values()}
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        name = str(item["loc"][0]) if item["loc"] else "environment"
        message = "is not set" if item["type"] == "missing" else item["msg"]
        problems.append(SettingProblem(name, message, descriptions.get(name)))
    return problems
