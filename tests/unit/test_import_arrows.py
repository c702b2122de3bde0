"""Who may import whom; the arrows of docs/architecture.md."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
OURS = ("assistant", "token_service")
LIGHT = (
    "assistant.settings",
    "assistant.log",
    "assistant.errors",
    "assistant.addresses",
    "assistant.hangup",
    "assistant.redaction",
    "assistant.findings",
    "assistant.refilling",
)

# For the modules under the first name: what of ours they may import, beside themselves.
ARROWS = {
    "token_service": ("assistant.sessions", "assistant.catalog", *LIGHT),
    "assistant.worker": ("assistant.sessions", "assistant.catalog", *LIGHT),
    "assistant.sessions": LIGHT,
    "assistant.catalog": LIGHT,
    "assistant.local_stack": LIGHT,
    "assistant.console": (
        "assistant.worker",
        "assistant.sessions",
        "assistant.catalog",
        "assistant.local_stack",
        "assistant.rehearsal",
        *LIGHT,
    ),
    "assistant.operator": ("assistant.sessions", "assistant.catalog", *LIGHT),
    "assistant.rehearsal": LIGHT,
    "assistant.settings": LIGHT,
    "assistant.log": ("assistant.redaction",),
    "assistant.redaction": ("assistant.spoken_numbers",),
    "assistant.spoken_numbers": (),
    "assistant.errors": (),
    "assistant.addresses": (),
    "assistant.hangup": (),
    "assistant.findings": (),
    "assistant.refilling": (),
}
IO = ("asyncio", "aiohttp", "livekit", "redis", "starlette", "uvicorn", "httpx", "socket")
PURE = (
    "assistant.redaction",
    "assistant.spoken_numbers",
    "assistant.refilling",
    "assistant.catalog",
    "assistant.sessions.record",
    "assistant.sessions.events",
    "assistant.sessions.actions",
    "assistant.sessions.command",
    "assistant.sessions.direction",
    "assistant.sessions.lifecycle",
    "assistant.sessions.planning",
    "assistant.sessions.diagram",
    "assistant.sessions.metadata",
    "assistant.sessions.errors",
    "assistant.sessions.minutes",
    "assistant.sessions.tally",
    "assistant.sessions.words",
    "assistant.sessions.store.codec",
    "assistant.sessions.store.keys",
    "assistant.sessions.store.server",
    "assistant.rehearsal.load.plan",
    "assistant.rehearsal.load.figures",
    "assistant.rehearsal.load.verdict",
    "assistant.rehearsal.load.capacity",
    "assistant.rehearsal.load.refill",
    "assistant.rehearsal.load.advice",
    "assistant.rehearsal.load.chart",
    "assistant.rehearsal.load.report",
)
# The command line imports what a command needs when it runs it.
LAZY = "assistant.__main__"


@dataclass(frozen=True)
class Import:
    """One name that a module imports; `inner`: inside a function."""

    module: str
    name: str
    line: int
    inner: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.name}"


def _module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _names(node: ast.Import | ast.ImportFrom, module: str, *, package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parents = module.split(".")[: None if package and node.level == 1 else -node.level]
        base = ".".join([*parents, base] if base else parents)
    return [f"{base}.{alias.name}" for alias in node.names]


def _imports_of(path: Path) -> Iterator[Import]:
    module, package = _module_name(path), path.name == "__init__.py"
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

    def walk(node: ast.AST, *, inner: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                for name in _names(child, module, package=package):
                    yield Import(module, name, child.lineno, inner)
            yield from walk(child, inner=inner or isinstance(child, functions))

    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from walk(tree, inner=False)


IMPORTS = [found for path in sorted(SRC.rglob("*.py")) for found in _imports_of(path)]


def _under(name: str, *parents: str) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def _from(*parents: str) -> list[Import]:
    return [found for found in IMPORTS if _under(found.module, *parents)]


def _wrong(imports: list[Import], *forbidden: str) -> list[str]:
    return [str(found) for found in imports if _under(found.name, *forbidden)]


def test_the_sources_are_seen() -> None:
    """The other tests look at something."""
    assert len({found.module for found in IMPORTS}) > 30


@pytest.mark.parametrize("part", ARROWS)
def test_parts_import_only_along_the_arrows(part: str) -> None:
    """A part imports itself and what its arrow allows, and nothing else of ours."""
    wrong = [
        str(found)
        for found in _from(part)
        if _under(found.name, *OURS) and not _under(found.name, part, *ARROWS[part])
    ]
    assert wrong == []


def test_pure_modules_do_no_io() -> None:
    """The rules can be tested, and imported, without a server, a loop or a network."""
    assert _wrong(_from(*PURE), *IO) == []


def test_the_service_does_without_the_agents_sdk() -> None:
    """The service never pays the SDK's 130 MB and 3 s."""
    assert _wrong(_from("token_service", "assistant.sessions"), "livekit.agents") == []


def test_sessions_know_neither_livekit_nor_http() -> None:
    """The record is shared by both sides, and belongs to neither."""
    assert _wrong(_from("assistant.sessions"), "livekit", "starlette", "uvicorn") == []


def test_nobody_imports_a_main() -> None:
    """Job processes cannot unpickle what lives in a `__main__`."""
    wrong = [str(found) for found in IMPORTS if "__main__" in found.name.split(".")]
    assert wrong == []


def test_imports_are_at_the_top() -> None:
    """An import inside a function hides a cycle; only the command line is lazy, on purpose."""
    wrong = [str(found) for found in IMPORTS if found.inner and found.module != LAZY]
    assert wrong == []


def test_the_package_root_is_empty() -> None:
    """Light parts import cheaply, because importing `assistant` imports nothing."""
    assert (SRC / "assistant" / "__init__.py").read_text(encoding="utf-8").strip() == ""
