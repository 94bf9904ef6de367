"""Which datums does an input give over these files? Pure: listings in, datums out.

An input is a tree. Its leaves match a glob against the files and directories of one commit; the inner nodes combine::

    cross ─┬─ pfs seeds /*      →  {/1.mid, model /}  {/2.mid, model /} …
           └─ pfs model /

Identifiers are those of a Pachyderm cluster. Hashes use its formula over this store's file digests; the digest of a
directory covers the names below it as well, so that a rename counts as a change.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from localpach.spec.globs import compile_glob
from localpach.spec.inputs import Combination, Input, PfsInput
from localpach.spec.paths import parents
from localpach.storage.trees import Entry


class Listing:
    """The files of one commit, sorted by path, with the directories that they imply.

    Args:
        entries: The files of the commit in any order.
        commit: ID of the commit.
    """

    def __init__(self, entries: Iterable[Entry], commit: str = "") -> None:
        self.commit = commit
        self.entries = sorted(entries, key=lambda entry: entry.path)
        self._paths = [entry.path for entry in self.entries]
        self._hashes: dict[str, bytes] = {}

    def glob(self, pattern: str) -> list[str]:
        """List the matching files, and directories ending in `/`, in path order; an empty commit has none."""
        if not self.entries:
            return []
        glob = compile_glob(pattern)
        if glob.pattern == "/":
            return ["/"]  # and no other pattern matches the root
        folders = {path[: path.rindex("/")] for path in self._paths}  # those that hold files, few as a rule
        directories = {above for folder in folders for above in parents(folder + "/")}
        matched = [path for path in self._paths if glob.matches(path)]
        matched += [path + "/" for path in directories if glob.matches(path)]
        return sorted(matched)

    def below(self, path: str) -> Sequence[Entry]:
        """Return the files of a glob match: the file itself, or all below a directory that ends in `/`."""
        start = bisect_left(self._paths, path)
        if not path.endswith("/"):
            return self.entries[start : start + 1]
        end = bisect_left(self._paths, path[:-1] + "0")  # "0" follows "/" in ASCII
        return self.entries[start:end]

    def hash(self, path: str) -> bytes:
        """Return the 32 bytes that change when the file, or anything below the directory, changes."""
        if path not in self._hashes:
            self._hashes[path] = self._hash(path)
        return self._hashes[path]

    def _hash(self, path: str) -> bytes:
        if not path.endswith("/"):
            return bytes.fromhex(self.below(path)[0].digest)
        total = hashlib.blake2b(digest_size=32)
        for entry in self.below(path):
            _update_sized(total, entry.path[len(path) :])
            total.update(bytes.fromhex(entry.digest))
        return total.digest()


@dataclass(frozen=True, slots=True)
class DatumInput:
    """One file or directory of a datum."""

    source: PfsInput
    path: str
    listing: Listing
    join_key: str = ""
    group_key: str = ""


@dataclass(frozen=True, slots=True)
class Datum:
    """The files that one run of the program sees."""

    inputs: tuple[DatumInput, ...]

    @property
    def id(self) -> str:
        """The identifier, as a cluster computes it: from names and paths, not from content."""
        hashed = bytearray()
        for each in self.inputs:
            for text in (each.source.name, each.source.repo, each.source.branch, each.path):
                encoded = text.encode()
                hashed += encoded
                hashed += len(encoded).to_bytes(8, "big")
        return hashlib.blake2b(hashed, digest_size=32).hexdigest()

    def hash(self, salt: str, id_: str | None = None) -> str:
        """The identity of its content: it decides whether an old result still stands; `id_` where it is known."""
        hashes = [each.listing.hash(each.path) for each in self.inputs if not each.source.reference]
        return datum_hash(id_ or self.id, hashes, salt)

    @property
    def label(self) -> str:
        """The paths, for people."""
        return " × ".join(self.paths)

    @property
    def paths(self) -> list[str]:
        """The paths of its files and directories."""
        return [each.path for each in self.inputs]


def datum_hash(datum_id: str, file_hashes: Iterable[bytes], salt: str) -> str:
    """Hash a datum's ID, the hashes of its files in order, and the salt of its pipeline."""
    total = hashlib.blake2b(datum_id.encode(), digest_size=32)
    for each in file_hashes:
        total.update(each)
    total.update(salt.encode())
    return total.hexdigest()


def expand(node: Input, listing: Callable[[PfsInput], Listing]) -> list[Datum]:
    """List the datums of an input.

    Args:
        node: The input of a spec.
        listing: Gives the files of the commit that a leaf reads.

    Returns:
        Datums in the order of the input: path order within a leaf, members in their order.
    """
    if isinstance(node, PfsInput):
        return list(_leaf(node, listing(node)))
    members = [expand(member, listing) for member in node.members]
    if node.kind == "union":
        return [datum for member in members for datum in member]
    if node.kind == "cross":
        return [Datum(tuple(each for datum in chosen for each in datum.inputs)) for chosen in product(*members)]
    if node.kind == "group":
        return _group(members)
    return _join(node, members)


def _leaf(source: PfsInput, listing: Listing) -> Iterator[Datum]:
    glob = compile_glob(source.glob)
    for path in listing.glob(source.glob):
        bare = path if path == "/" else path.rstrip("/")
        join_key = glob.expand(bare, source.join_on) if source.join_on else ""
        group_key = glob.expand(bare, source.group_by) if source.group_by else ""
        yield Datum((DatumInput(source, path, listing, join_key, group_key),))


def _group(members: list[list[Datum]]) -> list[Datum]:
    """All files of one group key make a datum, in the order in which keys are first seen."""
    groups: dict[str, list[DatumInput]] = {}
    for each in _files(members):
        groups.setdefault(each.group_key, []).append(each)
    return [Datum(tuple(inputs)) for inputs in groups.values()]


def _join(node: Combination, members: list[list[Datum]]) -> list[Datum]:
    """Files of equal join key, one from each member; files of outer members also where other members have none."""
    by_key: dict[str, list[list[DatumInput]]] = {}
    for index, member in enumerate(members):
        for each in _files([member]):
            by_key.setdefault(each.join_key, [[] for _ in members])[index].append(each)
    datums = []
    for columns in by_key.values():
        if not all(columns):
            columns = [column for column in columns if column and column[0].source.outer_join]
        if columns:
            datums += [Datum(chosen) for chosen in product(*columns)]
    return datums


def _files(members: list[list[Datum]]) -> Iterator[DatumInput]:
    """Walk the single files of datums: join and group look at each by itself, whatever datum it came in."""
    for member in members:
        for datum in member:
            yield from datum.inputs


def _update_sized(total: "hashlib.blake2b", text: str) -> None:
    encoded = text.encode()
    total.update(len(encoded).to_bytes(8, "big"))
    total.update(encoded)
