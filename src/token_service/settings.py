"""What `python -m token_service` reads from the environment."""

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from assistant.errors import SettingProblem, SettingsError
from assistant.settings import LiveKitSettings, LogSettings, SessionSettings, SettingsModel, read
from token_service.endpoints import Endpoint, parse_endpoints

MIN_KEY_CHARS = 16  # at 6 bits a character: out of reach of guessing over a network
MAX_KEYS = 100  # every request is compared with every key
_KEY_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")  # printable ASCII, and no comma
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that callers show; `digest` is its SHA-256."""

    name: str
    key: str = field(repr=False)
    digest: bytes = field(repr=False)


def _split(text: Any) -> list[str]:
    if not isinstance(text, str):
        raise ValueError("must be text")  # noqa: TRY004 - pydantic wants a ValueError
    return [part.strip() for part in text.split(",") if part.strip()]


def _keys(text: Any) -> tuple[ApiKey, ...]:
    """Parse `name:key,name:key`. What is wrong is told by position and name, never by the key."""
    if isinstance(text, tuple):
        return text
    keys = []
    for position, part in enumerate(_split(text), start=1):
        name, colon, key = part.partition(":")
        if not colon or not _KEY_NAME.fullmatch(name):
            raise ValueError(f"entry {position} must be name:key, the name of A-Za-z0-9_-")
        if not _KEY.fullmatch(key):
            raise ValueError(f"key {name!r} must be printable ASCII without spaces")
        if len(key) < MIN_KEY_CHARS:
            raise ValueError(f"key {name!r} must have at least {MIN_KEY_CHARS} characters")
        keys.append(ApiKey(name, key, hashlib.sha256(key.encode()).digest()))
    if len(keys) > MAX_KEYS:
        raise ValueError(f"must hold at most {MAX_KEYS} keys")
    return tuple(keys)


def _matching(pattern: re.Pattern[str], what: str) -> Any:
    def parse(text: Any) -> tuple[str, ...]:
        if isinstance(text, tuple):
            return text
        parts = [part.rstrip("/").lower() for part in _split(text)]
        for part in parts:
            if not pattern.fullmatch(part):
                raise ValueError(f"{part!r} is not {what}")
        return tuple(parts)

    return PlainValidator(parse)


def _endpoints(text: Any) -> tuple[Endpoint, ...]:
    return text if isinstance(text, tuple) else parse_endpoints(text)


Keys = Annotated[tuple[ApiKey, ...], PlainValidator(_keys)]
Origins = Annotated[tuple[str, ...], _matching(_ORIGIN, "an origin such as https://example.org")]
Hosts = Annotated[tuple[str, ...], _matching(_HOST, "a host name without a port")]


def _livekit_url(url: Any) -> Any:
    if isinstance(url, str) and not re.match(r"^(ws|http)s?://[^/\s,;'\"]+", url):
        raise ValueError("must start with ws://, wss://, http:// or https:// and name a host")
    return url.rstrip("/") if isinstance(url, str) else url


class HttpSettings(SettingsModel):
    """The service's own settings; SERVICE_NAMES of assistant.settings lists the same names."""

    http_host: str = Field(
        "127.0.0.1", alias="ASSISTANT_HTTP_HOST", description="Address that the service binds."
    )
    http_port: int = Field(
        8080,
        alias="ASSISTANT_HTTP_PORT",
        ge=0,
        le=65535,
        description="Port of the service; 0 takes a free one.",
    )
    secret_keys: Keys = Field(
        (),
        alias="ASSISTANT_SECRET_KEYS",
        repr=False,
        description="Keys of backends, as comma-separated `name:key`; they may do everything.",
    )
    publishable_keys: Keys = Field(
        (),
        alias="ASSISTANT_PUBLISHABLE_KEYS",
        repr=False,
        description="Keys of web pages, as comma-separated `name:key`; "
        "they mint tokens, start and end.",
    )
    allowed_origins: Origins = Field(
        (),
        alias="ASSISTANT_ALLOWED_ORIGINS",
        description="Comma-separated origins whose pages may call the service and embed the page.",
    )
    allowed_hosts: Hosts = Field(
        (),
        alias="ASSISTANT_ALLOWED_HOSTS",
        description="Comma-separated host names under which the service answers. "
        "Not set: any, or loopback's alone where no keys are set.",
    )
    talk_page_key: str | None = Field(
        None,
        alias="ASSISTANT_TALK_PAGE_KEY",
        description="Name of the publishable key that the talk page uses; "
        "not set: no talk page, except where no keys are set.",
    )
    livekit_public_url: Annotated[str | None, BeforeValidator(_livekit_url)] = Field(
        None,
        alias="ASSISTANT_LIVEKIT_PUBLIC_URL",
        description="LiveKit's address for clients; not set: LIVEKIT_URL.",
    )
    console: Literal["on", "off"] = Field(
        "on",
        alias="ASSISTANT_CONSOLE",
        description="Whether `/console` serves the operator's console; what it shows takes a "
        "secret key.",
    )
    web_dir: str = Field(
        "web/dist", alias="ASSISTANT_WEB_DIR", description="Folder of the built pages."
    )
    token_ttl_s: int = Field(
        600,
        alias="ASSISTANT_TOKEN_TTL",
        ge=10,
        le=86_400,
        description="Seconds within which a minted token must be used to join.",
    )
    rate_limit: int = Field(
        60,
        alias="ASSISTANT_RATE_LIMIT",
        ge=1,
        le=1_000_000,
        description="Tokens and starts together that one user may ask for in a minute; "
        "with a publishable key, one address.",
    )
    webhooks: Annotated[tuple[Endpoint, ...], PlainValidator(_endpoints)] = Field(
        (),
        alias="ASSISTANT_WEBHOOKS",
        repr=False,
        description="Endpoints that events are posted to, as a JSON array of "
        "`{name, url, secret, previousSecret?, events?}`.",
    )
    webhooks_allow_internal: bool = Field(
        default=False,
        alias="ASSISTANT_WEBHOOKS_ALLOW_INTERNAL",
        description="Whether endpoints may be at internal addresses, and without https.",
    )


