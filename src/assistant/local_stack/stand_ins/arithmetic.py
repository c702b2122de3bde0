"""Small sums in spoken English, tolerant of what recognition makes of them."""

import re

UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
TENS = {
    word: value * 10
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
#: Only taken for numbers beside an operator: recognition confuses them.
HOMOPHONES = {
    "to": "2",
    "too": "2",
    "for": "4",
    "won": "1",
    "ate": "8",
    "tree": "3",
    "age": "8",
    "fore": "4",
    "oh": "0",
}
OPERATORS = {
    "plus": "+",
    "and": "+",
    "add": "+",
    "added to": "+",
    "+": "+",
    "minus": "-",
    "less": "-",
    "take away": "-",
    "-": "-",
    "times": "*",
    "multiplied by": "*",
    "x": "*",
    "*": "*",
    "divided by": "/",
    "over": "/",
    "/": "/",
}
#: "and" joins too much else to make a sum by itself.
WEAK_OPERATORS = frozenset({"and", "add", "less", "over", "x"})
#: Longer sums are no small talk.
MAX_TERMS = 10

_OPERATOR = re.compile(
    r"(?<![a-z])("
    + "|".join(re.escape(name) for name in sorted(OPERATORS, key=len, reverse=True))
    + r")(?![a-z])"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def with_digits(text: str) -> str:
    """Number words below a million as digits: "twenty five" is "25", "two hundred" "200"."""
    result: list[str] = []
    value: int | None = None
    last = 1_000_000
    for word in text.replace("-", " - ").split():
        number = UNITS.get(word, TENS.get(word))
        if number is not None and (value is None or (number < 10 <= last < 100 and last % 10 == 0)):
            value, last = (value or 0) + number, number
        elif number is not None and value is not None and value % 100 == 0 and value:
            value, last = value + number, number
        elif word in ("hundred", "thousand") and value is not None:
            value, last = value * (100 if word == "hundred" else 1_000), 1_000_000
        else:
            if value is not None:
                result.append(str(value))
                value = None
            if number is not None:
                value, last = number, number
            else:
                result.append(word)
    if value is not None:
        result.append(str(value))
    return " ".join(result)


def solve(text: str) -> str | None:
    """The spoken answer to a sum in lower-case `text`, or None where there is none."""
    parts = _OPERATOR.split(with_digits(text))
    if len(parts) < 3:
        return None
    best: list[str] = []
    run: list[str] = []
    for index in range(0, len(parts), 2):
        number = _operand(parts[index], first=index == 0, last=index == len(parts) - 1)
        if number is None:
            run = []
            continue
        run = [*run, parts[index - 1], number] if run else [number]
        best = run if len(run) > len(best) else best
    if not 3 <= len(best) <= 2 * MAX_TERMS or set(best[1::2]) <= WEAK_OPERATORS:
        return None
    return _spoken(best)


def _operand(text: str, *, first: bool, last: bool) -> str | None:
    words = text.split()
    if not words:
        return None
    # The number stands right beside its operators; other words may only lead in or follow.
    word = words[-1] if first else words[0]
    if not (first or last) and len(words) > 1:
        return None
    word = HOMOPHONES.get(word, word)
    return word if _NUMBER.fullmatch(word) else None


def _spoken(terms: list[str]) -> str:
    numbers = [float(term) for term in terms[::2]]
    operators = [OPERATORS[term] for term in terms[1::2]]
    sums = [numbers[0]]
    for operator, number in zip(operators, numbers[1:], strict=True):
        if operator == "/" and number == 0:
            return "Nothing can be divided by zero."
        if operator in "*/":
            sums[-1] = sums[-1] * number if operator == "*" else sums[-1] / number
        else:
            sums.append(number if operator == "+" else -number)
    names = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
    question = terms[0] + "".join(
        f" {names[operator]} {term}" for operator, term in zip(operators, terms[2::2], strict=True)
    )
    return f"{question} is {_number(sum(sums))}."


def _number(value: float) -> str:
    return str(round(value)) if value == round(value) else f"{value:.2f}".rstrip("0")
