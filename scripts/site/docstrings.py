"""Reference pages of a package, from its source: each public class and function with its signature and docstring."""

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
SECTION = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)
WIDE = 100


def page(title: str, modules: list[Path], *, root: Path) -> str:
    """Return the page of some modules."""
    return "\n".join([f"# {title}", *(line for module in modules for line in _module(module, root))]) + "\n"


def _module(path: Path, root: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    yield f"\n## {name} {{ #{name} }}\n\n{escaped(ast.get_docstring(tree) or '')}\n"
    for thing in tree.body:
        if isinstance(thing, Documented) and not thing.name.startswith("_"):
            yield from _thing(thing, name)
            if isinstance(thing, ast.ClassDef):
                for part in thing.body:
                    if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                        yield from _thing(part, f"{name}.{thing.name}", level=4)


def _thing(thing: Documented, owner: str, *, level: int = 3) -> Iterator[str]:
    yield f"\n{'#' * level} {thing.name} {{ #{owner}.{thing.name} }}\n"
    yield f"```python\n{signature(thing)}\n```\n"
    yield described(ast.get_docstring(thing) or "")


def signature(thing: Documented) -> str:
    """Return how a function is called, or what a class holds."""
    if isinstance(thing, ast.ClassDef):
        fields = [f"    {ast.unparse(part)}" for part in thing.body if isinstance(part, ast.AnnAssign)]
        return "\n".join([f"class {thing.name}:", *fields]) if fields else f"class {thing.name}"
    decorators = [f"@{ast.unparse(each)}\n" for each in thing.decorator_list]
    returns = f" -> {ast.unparse(thing.returns)}" if thing.returns else ""
    head = "".join(decorators) + f"def {thing.name}"
    arguments = ast.unparse(thing.args)
    if len(arguments) + len(returns) < WIDE:
        return f"{head}({arguments}){returns}"
    return f"{head}(\n    " + ",\n    ".join(_split(arguments)) + f",\n){returns}"


def _split(arguments: str) -> list[str]:
    """Split at commas outside brackets."""
    parts, depth = [""], 0
    for letter in arguments:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def described(text: str) -> str:
    """Return a numpydoc docstring as Markdown: what stands before its sections, then each section under its name."""
    before, *sections = SECTION.split(text)
    pairs = zip(sections[::2], sections[1::2], strict=True)
    return escaped(before) + "\n" + "".join(f"\n**{name}**\n\n{_section(body)}\n" for name, body in pairs)


def _section(body: str) -> str:
    """Return a section: its entries as a list, with what is indented below each."""
    lines = [line for line in body.splitlines() if line.strip()]
    if not any(" : " in line or line.startswith("    ") for line in lines):
        return escaped(" ".join(lines))
    return "\n".join(f"    {escaped(line.strip())}" if line.startswith("    ") else _entry(line) for line in lines)


def _entry(line: str) -> str:
    name, colon, rest = line.partition(" : ")
    return f"- `{name}`: {escaped(rest)}".rstrip() if colon or name.isidentifier() else f"- {escaped(line)}"


def escaped(text: str) -> str:
    """Return text in which Markdown finds nothing but code in backticks and paragraphs."""
    parts = re.split(r"(``.*?``|`[^`]+`)", text, flags=re.DOTALL)
    return "".join(part if at % 2 else _plain(part) for at, part in enumerate(parts))


def _plain(text: str) -> str:
    return re.sub(r"([\\*_$\[\]#])", r"\\\1", html.escape(text, quote=False))
