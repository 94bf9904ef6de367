#!/usr/bin/env python3
"""Draw which package imports which, into the picture of docs/architecture.md.

python3 scripts/draw_imports.py
"""

import argparse
import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by scripts/draw_imports.py -->\n", "<!-- end of the drawing -->\n"
SOURCES = {ROOT / "src": "", ROOT / "stages": "ambient.stages."}  # folder -> what the names of its modules begin with


def modules() -> dict[str, Path]:
    """Find our modules, by their dotted name."""
    found = {}
    for folder, begin in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):  # it follows no link
            name = begin + ".".join(path.relative_to(folder).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imported(path: Path) -> set[str]:
    """Give the dotted names that a file imports, those of `from a import b` as `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def edges() -> set[tuple[str, str]]:
    """Give each pair of packages of which the first imports the second; modules below a folder count as that folder."""
    ours = modules()
    packages = {name for name, path in ours.items() if path.name == "__init__.py"}

    def package_of(name: str) -> str | None:
        while name and name not in packages:
            name = name.rpartition(".")[0]
        return name or None

    found = set()
    for name, path in ours.items():
        here = package_of(name)
        for other in map(package_of, imported(path)):
            if here and other and here != other:
                found.add((here, other))
    return found


def drawing() -> str:
    """Draw the packages as a Mermaid flowchart, without arrows that a chain of others already says."""
    pairs = {(a, b) for a, b in edges() if a != "localpach"}  # of its own modules only the errors count
    direct = [(a, b) for a, b in sorted(pairs) if not any(_leads(pairs, c, b) for c in _after(pairs, a) - {b})]
    groups: dict[str, list[str]] = {}
    for name in sorted({each for pair in pairs for each in pair}):
        groups.setdefault(name.partition(".")[0], []).append(name)
    lines = ["```mermaid", "flowchart TD"]
    for group, names in groups.items():
        lines.append(f"  subgraph {group}_group [{group}]")
        lines += [f"    {_id(name)}[{_label(name, alone=len(names) == 1)}]" for name in names]
        lines.append("  end")
    lines += [f"  {_id(a)} --> {_id(b)}" for a, b in direct]
    return "\n".join([*lines, "```", ""])


def _label(name: str, *, alone: bool) -> str:
    return name if "." in name or alone else f"shared modules of {name}"


def _after(pairs: set[tuple[str, str]], name: str) -> set[str]:
    return {b for a, b in pairs if a == name}


def _leads(pairs: set[tuple[str, str]], start: str, end: str) -> bool:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        at = waiting.pop()
        if at == end:
            return True
        if at not in seen:
            seen.add(at)
            waiting += _after(pairs, at)
    return False


def _id(name: str) -> str:
    return name.replace(".", "_")


def with_drawing(text: str) -> str:
    """Put the drawing where the document has its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + drawing() + END + after


def main() -> None:
    """Write the drawing."""
    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    DOCUMENT.write_text(with_drawing(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