class ServiceSettings(LiveKitSettings, SessionSettings, LogSettings, HttpSettings):
    """Everything that the service reads."""

    @property
    def has_keys(self) -> bool:
        return bool(self.secret_keys or self.publishable_keys)

    @property
    def client_livekit_url(self) -> str:
        return self.livekit_public_url or self.livekit_url

    @property
    def session_timeout_s(self) -> float:
        return self.session_timeout_ms / 1000

    @property
    def embeds(self) -> bool:
        """Whether pages of other origins may show the talk page with a key of their own."""
        return not self.has_keys or bool(self.publishable_keys and self.allowed_origins)

    def talk_page(self) -> tuple[bool, ApiKey | None]:
        """Whether there is a talk page, and the key that it shows; None: it needs none."""
        if not self.has_keys:
            return True, None
        named = [key for key in self.publishable_keys if key.name == self.talk_page_key]
        return bool(named), named[0] if named else None


def read_settings(environ: Mapping[str, str]) -> ServiceSettings:
    """The service's settings.

    Raises:
        SettingsError: names every variable that is wrong, missing or unknown.
    """
    settings = read(ServiceSettings, environ)
    problems = tuple(_contradictions(settings))
    if problems:
        raise SettingsError(problems)
    return settings


def _contradictions(settings: ServiceSettings) -> Iterable[SettingProblem]:
    every = (*settings.secret_keys, *settings.publishable_keys)
    both = "ASSISTANT_SECRET_KEYS, ASSISTANT_PUBLISHABLE_KEYS"
    names = [key.name for key in every]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield SettingProblem(both, f"the name {name!r} is there twice")
    for key in every:
        twin = next((other for other in every if other is not key and other.key == key.key), None)
        if twin is not None and key.name < twin.name:
            yield SettingProblem(both, f"{key.name!r} and {twin.name!r} are the same key")
    if not settings.has_keys and not is_loopback(settings.http_host):
        yield SettingProblem(
            "ASSISTANT_HTTP_HOST",
            f"{settings.http_host} is reachable from outside, and no keys are set",
            "set ASSISTANT_SECRET_KEYS, or bind 127.0.0.1",
        )
    for endpoint in settings.webhooks:
        if not endpoint.is_https and not settings.webhooks_allow_internal:
            yield SettingProblem(
                "ASSISTANT_WEBHOOKS",
                f"the url of endpoint {endpoint.name!r} must start with https://",
                "ASSISTANT_WEBHOOKS_ALLOW_INTERNAL=true allows others",
            )
    if settings.talk_page_key is not None and settings.talk_page()[1] is None:
        yield SettingProblem(
            "ASSISTANT_TALK_PAGE_KEY",
            f"{settings.talk_page_key!r} is not the name of a publishable key",
            "it takes the name before the colon in ASSISTANT_PUBLISHABLE_KEYS",
        )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
