"""Finds phone and payment card numbers in a text: digits in groups, or number words. Pure."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

PHONE, CARD = "[phone]", "[card]"
PHONE_DIGITS = range(7, 16)  # E.164 has 15; fewer than 7 are orders, prices, times.
CARD_DIGITS = range(13, 20)
# Of the major industry identifiers those that banks, shops and travel use.
_CARD_BEGINS = "23456"
_CARD_GROUP = 3  # Digits from which a group may be one of a card's, as in "4111, 1111, ...".

_DIGIT_WORDS = (
    "zero null cero zéro oh o|one eins uno un|two zwei zwo dos deux|three drei tres trois"
    "|four vier cuatro quatre|five fünf cinco cinq|six sechs seis|seven sieben siete sept"
    "|eight acht ocho huit|nine neun nueve neuf"
)
_UNITS = {
    word: str(digit)
    for digit, words in enumerate(_DIGIT_WORDS.split("|"))
    for word in words.split()
}
_TEEN_WORDS = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"  # from 10 on
)
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"  # from 20 on
_TEENS = {word: str(number) for number, word in enumerate(_TEEN_WORDS.split(), start=10)}
_TENS = {word: str(number) for number, word in enumerate(_TENS_WORDS.split(), start=2)}
_TIMES = {"double": 2, "triple": 3, "treble": 3}
# Said while somebody thinks.
_FILLERS = frozenset({"uh", "um", "er", "erm", "eh", "äh", "ähm", "plus"})

_ISO_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_AMOUNT = r"\d{1,3}(?:[,.' ]?\d{3}){0,3}(?:[.,]\d{1,2})?"
_UNIT = r"(?:[€$£¥%]|(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?|cents?|percent)\b)"
# What is no number of anybody's, however many digits it has.
_HARMLESS = "|".join(
    (
        # A date, and a moment as logs write it.
        rf"{_ISO_DATE}(?:[T ]{_CLOCK}(?:Z|[+-]\d\d:?\d\d)?)?(?![\d-])",
        rf"{_DAY}(?P<dot>[./-]){_DAY}(?P=dot)(?:\d{{4}}|\d\d)(?!\d|[./-]\d)",
        # A time.
        r"\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?!\d)",
        # An address in a network.
        rf"{_BYTE}(?:\.{_BYTE}){{3}}(?::\d{{1,5}})?(?!\d|\.\d)",
        # A price.
        rf"[€$£¥]\s?{_AMOUNT}(?![\d]|[ -]\d)",
        rf"{_AMOUNT}\s?{_UNIT}",
        r"\d{1,3}(?:,\d{3}){1,3}(?:\.\d+)?(?!\d|,\d)",
        # A fraction; 555.1234 is a phone number.
        r"(?!\d{3}\.\d{4}(?!\d))(?:0|[1-9]\d*)\.\d+(?!\w|\.\d|[ -]\d)",
    )
)
_TOKEN = re.compile(rf"(?<![\w.])(?P<harmless>{_HARMLESS})|\w+", re.IGNORECASE)
_WORDS = "|".join(sorted((*_UNITS, *_TEENS, *_TENS), key=len, reverse=True))
_MANY_DIGITS = re.compile(r"(?:\d\D{0,5}){7}")
_TWO_WORDS = re.compile(rf"\b(?:{_WORDS})\b\W+\b(?:{_WORDS})\b", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(r"\W+")
_SPELT = frozenset((*_UNITS, *_TEENS, *_TENS))
_TIGHT = re.compile(r"[\s\-\u2013./()]{0,4}")  # Between digits of one number.
_SOFT = re.compile(r"\s*[,;.]\s+|\s*,\s*")  # The same, unless it ends a sentence or a list's entry.
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A group of digits as it stands in the text.

    `spelt`: digit by digit; `tens`: a word such as "twenty"; `soft`: a comma, or the like, is
    before it.
    """

    digits: str
    start: int
    end: int
    spelt: bool = False
    tens: bool = False
    soft: bool = False


def redacted_numbers(text: str) -> str:
    """The text with `[card]` and `[phone]` in place of such numbers."""
    if not _is_likely(text):
        return text
    found: list[tuple[int, int, str]] = []
    for run in _runs(text):
        found += _numbers(run)
    for start, end, name in reversed(found):
        begin = start - 1 if text[start - 1 : start] in {"+", "("} else start
        if text[begin - 1 : begin] == "+":
            begin -= 1
        shown = PHONE if text[begin] == "+" else name
        text = text[:begin] + shown + text[end:]
    return text


def _is_likely(text: str) -> bool:
    """Whether to read it word by word, which takes a hundred times as long as this does."""
    if text.isalnum() and not text.isdecimal():
        return False  # A single word, which is no number.
    if _MANY_DIGITS.search(text):
        return True
    # Sets are faster than the pattern, which alone knows all cases of letters beyond ASCII.
    if text.isascii() and _SPELT.isdisjoint(_BETWEEN_WORDS.split(text.lower())):
        return False
    return _TWO_WORDS.search(text) is not None


