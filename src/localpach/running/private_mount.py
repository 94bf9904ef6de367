"""Run as a program of its own: a view of this machine in which `/pfs` can be any folder, asked for by `private_pfs`.

It imports nothing of localpach, so that it starts quickly. Linux alone has the calls; it needs no root where users may
make namespaces of their own.

::

    its own mount namespace   /pfs (empty)  /usr -> /usr  /home -> /home  …   everything else is the machine's own
      └─ a child a program    /pfs = the folder of its datum

Each line of its stdin asks for a child: `{"folder": …, "cwd": …}`. The answer is a line with the process ID of the
child, which lives until it is killed and holds the namespace that a program enters; or with the number of an error.
"""

import ctypes
import json
import os
import signal
import sys

NEWNS, NEWUSER = 0x00020000, 0x10000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, UNBINDABLE, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 17, 1 << 18
DETACH = 2
SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Call mount(2)."""
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
    _checked(_libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]), target)


def unshare(flags: int) -> None:
    """Call unshare(2)."""
    _checked(_libc.unshare(flags), "namespace")


def enter_namespaces() -> bool:
    """Leave the machine's mounts; tell whether that took a user namespace, in which this user keeps its number."""
    user, group = os.getuid(), os.getgid()
    if user == 0:
        try:
            unshare(NEWNS)
        except OSError:
            pass
        else:
            return False
    unshare(NEWUSER | NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    return True


def make_root(root: str) -> None:
    """Make a root with everything that the machine's has, and an empty `/pfs`; enter it."""
    mount(None, "/", None, REC | PRIVATE)
    mount("localpach", root, "tmpfs", NOSUID | NODEV, "mode=755,size=1m")
    mount(None, root, None, UNBINDABLE)  # it is itself below a folder that is bound into it
    for entry in os.scandir("/"):
        place = f"{root}/{entry.name}"
        if entry.name == "pfs":
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
        elif entry.is_dir():
            os.mkdir(place)
            mount(entry.path, place, None, BIND | REC)
        elif entry.is_file():
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
            mount(entry.path, place, None, BIND)
    os.mkdir(f"{root}/pfs")
    mount(None, root, None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    os.chdir(root)
    _checked(_libc.pivot_root(b".", b"."), root)
    _checked(_libc.umount2(b".", DETACH), root)
    os.chdir("/")
    mount(None, "/", None, PRIVATE)


def hold(folder: str, cwd: str) -> None:
    """Be a child: put a folder at `/pfs`, stand in a folder, say so, and wait to be killed."""
    _libc.prctl(SET_PDEATHSIG, signal.SIGKILL)
    try:
        unshare(NEWNS)
        mount(folder, "/pfs", None, BIND | REC)
        try:
            os.chdir(cwd)
        except OSError as error:
            answer(errno=error.errno, cwd=True)
            return
    except OSError as error:
        answer(errno=error.errno, cwd=False)
        return
    answer(pid=os.getpid())
    os.close(0)
    os.close(1)
    while True:
        signal.pause()


def answer(**fields: object) -> None:
    """Write a line."""
    os.write(1, json.dumps(fields).encode() + b"\n")


def main(root: str) -> None:
    """Serve until stdin ends."""
    try:
        has_user_namespace = enter_namespaces()
        make_root(root)
    except OSError as error:
        answer(error=f"{error.filename or 'namespace'}: {error.strerror}")
        return
    answer(user=has_user_namespace)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the system
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if os.fork() == 0:
            hold(asked["folder"], asked["cwd"])
            os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
