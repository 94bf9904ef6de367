"""How does a stream of changes become one commit? Read to its end first, then applied as a whole or not at all.

::

    set_commit, delete_file, add_file, add_file, copy_file, …    as the client sends them
        │ bytes are stored as they come, nothing names them yet
        ▼
    the end of the stream ─▶ one transaction: the files of the commit change
        │ no end
        ▼
    nothing: what was stored is removed by `gc`
"""

from collections.abc import Callable, Iterator
from typing import Any

from localpach.actions.commit_files import commit_files
from localpach.actions.files import changed, check_target, entries_below
from localpach.actions.repos import find_commit
from localpach.actions.sources import read_url
from localpach.errors import AddressError, NotFoundError, SourceError
from localpach.serving.call import Call
from localpach.serving.refs import commit_address, file_address
from localpach.serving.wire import Empty, set_field
from localpach.spec.addresses import CommitAddress
from localpach.spec.paths import check_path, clean_path
from localpach.storage.store import Commit, Store
from localpach.storage.trees import Entry

Edit = Callable[["_Overlay"], None]


def modify_file(call: Call, requests: Iterator[Any]) -> Iterator[Any]:
    """Change the files of a commit: of an open one, or of a branch, which gets a commit of its own.

    For gRPC the stream of a client that was killed ends like any other; that it was broken off is known only a moment
    later. So the answer is sent before anything is changed: once it has been sent, what had to be known is known. For
    the client it counts only with the status of the call, which comes last.
    """
    store = call.store
    with store.lock.storing():
        stream = _Stream(store, requests)
        edits = list(stream.edits())
        yield Empty()
        call.check_client()
        with changed(store, stream.target) as commit:
            overlay = _Overlay(store, commit)
            for edit in edits:
                edit(overlay)
            overlay.write()


class _Stream:
    """The requests of one call; messages that add to one file after another are stored as one object."""

    def __init__(self, store: Store, requests: Iterator[Any]) -> None:
        self._store = store
        self._requests = requests
        self._next: tuple[str, Any] | None = None
        self._advance()
        kind, commit = self._next or ("", None)
        if kind != "set_commit":
            raise AddressError("a stream of changes", "the commit to change as its first message")
        self.target: CommitAddress = commit_address(commit)
        check_target(store, self.target)
        self._advance()

    def _advance(self) -> None:
        request = next(self._requests, None)
        self._next = None if request is None else set_field(request, "body")

    def edits(self) -> Iterator[Edit]:
        """Read the stream to its end, and give what is to be done."""
        while self._next is not None:
            kind, value = self._next
            if kind == "add_file" and value.url.url:
                yield self._add_url(value)
            elif kind == "add_file":
                yield self._add(check_path(value.path))
                continue  # which has read on
            elif kind == "delete_file":
                yield _deletion(value.path)
            elif kind == "copy_file":
                yield _copy(self._store, value)
            else:
                raise AddressError(f"{kind or 'an empty message'} in the middle of a stream", "a change of a file")
            self._advance()

    def _add(self, path: str) -> Edit:
        entry = Entry(path, *self._store.objects.add(self._chunks(path)))
        return lambda overlay: overlay.add(entry)

    def _chunks(self, path: str) -> Iterator[bytes]:
        while self._next is not None:
            kind, value = self._next
            if kind != "add_file" or value.url.url or check_path(value.path) != path:
                return
            yield value.raw or b""
            self._advance()

    def _add_url(self, value: Any) -> Edit:
        if value.url.recursive:
            raise SourceError(value.url.url, "is a URL, which names one file; leave out recursive")
        entry = Entry(check_path(value.path), *self._store.objects.add(read_url(value.url.url)))
        return lambda overlay: overlay.add(entry)


def _deletion(path: str) -> Edit:
    """Delete a file, or with a slash at the end a directory; what is not there is no error."""
    if path in ("", "/") or path.endswith("/"):
        return lambda overlay: overlay.delete_below(clean_path(path))
    return lambda overlay: overlay.delete(clean_path(path))


def _copy(store: Store, value: Any) -> Edit:
    """Copy a file or a directory of any commit; what the commit holds now is meant."""
    source = file_address(value.src)
    origin = find_commit(store, source.commit)
    top = clean_path(source.path or "/")
    files = commit_files(store, origin)
    found = [files.stored(each) for each in entries_below(store, origin, source)]
    if not found:
        raise NotFoundError("file", str(source))
    entries = [Entry(check_path(f"{value.dst}/{each.path[len(top) :]}"), each.digest, each.size) for each in found]

    def edit(overlay: "_Overlay") -> None:
        for entry in entries:
            if not value.append:
                overlay.delete(entry.path)
            overlay.add(entry)

    return edit


class _Overlay:
    """The files of an open commit with changes that are not written yet."""

    def __init__(self, store: Store, commit: Commit) -> None:
        self._store = store
        self._tree = commit.tree
        self._changed: dict[str, Entry | None] = {}  # None: deleted

    def _find(self, path: str) -> Entry | None:
        return self._changed[path] if path in self._changed else self._store.trees.entry(self._tree, path)

    def add(self, entry: Entry) -> None:
        """Add to the end of a file, or make it."""
        before = self._find(entry.path)
        if before is not None and before.size:
            joined = [before.digest, entry.digest]
            content = (chunk for digest in joined for chunk in self._store.objects.read(digest))
            entry = Entry(entry.path, *self._store.objects.add(content))
        self._changed[entry.path] = entry

    def delete(self, path: str) -> None:
        """Take a file away, if it is there."""
        if self._find(path) is not None:
            self._changed[path] = None

    def delete_below(self, top: str) -> None:
        """Take away all that is below a directory."""
        prefix = top.rstrip("/") + "/"
        paths = {entry.path for entry in self._store.trees.entries(self._tree)} | self._changed.keys()
        for path in paths:
            if path.startswith(prefix):
                self.delete(path)

    def write(self) -> None:
        """Write the changes."""
        gone = [path for path, entry in self._changed.items() if entry is None]
        self._store.trees.remove(self._tree, [path for path in gone if self._store.trees.entry(self._tree, path)])
        self._store.trees.write(self._tree, [entry for entry in self._changed.values() if entry is not None])
