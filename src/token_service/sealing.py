"""Answers at rest: Redis keeps them, and cannot read them.

An answer may hold a token or a session key. It is encrypted with HMAC-SHA256 in counter mode and
authenticated with HMAC-SHA256 over nonce and ciphertext (encrypt, then MAC), under keys that are
derived from the service's secret and from a context that Redis never sees in the clear.
"""

import base64
import hashlib
import hmac
import secrets

_NONCE = 16
_MAC = 32


class Seal:
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def seal(self, context: bytes, plain: bytes) -> str:
        """`plain`, to be opened only with the same secret and context. A nonce is used once."""
        nonce = secrets.token_bytes(_NONCE)
        key, mac_key = self._keys(context)
        hidden = _xor(plain, _stream(key, nonce, len(plain)))
        return base64.b64encode(nonce + hidden + _mac(mac_key, nonce + hidden)).decode()

    def open(self, context: bytes, sealed: str) -> bytes | None:
        """What was sealed; None: with another secret or context, or it was changed."""
        data = base64.b64decode(sealed)
        body, mac = data[:-_MAC], data[-_MAC:]
        key, mac_key = self._keys(context)
        if len(body) < _NONCE or not hmac.compare_digest(mac, _mac(mac_key, body)):
            return None
        nonce, hidden = body[:_NONCE], body[_NONCE:]
        return _xor(hidden, _stream(key, nonce, len(hidden)))

    def _keys(self, context: bytes) -> tuple[bytes, bytes]:
        root = _mac(self._secret, b"assistant idempotency " + hashlib.sha256(context).digest())
        return _mac(root, b"encrypt"), _mac(root, b"authenticate")


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _stream(key: bytes, nonce: bytes, length: int) -> bytes:
    blocks = range(-(-length // 32))
    return b"".join(_mac(key, nonce + block.to_bytes(8, "big")) for block in blocks)[:length]


def _xor(data: bytes, stream: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))
