"""The product beside its peers: `python -m bench` measures every row, `python -m bench 1 1b` some.

A name of bench/rows is as good as a number. Each row is written to bench/results/<number>.json;
`python -m bench page` writes docs/benchmarks.md and its plots from those files, as every run does
in the end; `python -m bench smoke` is the quick look at a change. `--rounds N`: how often each
contender's turn comes, five unless said.
"""

import argparse
import asyncio
import sys
import time
import traceback
from collections.abc import Sequence

from bench import page, smoke
from bench.compare import verdict
from bench.errors import BenchError, UnknownRowError
from bench.goals import BY_NUMBER
from bench.results import Row
from bench.rows import Piece, pieces

ROUNDS = 5


def chosen(names: Sequence[str]) -> list[Piece]:
    """The pieces that give the rows, or have the names, that are asked for; none asked for: all.

    Raises:
        UnknownRowError: nothing is called so.
    """
    every = pieces()
    known = {name: piece for piece in every for name in (piece.name, *piece.numbers)}
    for name in names:
        if name not in known:
            raise UnknownRowError(name, tuple(known))
    return [piece for piece in every if not names or {piece.name, *piece.numbers} & set(names)]


def tell(row: Row) -> None:
    """What came of a row, in lines for the terminal."""
    for contender in row.rounds:
        print(f"  {row.number:8} {contender:22} {row.overall(contender):.4g} {row.unit}")
    found = verdict(row, BY_NUMBER[row.number])
    for kind, findings in (("goal", found.goal), ("moonshot", found.moonshot)):
        for each in findings:
            seen = "" if each.estimate is None else f"{each.estimate.value:.3g}"
            bar = f"{each.bar.how} {each.bar.peer}".strip()
            print(f"  {row.number:8} {kind} {bar} {seen} against {each.bar.limit:g}: {each.words}")


def run(names: Sequence[str], rounds: int) -> int:
    """Measure, write and tell; 0 if everything could be measured."""
    failed = 0
    for piece in chosen(names):
        print(f"{piece.name}: {', '.join(piece.numbers)}", flush=True)
        began = time.monotonic()
        try:
            rows = asyncio.run(piece.rows(rounds))
        except Exception:  # noqa: BLE001 - the other rows are still worth measuring
            failed += 1
            traceback.print_exc()
            continue
        for row in rows:
            row.write(took_s=time.monotonic() - began)
            tell(row)
    page.write()
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; it takes at least 1")
    if options.rows == ["page"]:
        page.write()
        return 0
    if options.rows == ["smoke"]:
        return asyncio.run(smoke.smoke())
    try:
        return run(options.rows, options.rounds)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
