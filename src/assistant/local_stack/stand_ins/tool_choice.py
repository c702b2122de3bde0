"""Which offered tool the words ask for, with arguments made from them."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from assistant.local_stack.stand_ins.arithmetic import with_digits
from assistant.local_stack.stand_ins.chat_request import Tool, ToolCall

#: Words of a tool's name that nobody says when asking for it.
SILENT_NAME_WORDS = frozenset(
    [
        "get",
        "set",
        "look",
        "lookup",
        "up",
        "find",
        "fetch",
        "do",
        "the",
        "a",
        "an",
        "of",
        "current",
        "my",
        "run",
        "make",
        "call",
        "tool",
        "query",
        "check",
        "search",
        "show",
        "list",
        "tell",
        "give",
        "for",
        "to",
        "by",
        "with",
    ]
)
#: What asks to hang up, and the names that do it.
ENDING_WORDS = frozenset(["goodbye", "bye", "hang"])
ENDING_NAMES = frozenset(["end", "hang", "close", "hangup", "goodbye"])
#: What an argument follows: "the weather in London", "an order for two pizzas".
LEADS = r"\b(?:in|for|at|about|on|to|called|named|number|of|with)\s+(?:the\s+|a\s+|an\s+)?"
#: Leading words that are not part of what is asked for.
FILLER = re.compile(
    r"^(?:please|can you|could you|would you|will you|what is|what's|tell me|show me|give me"
    r"|the|a|an|my|i want|i need)\s+"
)


def stem(word: str) -> str:
    return word.removesuffix("s") if len(word) > 3 else word


def _name_words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def choose(tools: Sequence[Tool], said: str) -> Tool | None:
    """The offered tool whose name the lower-case words `said` speak of; None when none is."""
    heard = {stem(word) for word in re.findall(r"[a-z0-9]+", said)}
    best: tuple[int, Tool] | None = None
    for tool in tools:
        name = _name_words(tool.function.name)
        if ENDING_WORDS & heard and ENDING_NAMES & set(name):
            return tool
        wanted = [word for word in name if word not in SILENT_NAME_WORDS] or name
        if all(stem(word) in heard for word in wanted) and (best is None or len(wanted) > best[0]):
            best = (len(wanted), tool)
    return best[1] if best else _by_choice(tools, heard)


def _by_choice(tools: Sequence[Tool], heard: set[str]) -> Tool | None:
    """The tool of one argument whose choices the words name: "the technician, please"."""
    for tool in tools:
        properties: dict[str, Any] = tool.function.parameters.get("properties") or {}
        if len(properties) == 1:
            (described,) = properties.values()
            choices = (str(choice).lower() for choice in described.get("enum") or ())
            if any(stem(choice) in heard for choice in choices):
                return tool
    return None


def call_for(tool: Tool, said: str, known: Mapping[str, Any] | None = None) -> ToolCall:
    """A call of `tool` with every required argument, and the others that the words name.

    `known` is what earlier tools gave back; it fills in texts that the words do not name.
    """
    schema = tool.function.parameters
    properties: dict[str, Any] = schema.get("properties") or {}
    required = schema.get("required") or []
    arguments = {}
    for name, described in properties.items():
        value = _argument(name, described, said, tool, known or {})
        if name in required or value not in (None, ""):
            arguments[name] = value if value is not None else _empty(described)
    return ToolCall(tool.function.name, json.dumps(arguments, ensure_ascii=False))


def _kind(described: dict[str, Any]) -> str:
    """The JSON type; of several, the first that isn't null."""
    options = described.get("anyOf") or described.get("oneOf") or [described]
    kinds: list[Any] = []
    for option in options:
        kind = option.get("type", "string")
        kinds.extend(kind if isinstance(kind, list) else [kind])
    return next((str(kind) for kind in kinds if kind != "null"), "string")


def _argument(
    name: str, described: dict[str, Any], said: str, tool: Tool, known: Mapping[str, Any]
) -> Any:
    kind = _kind(described)
    choices = described.get("enum")
    if choices:
        return next((c for c in choices if str(c).lower() in said), None)
    if kind in ("integer", "number"):
        numbers = re.findall(r"-?\d+(?:\.\d+)?", with_digits(said))
        if not numbers:
            return None
        return int(float(numbers[0])) if kind == "integer" else float(numbers[0])
    if kind == "boolean":
        return not re.search(r"\b(?:not|don't|off|no)\b", said)
    if kind != "string":
        return None
    named = re.search(rf"\b{re.escape(name.replace('_', ' '))}\s+(?:is\s+)?(.+)", said)
    if named is None and isinstance(known.get(name), str) and "pattern" not in described:
        return known[name]
    led = re.search(LEADS + r"(.+)", _after_name(tool, said))
    found = (named or led or [said, _without_name(tool, said)])[1]
    found = re.sub(r"\s+(?:please|now|today)$", "", found.strip())
    return _fitting(described.get("pattern"), found, said)


def _fitting(pattern: Any, found: str, said: str) -> str:
    """What was found, or else the first of the words that has the wanted form; digits in a row
    are one word.
    """
    if not isinstance(pattern, str):
        return found
    digits = re.sub(r"(?<=\b\d) (?=\d\b)", "", with_digits(said))
    return next((word for word in (found, *digits.split()) if re.search(pattern, word)), found)


def _after_name(tool: Tool, said: str) -> str:
    """What follows the last word that named the tool; all of it where none did."""
    names = {stem(word) for word in _name_words(tool.function.name)} - SILENT_NAME_WORDS
    words = said.split()
    last = max((i for i, word in enumerate(words) if stem(word) in names), default=-1)
    return " ".join(words[last + 1 :])


def _without_name(tool: Tool, said: str) -> str:
    rest = said
    while (shorter := FILLER.sub("", rest)) != rest:
        rest = shorter
    names = {stem(word) for word in _name_words(tool.function.name)}
    return " ".join(word for word in rest.split() if stem(word) not in names) or rest


def _empty(described: dict[str, Any]) -> Any:
    if described.get("enum"):
        return described["enum"][0]
    return {"integer": 0, "number": 0, "boolean": True, "array": [], "object": {}}.get(
        _kind(described), ""
    )


def spoken_result(content: str) -> str:
    """A tool's answer as something to say."""
    try:
        value = json.loads(content)
    except ValueError:
        value = content
    return _say(value) or "That is done."


def _say(value: Any) -> str:
    if isinstance(value, dict) and value.get("type") == "text":
        return _say(value.get("text"))  # As MCP servers give words back.
    if isinstance(value, dict):
        return ", ".join(
            f"{str(key).replace('_', ' ')} is {_say(item)}" for key, item in value.items()
        )
    if isinstance(value, list):
        return ", ".join(_say(item) for item in value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
