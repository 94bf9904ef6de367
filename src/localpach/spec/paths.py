"""Which file names a repo takes: Pachyderm's rule, so that what passes here passes on a cluster."""

import unicodedata

from localpach.errors import FileNameError

REFUSED_CHARACTERS = frozenset("*?[]{}!()@+^")
MAX_ELEMENT_BYTES = 255
MAX_SUFFIX = 16  # a longer one is no suffix that is worth keeping when a name is shortened


def clean_path(path: str) -> str:
    """Make a repo path absolute, without double or trailing slashes; `""` and `/` give `/`."""
    return "/" + "/".join(element for element in path.split("/") if element)


def check_path(path: str) -> str:
    """Return the cleaned path of a file.

    Raises:
        FileNameError: the path names the root, leaves the repo, or has a character that Pachyderm refuses; the
            message names it and a name that would be taken.
    """
    for character in path:
        if character in REFUSED_CHARACTERS:
            raise FileNameError(path, f"it holds {character!r}", safe_path(path))
        if not _is_printable_ascii(character):
            raise FileNameError(path, f"it holds {character!a}, which is not printable ASCII", safe_path(path))
    cleaned = clean_path(path)
    if cleaned == "/":
        raise FileNameError(path, "it is empty")
    for element in cleaned[1:].split("/"):
        if element in (".", ".."):
            raise FileNameError(path, f"it has the element {element!r}", safe_path(path))
        if len(element) > MAX_ELEMENT_BYTES:
            problem = f"an element has {len(element)} characters, more than {MAX_ELEMENT_BYTES}"
            raise FileNameError(path, problem, safe_path(path))
    return cleaned


def safe_path(path: str) -> str:
    """Suggest a path that is taken and still reads like the one that is refused: `/Sigur Rós?` gives `/Sigur Ros_`."""
    elements = [_safe_element(element) for element in path.split("/") if element not in ("", ".", "..")]
    return "/" + "/".join(elements or ["file"])


def _safe_element(element: str) -> str:
    plain = [each for each in unicodedata.normalize("NFKD", element) if not unicodedata.combining(each)]
    kept = "".join(each if _is_printable_ascii(each) and each not in REFUSED_CHARACTERS else "_" for each in plain)
    stem, dot, suffix = kept.rpartition(".")
    if len(kept) > MAX_ELEMENT_BYTES and stem and len(suffix) < MAX_SUFFIX:
        return stem[: MAX_ELEMENT_BYTES - len(suffix) - 1] + dot + suffix
    return kept[:MAX_ELEMENT_BYTES]


def _is_printable_ascii(character: str) -> bool:
    return " " <= character <= "~"


def parents(path: str) -> list[str]:
    """List the directories above a cleaned path, nearest the root first, without the root: `/a/b/c` → `/a`, `/a/b`."""
    elements = path[1:].split("/")[:-1]
    return ["/" + "/".join(elements[: depth + 1]) for depth in range(len(elements))]


def file_and_directory_collision(paths: set[str]) -> str | None:
    """Return a path that is both a file and a directory of another file, or None."""
    return min((parent for path in paths for parent in parents(path) if parent in paths), default=None)
