"""Mutation testing: python scripts/mutate.py [--sample N] [--minutes M] [MODULE ...] changes one thing at a time and
runs the tests that ought to notice; what they do not notice is printed.

A change is a comparison, an operator, a constant, a condition or a call left out; in SQL a comparison, AND, an
aggregate or a sign. Changes are made in a copy of the tree. Without a module: those that decide, and those that count.
"""

import argparse
import ast
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.store.embedded.server import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
TARGETS = {
    "engine/decision.py": ("tests/engine/test_decision.py",),
    "app/abtests/totalling.py": ("tests/app/abtests/test_totalling.py",),
    "app/store/totals.py": ("tests/app/store/test_totals.py", "tests/app/store/test_rebuilding.py"),
    "app/store/rebuilding.py": ("tests/app/store/test_rebuilding.py",),
    "app/store/unit_metrics.py": ("tests/app/store/test_unit_metrics.py", "tests/app/store/test_unit_rebuilding.py"),
    "app/store/unit_rebuilding.py": ("tests/app/store/test_unit_rebuilding.py",),
}
COPIED = ("app", "engine", "graph", "migrations", "tests", "bench", "scripts", "examples", "docs")
OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
}
IN_SQL = (
    (r"(?<![<>!=-])<(?![>=])", "<="),
    (r"<=", "<"),
    (r"(?<![-<>=])>(?![=])", ">="),
    (r">=", ">"),
    (r"<>", "="),
    (r"(?<![<>!:])=(?!>)", "<>"),
    (r"\bAND\b", "OR"),
    (r"\bNOT\b", ""),
    (r"\bDISTINCT\b", ""),
    (r"\bsum\(", "max("),
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bleast\(", "greatest("),
    (r"\bgreatest\(", "least("),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r"\bUNION ALL\b", "UNION"),
    (r"\bLEFT JOIN\b", "JOIN"),
)
SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|FROM|JOIN|SET|VALUES)\b")


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """One change: from where to where in the file, and what then stands there."""

    start: int
    end: int
    line: int
    changed: str


def mutants(source: str) -> list[Mutant]:
    """Return every change of a module."""
    tree, lines = ast.parse(source), source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    place = lambda line, column: starts[line - 1] + len(lines[line - 1].encode()[:column].decode())
    found = {mutant for node in _walked(tree) for mutant in _of(node, source, place)}
    return sorted(found)


