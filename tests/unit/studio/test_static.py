"""The page loads what its first view needs at once."""

import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[3] / "src" / "ambient" / "studio" / "static"
IMPORT = re.compile(r'^import .* from "([^"]+)";', re.MULTILINE)


def modules_below(path):
    """Return a module and all that it imports, at any depth, but not what it imports on demand."""
    found, waiting = set(), [path.resolve()]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [(module.parent / name).resolve() for name in IMPORT.findall(module.read_text("utf-8"))]
    return {str(module.relative_to(STATIC)) for module in found}


def test_modules_of_the_first_view_are_preloaded_and_no_others():
    page = (STATIC / "index.html").read_text("utf-8")
    preloaded = re.findall(r'<link rel="modulepreload" href="/static/([^"]+)">', page)
    needed = modules_below(STATIC / "main.js") | modules_below(STATIC / "views" / "flow.js")
    assert "dom.js" in needed
    assert sorted(preloaded) == sorted(needed - {"main.js"})
