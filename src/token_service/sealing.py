"""Answers at rest: Redis keeps them, and cannot read them.

An answer may hold a token or a session key. It is sealed with AES-256-GCM under a key that is
derived from the service's secret, and bound to a context that Redis never sees in the clear.
"""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_TAG_BYTES = 16


class Seal:
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def seal(self, context: bytes, plain: bytes) -> str:
        """`plain`, to be opened only with the same secret and context."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        hidden = self._cipher(context).encrypt(nonce, plain, context)
        return base64.b64encode(nonce + hidden).decode()

    def open(self, context: bytes, sealed: str) -> bytes | None:
        """What was sealed; None: with another secret or context, or it was changed."""
        try:
            data = base64.b64decode(sealed, validate=True)
        except binascii.Error:
            return None
        if len(data) < _NONCE_BYTES + _TAG_BYTES:
            return None
        try:
            return self._cipher(context).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context)
        except InvalidTag:
            return None

    def _cipher(self, context: bytes) -> AESGCM:
        # A key for each context: random nonces repeat only after billions of uses of one key.
        derived = HKDF(SHA256(), 32, salt=context, info=b"assistant idempotency").derive(
            self._secret
        )
        return AESGCM(derived)