def _walked(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's nodes; decorators, annotations and options of classes say nothing that tests notice."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("decorator_list", "annotation", "returns") and (type(node), name) != (ast.ClassDef, "keywords"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _walked(child)


def _of(node: ast.AST, source: str, place) -> Iterator[Mutant]:
    span = lambda part: (place(part.lineno, part.col_offset), place(part.end_lineno, part.end_col_offset))
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            yield from _between(source, span(left)[1], span(right)[0], operator, right.lineno)
    elif isinstance(node, ast.BinOp):
        yield from _between(source, span(node.left)[1], span(node.right)[0], node.op, node.lineno)
    elif isinstance(node, ast.BoolOp):
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            start, end = span(left)[1], span(right)[0]
            yield Mutant(start, end, right.lineno, source[start:end].replace(*words, 1))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        start, end = span(node)
        yield Mutant(start, end, node.lineno, source[slice(*span(node.operand))])
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        start, end = span(node.test)
        yield Mutant(start, end, node.test.lineno, f"(not ({source[start:end]}))")
    elif isinstance(node, ast.Constant):
        yield from _constant(node, source, span(node))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
        yield Mutant(*span(node), node.lineno, "pass")


def _between(source: str, start: int, end: int, operator: ast.AST, line: int) -> Iterator[Mutant]:
    if (words := OPERATORS.get(type(operator))) and words[0] in source[start:end]:
        yield Mutant(start, end, line, source[start:end].replace(*words, 1))


def _constant(node: ast.Constant, source: str, span: tuple[int, int]) -> Iterator[Mutant]:
    start, end = span
    if isinstance(node.value, bool):
        yield Mutant(start, end, node.lineno, str(not node.value))
    elif isinstance(node.value, int | float):
        yield Mutant(start, end, node.lineno, repr(node.value + 1))
    elif isinstance(node.value, str) and SQL.search(source[start:end]):
        for pattern, changed in IN_SQL:
            for found in re.finditer(pattern, source[start:end]):
                line = node.lineno + source[start : start + found.start()].count("\n")
                yield Mutant(start + found.start(), start + found.end(), line, changed)


class Trial:
    """A copy of the tree in which changes are tried."""

    def __init__(self, copy: Path, *, database: str) -> None:
        self._copy = copy
        for name in COPIED:
            if (ROOT / name).exists():
                ignored = shutil.ignore_patterns("node_modules", "__pycache__")
                shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy(file, copy)

        environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        environment["WINNOW_TEST_DATABASE"] = database
        command = [sys.executable, str(Path(__file__).resolve()), "--serve"]
        self._runner = subprocess.Popen(
            command, cwd=copy, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        """End the process that runs tests."""
        self._runner.communicate()

    def passes(self, tests: tuple[str, ...], timeout: float) -> bool:
        """Run tests; what takes too long does not pass."""
        self._runner.stdin.write(json.dumps([timeout, tests]) + "\n")
        self._runner.stdin.flush()
        return self._runner.stdout.readline() == "passed\n"

    def survives(self, module: str, mutant: Mutant, tests: tuple[str, ...], timeout: float) -> bool:
        """Return whether the tests pass in spite of a change."""
        file = self._copy / module
        source = file.read_text()
        try:
            file.write_text(source[: mutant.start] + mutant.changed + source[mutant.end :])
            return self.passes(tests, timeout)
        finally:
            file.write_text(source)


def tried(trial: Trial, module: str, tests: tuple[str, ...], options: argparse.Namespace) -> tuple[int, int]:
    """Try a module's changes, tell which survive, and return how many were tried and how many did."""
    source = (ROOT / module).read_text()
    chosen = mutants(source)
    if options.sample and options.sample < len(chosen):
        chosen = sorted(random.Random(1).sample(chosen, options.sample))  # noqa: S311  # the same choice every time
    if options.lines:
        chosen = [mutant for mutant in chosen if mutant.line in options.lines]
    started = time.monotonic()
    if not trial.passes(tests, 900):
        raise SystemExit(f"{module}: its tests fail before anything is changed")
    timeout = 30 + 4 * (time.monotonic() - started)
    survivors = count = 0
    print(f"{module}: {len(chosen)} of {len(mutants(source))} changes", flush=True)
    for mutant in chosen:
        if time.monotonic() > options.until:
            break
        count += 1
        if trial.survives(module, mutant, tests, timeout):
            survivors += 1
            before = source[mutant.start : mutant.end].strip()
            line = source.splitlines()[mutant.line - 1].strip()
            print(f"  survived, line {mutant.line}: {before!r} -> {mutant.changed.strip()!r} in: {line}", flush=True)
    if not trial.passes(tests, 900):
        raise SystemExit(f"{module}: its tests fail although nothing is changed any more")
    print(f"{module}: {count} tried, {count - survivors} noticed, {survivors} survived", flush=True)
    return count, survivors


# ------------------------------------------------------------------------------------------------ where tests run


def serve() -> None:
    """Run tests as asked, each time in a fork that finds all libraries imported and nothing of the project."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with Path(os.devnull).open("r+") as nothing:
        for number in (1, 2):
            os.dup2(nothing.fileno(), number)
    loaded = False
    for line in sys.stdin:
        timeout, tests = json.loads(line)
        if not loaded:
            loaded = preload(tests)
        answers.write("passed\n" if forked(lambda tests=tests: run(tests), timeout) == 0 else "failed\n")


def run(tests: list[str]) -> int:
    """Run tests in this process."""
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore:Module already imported", *tests]))


def preload(tests: list[str]) -> bool:
    """Import the libraries that tests import; which these are is found by running them."""
    notes = Path("libraries.json")

    def note() -> int:
        run(tests)
        names = [
            name for name, module in sys.modules.items() if "site-packages" in (getattr(module, "__file__", "") or "")
        ]
        return 0 if notes.write_text(json.dumps(names)) else 1

    forked(note, 900)
    for name in json.loads(notes.read_text()):
        with suppress(Exception):
            importlib.import_module(name)
    return True


def forked(work: Callable[[], int], timeout: float) -> int:
    """Return what work returns in a process of its own; 1 where it takes too long."""
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 1
        try:
            code = work()
        finally:
            os._exit(code)
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def main() -> None:
    """Try, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("--sample", type=int, help="of each module's changes, drawn with a fixed seed")
    parser.add_argument("--lines", type=int, nargs="+", help="only changes on these lines")
    parser.add_argument("--minutes", type=float, default=120.0, help="after which no further change is tried")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    options.until = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="winnow-mutate-") as folder:
        Path(folder).chmod(0o711)
        postgres = EmbeddedPostgres(Path(folder) / "database", durable=False)
        trial = Trial(Path(folder), database=postgres.start().url)
        try:
            totals = [tried(trial, module, TARGETS[module], options) for module in options.modules or TARGETS]
        finally:
            trial.close()
            postgres.stop()
    count, survivors = map(sum, zip(*totals, strict=True))
    print(f"in all: {count} tried, {count - survivors} noticed, {survivors} survived")


if __name__ == "__main__":
    main()
