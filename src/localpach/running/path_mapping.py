"""Where does a program find its folders? `/pfs` and its like: really there in a container, mapped to folders elsewhere.

::

    a program's word for it    /pfs/in/a.wav                 /var/secret/key
                                 │ paths.host                   │
    where it lies here         <scratch>/pfs/in/a.wav        <scratch>/secrets/0/key

A process of this machine is given the lower paths: they are put into its words (`to_host`). A container is given
the upper ones, for the lower folders are mounted there.
"""

import os
import re
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

PFS = "/pfs"
TMP = "/tmp"
PACHCTL = "/usr/local/bin/pachctl"  # on the PATH of every image
_MOST_LINKS = 40  # as Linux: a path with more symbolic links in it is a loop


class PathMapping:
    """The paths of one program.

    Args:
        places: Where the folders and files that a program is given lie on this machine, by its name for them.
        inside: Whether they are mounted at these names, and the program sees nothing else of this machine.
        mounted: Those that are mounted at their names for a program that sees the rest of this machine too.
    """

    def __init__(self, places: Mapping[str, Path], *, inside: bool, mounted: Collection[str] = ()) -> None:
        self.places = dict(places)
        self.inside = inside
        self._mapped = {} if inside else {place: here for place, here in places.items() if place not in mounted}

    def seen(self, place: str) -> str:
        """Return the path at which the program finds a place."""
        return str(self._mapped.get(place, place))

    def to_host(self, text: str) -> str:
        """Write a command word, a line of stdin or a variable as the program needs it."""
        if not self._mapped:
            return text
        return self._prefix.sub(lambda found: str(self._mapped[found[0]]), text)

    def from_host(self, text: str) -> str:
        """Write what a program said with the paths that the reader of the spec knows."""
        if not self.inside:
            for place, here in self.places.items():
                text = text.replace(str(here), place)
        return text

    def resolve(self, path: str) -> str | None:
        """Follow the symbolic links of a path on this machine as the program itself would.

        Returns:
            The path without links on this machine; None if it leaves the places that a container shares with it, or
            goes in circles. A link in a container to `/etc/passwd` is never that of this machine.
        """
        done: list[str] = []
        left = self._seen_from_inside(path).split("/")[::-1]
        links = 0
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            if name == "..":
                done = done[:-1]
                continue
            here = self._host("/" + "/".join([*done, name]))
            if here is None or not os.path.islink(here):
                done.append(name)
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            target = os.readlink(here)
            if target.startswith("/"):
                done = []
            left += target.split("/")[::-1]
        return self._host("/" + "/".join(done))

    @cached_property
    def _prefix(self) -> re.Pattern[str]:
        # A whole path component: not in /pfsx, $HOME/pfs or a/pfs, but after = : " ' and in {/pfs/a,/pfs/b}.
        names = "|".join(re.escape(name) for name in sorted(self._mapped, key=len, reverse=True))
        return re.compile(rf"(?<![\w./~}}\])*?-])(?:{names})(?![\w.-])")

    @cached_property
    def _real(self) -> dict[str, str]:
        return {name: os.path.realpath(here) for name, here in self.places.items()}

    def _host(self, path: str) -> str | None:
        """Return the path on this machine of a path that the program names."""
        for name, here in self._real.items():
            if path == name or path.startswith(name + "/"):
                return here + path[len(name) :]
        return None if self.inside else path

    def _seen_from_inside(self, path: str) -> str:
        """Return the program's path for one on this machine."""
        if not self.inside:
            return path
        for name, here in self._real.items():
            if path == here or path.startswith(here + "/"):
                return name + path[len(here) :]
        raise AssertionError(f"{path} is in no place of the program")
