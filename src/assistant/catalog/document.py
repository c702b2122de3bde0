"""A YAML file as plain values, with the line of each.

Only YAML's plain schema: mappings with text keys, lists, text, numbers, true/false, null. Anchors,
aliases and `<<` work, within bounds. A date stays text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from assistant.catalog.errors import CatalogError, Problem
from assistant.catalog.fields import forbidden_character

MAX_FILE_BYTES = 256 * 1024  # some hundred agents; parsing takes seconds beyond it
MAX_DEPTH = 32  # the deepest path of the schema has 6 keys; recursion must end somewhere
MAX_VALUES = 50_000  # aliases of aliases grow exponentially from a small file

KeyPath = tuple[str | int, ...]
"""Keys and indices from the top of a document."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null"))


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates, and with a bound on nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != _TAG + "timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds."""

    file: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]
    """The line of each key and each list item, starting at 1; `()` is the first of all."""
    problems: tuple[Problem, ...]
    """What is wrong although the rest can be read, such as a key given twice."""

    def line(self, path: KeyPath) -> int:
        """The line of the value at `path`, or of the nearest thing around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def path_text(path: KeyPath) -> str:
    """A path as people write it: `agents.assistant.stt.keyterms[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.replace("-", "_").replace("_", "a").isalnum() and part.isascii()
            text += ("." if text else "") + (part if plain else ascii(part[:64]))
    return text


def read_document(path: Path) -> Document:
    """Read one file.

    Raises:
        CatalogError: it cannot be read, is too large, empty, not YAML or not a mapping.
    """
    file = str(path)
    text = _read_text(path, file)
    loader = _new_loader(text, file)
    try:
        node = loader.get_single_node()
        if node is None:
            raise _refused(file, 1, "the file is empty")
        if not isinstance(node, yaml.MappingNode):
            raise _refused(file, node.start_mark.line + 1, "the file must be a mapping of keys")
        reading = _Reading(file, loader)
        data = reading.mapping(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = "not valid YAML: " + (error.problem or error.context or "unreadable")
        raise _refused(file, None if mark is None else mark.line + 1, message) from error
    finally:
        loader.dispose()
    lines = {(): node.start_mark.line + 1, **reading.lines}
    return Document(file, data, lines, tuple(reading.problems))


def _refused(file: str, line: int | None, message: str) -> CatalogError:
    return CatalogError((Problem(file, line, "", message),))


def _read_text(path: Path, file: str) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(file, None, f"cannot be read: {error.strerror or error}") from error
    if len(raw) > MAX_FILE_BYTES:
        line = raw[:MAX_FILE_BYTES].count(b"\n") + 1
        raise _refused(file, line, f"the file must be at most {MAX_FILE_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _refused(file, line, "the file must be UTF-8") from error


def _new_loader(text: str, file: str) -> _Loader:
    try:
        return _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        message = f"not valid YAML: character U+{ord(text[error.position]):04X} is not allowed"
        raise _refused(file, line, message) from error


@dataclass(slots=True)
class _Reading:
    """One pass over a node tree."""

    file: str
    loader: _Loader
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    values: int = 0

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, yaml.Node] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _TAG + "merge":
                for key, inner_key, inner in self._merged(value_node, path, 0):
                    if key not in merged:
                        merged[key] = inner
                        self.lines.setdefault((*path, key), inner_key.start_mark.line + 1)
                continue
            name = self._key(key_node, path)
            if name is None:
                continue
            if name in own:
                self._problem(
                    line, (*path, name), f"given twice, first on line {first_lines[name]}"
                )
                continue
            first_lines[name] = line
            self.lines[*path, name] = line
            own[name] = self._value(value_node, (*path, name))
        inherited = {
            key: self._value(inner, (*path, key)) for key, inner in merged.items() if key not in own
        }
        return {**inherited, **own}

    def _merged(
        self, node: yaml.Node, path: KeyPath, depth: int
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """The entries that `<<` brings in; the earlier ones win."""
        self._count(node, depth)
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from self._merged(item, path, depth + 1)
        elif isinstance(node, yaml.MappingNode):
            nested = []
            for key_node, value_node in node.value:
                if key_node.tag == _TAG + "merge":
                    nested.append(value_node)
                elif (name := self._key(key_node, path)) is not None:
                    yield name, key_node, value_node
            for inner in nested:
                yield from self._merged(inner, path, depth + 1)
        else:
            self._problem(node.start_mark.line + 1, path, "'<<' must name a mapping")

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            self._problem(line, path, "keys must be text")
            return None
        if node.tag != _TAG + "str":
            shown = ascii(node.value[:64])
            self._problem(line, path, f"keys must be text: put quotes around {shown}")
            return None
        character = forbidden_character(node.value)
        if character is not None:
            self._problem(line, path, f"keys must not contain {character}")
            return None
        return str(node.value)

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count(node, len(path))
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            items = []
            for index, item in enumerate(node.value):
                self.lines[*path, index] = item.start_mark.line + 1
                items.append(self._value(item, (*path, index)))
            return items
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
            self._problem(line, path, f"the tag {node.tag[:64]!a} is not allowed")
            return None
        character = forbidden_character(node.value)
        if character is not None:
            self._problem(line, path, f"must not contain {character}")
            return None
        try:
            return self.loader.construct_object(node)
        except (ValueError, LookupError, OverflowError):
            # PyYAML's ways to fail at `!!int hello`, `!!bool maybe`, `!!int ""`, and at numbers of
            # thousands of digits.
            self._problem(line, path, f"cannot be read as {node.tag.removeprefix(_TAG)}")
            return None

    def _count(self, node: yaml.Node, depth: int) -> None:
        self.values += 1
        if depth > MAX_DEPTH:
            mark = node.start_mark
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)
        if self.values > MAX_VALUES:
            message = f"more than {MAX_VALUES} values after aliases"
            raise yaml.composer.ComposerError(None, None, message, node.start_mark)

    def _problem(self, line: int, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(self.file, line, path_text(path), message))