def is_card(digits: str) -> bool:
    """Whether these digits may be a payment card's: by length, beginning and check digit (Luhn)."""
    if len(digits) not in CARD_DIGITS or digits[0] not in _CARD_BEGINS:
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _runs(text: str) -> Iterator[list[_Piece]]:
    """Groups of digits that follow each other with nothing in between but what joins them."""
    run: list[_Piece] = []
    joined_from, times, times_from, comma = 0, 1, 0, False
    for token in _TOKEN.finditer(text):
        gap = text[joined_from : token.start()]
        soft = _SOFT.fullmatch(gap) is not None
        if run and not soft and not _TIGHT.fullmatch(gap):
            yield run
            run, times = [], 1
        word = token[0].lower()
        if token["harmless"] is None and (word in _FILLERS or word in _TIMES):
            if word in _TIMES:
                times, times_from = _TIMES[word], token.start()
            joined_from, comma = token.end(), comma or soft
            continue
        piece = None if token["harmless"] else _piece(text, token)
        if piece is not None and times > 1:
            piece = replace(piece, digits=piece.digits * times, start=times_from)
        soft, joined_from, times, comma = soft or comma, token.end(), 1, False
        if piece is not None:
            _add(run, replace(piece, soft=soft and bool(run)))
        elif word == "hundred" and run and run[-1].spelt:
            run[-1] = replace(run[-1], digits=run[-1].digits + "00", end=token.end(), spelt=False)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _piece(text: str, token: re.Match[str]) -> _Piece | None:
    """The digits that a token stands for; None: it is no number."""
    start, end, word = token.start(), token.end(), token[0].lower()
    if word.isdecimal():
        if _is_in_identifier(text, start, end):
            return None
        digits = "".join(str(unicodedata.decimal(character)) for character in word)
        return _Piece(digits, start, end, spelt=len(digits) == 1)
    if word in _TENS:
        return _Piece(_TENS[word] + "0", start, end, tens=True)
    if word in _UNITS:
        return _Piece(_UNITS[word], start, end, spelt=True)
    return _Piece(_TEENS[word], start, end) if word in _TEENS else None


def _is_in_identifier(text: str, start: int, end: int) -> bool:
    """Whether the digits are a part of something like a UUID: 123e4567-e89b-12d3-426614174000."""
    before = re.search(r"(\w+)-$", text[max(start - 40, 0) : start])
    after = re.match(r"-(\w+)", text[end : end + 40])
    return any(
        near is not None and any(map(str.isdecimal, near[1])) and not near[1].isdecimal()
        for near in (before, after)
    )


def _add(run: list[_Piece], piece: _Piece) -> None:
    """Behind the others; "twenty" and "three" are 23."""
    last = run[-1] if run else None
    if last is not None and last.tens and len(piece.digits) == 1 and piece.digits != "0":
        run[-1] = _Piece(last.digits[0] + piece.digits, last.start, piece.end, soft=last.soft)
    else:
        run.append(piece)


def _numbers(run: Sequence[_Piece]) -> Iterator[tuple[int, int, str]]:
    """What of a run is to go: from where, to where, and what it is; in order."""
    rest: list[_Piece] = []
    at = 0
    while at < len(run):
        length = _card_at(run, at)
        if length:
            yield from _phones(rest)
            rest = []
            yield run[at].start, run[at + length - 1].end, CARD
            at += length
        else:
            rest.append(run[at])
            at += 1
    yield from _phones(rest)


def _card_at(run: Sequence[_Piece], first: int) -> int:
    """How many pieces from there on are a card's number, as many as possible; 0: none."""
    found, digits = 0, ""
    if run[first].digits[0] not in _CARD_BEGINS:
        return 0
    for length, piece in enumerate(run[first:], start=1):
        before = run[first + length - 2] if length > 1 else piece
        spelt = before.spelt and piece.spelt
        shortest = min(len(before.digits), len(piece.digits))
        if piece.soft and length > 1 and not spelt and shortest < _CARD_GROUP:
            break
        digits += piece.digits
        if len(digits) >= CARD_DIGITS.stop:
            break
        if is_card(digits):
            found = length
    return found


def _phones(pieces: Sequence[_Piece]) -> Iterator[tuple[int, int, str]]:
    part: list[_Piece] = list(pieces[:1])
    for before, piece in pairwise(pieces):
        if piece.soft and not (before.spelt and piece.spelt):
            yield from _phone(part)
            part = []
        part.append(piece)
    yield from _phone(part)


def _phone(part: Sequence[_Piece]) -> Iterator[tuple[int, int, str]]:
    size = sum(len(piece.digits) for piece in part)
    if size < PHONE_DIGITS.start or all(_YEAR.fullmatch(piece.digits) for piece in part):
        return
    # So many digits without a space are an identifier; in groups they are two numbers in a row.
    if size < PHONE_DIGITS.stop or len(part) > 1:
        yield part[0].start, part[-1].end, PHONE
