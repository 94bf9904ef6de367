#!/usr/bin/env python3
"""Hold the version in one place, and make a release of it.

python3 scripts/release.py set 0.2.0    write a version wherever one stands, and name the changelog's newest section so
python3 scripts/release.py check        tell where it differs from pyproject.toml, which is the one place
python3 scripts/release.py build        check, refuse what is not committed, build the wheel into dist/, set the tag
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = r"\d+\.\d+\.\d+"
SOURCE = "pyproject.toml"
CHANGELOG = "CHANGELOG.md"
NEW_SECTION = "## Unreleased"
# Files that name the version, and what stands before it.
PLACES = {
    SOURCE: r'^version = "',
    "CITATION.cff": r"^version: ",
    "README.md": r"ambient-music-generation/[a-z-]+:|ambient_music_generation-",
    "docs/pachyderm.md": r"\b(?:audio|generate|music-transformer|onsets-and-frames):|`image_tag` \| `",
    "dockerfiles/*.Dockerfile": r'org\.opencontainers\.image\.version="',
    "pipelines/*.json": r'"image": "ambient-music-generation/[a-z-]+:',
    "pipelines/ambient-music.jsonnet": r"image_tag='",
}


class ReleaseError(Exception):
    """No release can be made of what is here; the text says why."""


def main(argv: list[str] | None = None, *, root: Path = ROOT) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    steps.add_parser("set", help="write a version wherever one stands").add_argument("version", type=_version)
    steps.add_parser("check", help="tell where the version differs from pyproject.toml")
    steps.add_parser("build", help="check, build the wheel into dist/, and set the tag")
    arguments = parser.parse_args(argv)
    try:
        if arguments.step == "set":
            set_version(root, arguments.version)
        else:
            check(root)
        if arguments.step == "build":
            print(f"{build(root)}; publish it with the tag: git push origin v{version_of(root)}")
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def version_of(root: Path) -> str:
    """Return the version in pyproject.toml."""
    return next(found for name, _, found in places(root) if name == SOURCE)


def places(root: Path) -> Iterator[tuple[str, int, str]]:
    """Yield each place that names the version: file, line, and what it says.

    Raises:
        ReleaseError: a file of PLACES names none.
    """
    for name, before in PLACES.items():
        for path in sorted(root.glob(name)) or [root / name]:
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            found = list(re.finditer(_pattern(before), text, re.MULTILINE))
            if not found:
                raise ReleaseError(f"{path.relative_to(root)}: no version; expected one. Correct the file, or PLACES")
            for each in found:
                yield path.relative_to(root).as_posix(), text.count("\n", 0, each.start()) + 1, each[2]


def check(root: Path) -> None:
    """Make sure that every place names the version of pyproject.toml.

    Raises:
        ReleaseError: some do not.
    """
    version = version_of(root)
    wrong = [f"{name}:{line} says {found}" for name, line, found in places(root) if found != version]
    if wrong:
        raise ReleaseError(f"{'; '.join(wrong)}; expected {version}. Run scripts/release.py set {version}")


def set_version(root: Path, version: str) -> None:
    """Write a version in every place; in the changelog it becomes the name of what was not released."""
    for name, before in PLACES.items():
        for path in root.glob(name):
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(_pattern(before), rf"\g<1>{version}", text, flags=re.MULTILINE), encoding="utf-8")
    changelog = root / CHANGELOG
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace(f"{NEW_SECTION}\n", f"## {version}\n", 1), encoding="utf-8")


def build(root: Path) -> Path:
    """Build the wheel of the last commit, then tag that commit; returns the wheel.

    Raises:
        ReleaseError: something is not committed, the changelog does not name the version, or the tag is there already.
    """
    version = version_of(root)
    newest = re.search(r"^## .*$", (root / CHANGELOG).read_text(encoding="utf-8"), re.MULTILINE)
    if newest is None or newest[0] != f"## {version}":
        said = newest[0] if newest else "no section"
        remedy = f"Run scripts/release.py set {version}"
        raise ReleaseError(f"{CHANGELOG}: begins with {said!r}; expected '## {version}'. {remedy}")
    if _git(root, "status", "--porcelain"):
        raise ReleaseError("some changes are not committed; expected none. Commit them, or put them away")
    tag = f"v{version}"
    if _git(root, "tag", "--list", tag):
        raise ReleaseError(f"the tag {tag} is there; expected a new version. Run scripts/release.py set VERSION")
    with tempfile.TemporaryDirectory() as folder:  # what lies in the checkout besides is not in the wheel
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=root, check=True, capture_output=True)
        subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
        words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(root / "dist"), folder]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (wheel,) = (root / "dist").glob(f"*-{version}-*.whl")
    _git(root, "tag", "--annotate", tag, "--message", f"Release {version}")
    return wheel


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def _pattern(before: str) -> str:
    return f"({before})({VERSION})"


def _version(text: str) -> str:
    if not re.fullmatch(VERSION, text):
        raise argparse.ArgumentTypeError(f"{text!r}; expected three numbers, as in 0.2.0")
    return text


if __name__ == "__main__":
    sys.exit(main())
