"""Walk a folder of music: each file once, and an end, whatever links lie in it.

Conventions: links to files are files. Links to folders are followed, after the folders that lie there themselves, so
that a song keeps the name of its own place; a folder that was seen, and one that the folder itself lies in, are not
walked again. Hidden folders (`.Trash-1000`) are left out; `...And Justice for All` and `.45 Special` are not hidden.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

HIDDEN_FILES = ("._", ".partial-")  # macOS' other half of a file; what a program of ours has not finished


def is_hidden_folder(name: str) -> bool:
    """Tell whether a folder is one of a system, not of a person."""
    return name.startswith(".") and not name[1:2].isdigit() and not name.startswith("..")


def files_in(folder: Path, on_error: Callable[[OSError], None]) -> list[str]:
    """List the files below a folder as relative paths with `/`, sorted; dead links and hidden files are among them.

    Args:
        folder: May be a link itself.
        on_error: Called with the error of each folder that cannot be read; its files are missing if it returns.
    """
    home = Path(folder).resolve()
    seen = {_identity(place) for place in home.parents}
    found: list[str] = []
    waiting = deque([folder])
    while waiting:
        for root, folders, names in os.walk(waiting.popleft(), onerror=on_error):
            if _identity(Path(root)) in seen:
                folders.clear()
                continue
            seen.add(_identity(Path(root)))
            visible = sorted(name for name in folders if not is_hidden_folder(name))
            folders[:] = [name for name in visible if not Path(root, name).is_symlink()]
            waiting.extend(Path(root, name) for name in visible if Path(root, name).is_symlink())
            found.extend(Path(root, name).relative_to(folder).as_posix() for name in names)
    return sorted(found)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
