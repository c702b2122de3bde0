"""Who is calling, and whether a session is theirs."""

import hashlib
import hmac
import secrets
from enum import StrEnum
from typing import NamedTuple

from assistant.sessions.record import Session
from assistant.sessions.store.glances import Glance
from token_service.errors import ForbiddenError, UnauthenticatedError
from token_service.settings import ApiKey

SESSION_KEY_BYTES = 24


class Kind(StrEnum):
    """Backends do everything; pages only what their session's key proves to be theirs."""

    SECRET = "secret"  # noqa: S105 - a word, not a key
    PUBLISHABLE = "publishable"
    #: No keys are configured; the service listens on loopback alone.
    LOCAL = "local"


class Caller(NamedTuple):
    """`name` is that of the key; `address` where the request came from, None if not known."""

    kind: Kind
    name: str
    address: str | None = None

    @property
    def is_public(self) -> bool:
        return self.kind is Kind.PUBLISHABLE

    def owns(self, session: Session | Glance, session_key: str | None) -> bool:
        """Whether the caller may see and end the session."""
        if not self.is_public:
            return True
        if session.session_key_hash is None or session_key is None:
            return False
        return hmac.compare_digest(hashed(session_key), session.session_key_hash)

    def require_secret(self) -> None:
        """Refuse web pages.

        Raises:
            ForbiddenError: the caller showed a publishable key.
        """
        if self.is_public:
            raise ForbiddenError


class Authenticator:
    """Knows the keys. Every answer takes the same time, whichever key was shown."""

    def __init__(self, secret: tuple[ApiKey, ...], publishable: tuple[ApiKey, ...]) -> None:
        self._keys = [(key, Kind.SECRET) for key in secret]
        self._keys += [(key, Kind.PUBLISHABLE) for key in publishable]

    def identify(self, authorization: str | None, address: str | None) -> Caller:
        """The caller behind an `Authorization` header.

        Raises:
            UnauthenticatedError: keys are configured, and the header shows none of them.
        """
        if not self._keys:
            return Caller(Kind.LOCAL, "local", address)
        scheme, _, shown = (authorization or "").partition(" ")
        digest = hashlib.sha256(shown.strip().encode()).digest()
        found = None
        for key, kind in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = Caller(kind, key.name, address)
        if found is None or scheme.lower() != "bearer":
            raise UnauthenticatedError
        return found


def new_session_key() -> str:
    return secrets.token_urlsafe(SESSION_KEY_BYTES)


def hashed(session_key: str) -> str:
    """What a record keeps of a session key: the key is random, so a plain hash is enough."""
    return hashlib.sha256(session_key.encode()).hexdigest()
