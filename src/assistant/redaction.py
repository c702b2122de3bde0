"""Takes e-mail addresses, phone numbers and payment card numbers out of texts. Pure.

Written and spoken: a transcript has "4111 1111 1111 1111" or "four one one one ...", and
"jane.doe@example.com" or "jane dot doe at example dot com". What it cannot do:

- Number words are English, and the ten digits also German, Spanish and French ones.
- A number that is said in two messages, or with words in between, is two short numbers.
- A card number of which a digit was misheard fails its check, and counts as a phone number if it
  has up to 15 digits or was said in groups, as nothing otherwise.
- From 7 digits on a number is taken for a phone number, though it may be an order's.
- Of a spoken address only what touches its "at" is found: of "jane doe at example dot com" the
  "jane" stays.
- Names, postal addresses and dates of birth are left alone.
"""

import re
from collections.abc import Callable
from typing import Any

from assistant.spoken_numbers import redacted_numbers

EMAIL = "[email]"

_WRITTEN = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}\s?@\s?(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}", re.IGNORECASE
)
_DOT = r"(?:\.|\s+(?:dot|punkt|point|punto)\s+)"
_JOINT = r"\s+(?:dot|punkt|point|punto|underscore|unterstrich|dash|hyphen|minus|plus)\s+"
_PART = r"[\w.+%-]{1,64}"
_ENDING = r"[^\W\d_]{2,24}\b"
_SPOKEN = re.compile(
    # Letters one by one, or a word, or words that are joined.
    rf"(?<![\w.+%-])(?P<name>(?:\w\s+){{0,20}}{_PART}(?:{_JOINT}{_PART}){{0,6}})"
    r"(?:\s+(?:at|ät|arroba|klammeraffe)\s+|\s*@\s*)"
    rf"(?:[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,4}}{_DOT}{_ENDING}"
    rf"|(?:[\w-]{{1,63}}\s+){{1,2}}[\w-]{{1,63}}\s+(?:dot|punkt|point|punto)\s+{_ENDING})",
    re.IGNORECASE,
)
_SPOKEN_LIKELY = re.compile(r"\s(?:at|ät|arroba|klammeraffe|@)\s", re.IGNORECASE)
# Before "at example.com" these begin no address: "look at example.com".
_NO_NAMES = (
    "me us him her it them you i we they one all order orders buy bought look looks looking see "
    "seen saw work works working worked find found visit visiting shop meet met read is are was "
    "were be been and or up out down in on live lives page site website here there what that this "
    "failed failing fails error refused listening connected connecting connect timeout"
)
_NOT_BEFORE_AT = frozenset(_NO_NAMES.split())


def redacted(text: str) -> str:
    """The text with `[email]`, `[phone]` and `[card]` in place of what it gave away."""
    if "@" in text:
        text = _WRITTEN.sub(EMAIL, text)
    if _SPOKEN_LIKELY.search(text):
        text = _SPOKEN.sub(_unless_no_name, text)
    return redacted_numbers(text)


def redacted_value(value: Any, *, redact: Callable[[str], str] = redacted) -> Any:
    """The same of every text in a JSON value, and of numbers that are as telling as texts."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {
            redact(key) if isinstance(key, str) else key: redacted_value(inner, redact=redact)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(redacted_value(inner, redact=redact) for inner in value)
    if isinstance(value, int) and not isinstance(value, bool):
        written = str(value)
        cleaned = redact(written)
        return value if cleaned == written else cleaned
    return value


def _unless_no_name(match: re.Match[str]) -> str:
    return match[0] if match["name"].lower() in _NOT_BEFORE_AT else EMAIL
