"""Which file names a repo takes: Pachyderm's rule, so that what passes here passes on a cluster."""

from localpach.errors import FileNameError

REFUSED_CHARACTERS = frozenset("*?[]{}!()@+^")
MAX_ELEMENT_BYTES = 255


def clean_path(path: str) -> str:
    """Make a repo path absolute, without double or trailing slashes; `""` and `/` give `/`."""
    return "/" + "/".join(element for element in path.split("/") if element)


def check_path(path: str) -> str:
    """Return the cleaned path of a file.

    Raises:
        FileNameError: the path names the root, leaves the repo, or has a character that Pachyderm refuses.
    """
    for character in path:
        if character in REFUSED_CHARACTERS:
            raise FileNameError(path, f"it holds {character!r}")
        if not 0x20 <= ord(character) <= 0x7E:
            raise FileNameError(path, f"it holds {character!r}, which is not printable ASCII")
    cleaned = clean_path(path)
    if cleaned == "/":
        raise FileNameError(path, "it is empty")
    for element in cleaned[1:].split("/"):
        if element in (".", ".."):
            raise FileNameError(path, f"it has the element {element!r}")
        if len(element) > MAX_ELEMENT_BYTES:
            raise FileNameError(path, f"an element has {len(element)} characters, more than {MAX_ELEMENT_BYTES}")
    return cleaned


def parents(path: str) -> list[str]:
    """List the directories above a cleaned path, nearest the root first, without the root: `/a/b/c` → `/a`, `/a/b`."""
    elements = path[1:].split("/")[:-1]
    return ["/" + "/".join(elements[: depth + 1]) for depth in range(len(elements))]


def file_and_directory_collision(paths: set[str]) -> str | None:
    """Return a path that is both a file and a directory of another file, or None."""
    for path in sorted(paths):
        for parent in parents(path):
            if parent in paths:
                return parent
    return None
