"""Endpoints: the receivers of webhooks, as ASSISTANT_WEBHOOKS names them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from token_service.public_events import NAMES
from token_service.signing import parse_secret

MAX_ENDPOINTS = 16  # each costs a task a replica, and a delivery an event
MAX_URL_CHARS = 2048
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIELDS = frozenset({"name", "url", "secret", "previousSecret", "events"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver. `url` may carry a secret of the receiver's; `keys` sign, each for itself."""

    name: str
    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    #: Names, `prefix.*`, or `*`.
    events: tuple[str, ...]

    @property
    def is_https(self) -> bool:
        return self.url.lower().startswith("https://")

    def wants(self, event: str) -> bool:
        return any(_matches(pattern, event) for pattern in self.events)


def _matches(pattern: str, event: str) -> bool:
    return pattern in {"*", event} or (pattern.endswith(".*") and event.startswith(pattern[:-1]))


def parse_endpoints(text: str) -> tuple[Endpoint, ...]:
    """The endpoints of a JSON array of `{name, url, secret, previousSecret?, events?}`.

    Raises:
        ValueError: says what is wrong by position and name; never repeats a secret or a URL.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON array of endpoints") from None
    if not isinstance(entries, list) or len(entries) > MAX_ENDPOINTS:
        raise ValueError(f"must be a JSON array of at most {MAX_ENDPOINTS} endpoints")
    endpoints = tuple(_endpoint(position, entry) for position, entry in enumerate(entries, start=1))
    names = [endpoint.name for endpoint in endpoints]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the name {name!r} is there twice")
    return endpoints


def _endpoint(position: int, entry: Any) -> Endpoint:
    if not isinstance(entry, dict):
        raise ValueError(f"endpoint {position} must be an object")  # noqa: TRY004 - as pydantic wants
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ValueError(f"endpoint {position} has the unknown field {unknown[0][:40]!r}")
    name = _text(entry, "name", f"endpoint {position}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of endpoint {position} must be 1 to 64 of A-Za-z0-9_-")
    where = f"endpoint {name!r}"
    secrets = [_text(entry, "secret", where)]
    if "previousSecret" in entry:
        secrets.append(_text(entry, "previousSecret", where))
    try:
        keys = tuple(parse_secret(secret) for secret in secrets)
    except ValueError as error:
        raise ValueError(f"{where}: a secret {error}") from None
    return Endpoint(name, _url(_text(entry, "url", where), where), keys, _events(entry, where))


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} needs {key}, as text")
    return value


def _url(url: str, where: str) -> str:
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{where}: url must be at most {MAX_URL_CHARS} printable ASCII characters")
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{where}: url must be https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError(f"{where}: url must have neither user, password nor fragment")
    return url


def _events(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    patterns = entry.get("events", ["*"])
    if not isinstance(patterns, list) or not patterns:
        raise ValueError(f"{where}: events must be an array of names")
    for pattern in patterns:
        if not isinstance(pattern, str) or not any(_matches(pattern, name) for name in NAMES):
            raise ValueError(f"{where}: there is no event {str(pattern)[:40]!r}")
    return tuple(patterns)
