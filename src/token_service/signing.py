"""Signatures of webhooks, by Standard Webhooks. Pure.

Source: the Standard Webhooks specification, "Signature scheme": HMAC-SHA256 over
`id.timestamp.body`, secrets of 24 to 64 random bytes as `whsec_` and base64.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets start with
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64


def parse_secret(text: str) -> bytes:
    """The key behind a `whsec_...`.

    Raises:
        ValueError: it is none; the message never repeats it.
    """
    encoded = text.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be whsec_ and base64") from None
    if encoded == text or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(
            f"must be whsec_ and base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
        )
    return key


def signed_headers(
    keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers that prove who sent `body`; `timestamp` in whole Unix seconds.

    One signature for each key: receivers take any that fits, so keys can be changed with overlap.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signatures = (
        base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
