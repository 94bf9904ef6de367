"""Which datums an input gives, their identifiers and hashes: tables over lists of names."""

from collections import Counter
from itertools import product

import pytest

from localpach.planning.datums import Datum, DatumInput, Listing, datum_hash, expand
from localpach.spec.inputs import Combination, PfsInput
from localpach.storage.trees import Entry

NAMES = [f"/n{n}" for n in range(50)]


def leaf(glob, *, repo="r", name="", branch="master", **more):
    return PfsInput(repo=repo, glob=glob, name=name or repo, branch=branch, **more)


def both(kind, *members):
    return Combination(kind, members)


def listing(names):
    return Listing([Entry(name, name.encode().hex().ljust(64, "0")[:64], 1) for name in names])


def sets_of(node, repos=None):
    """The datums as unordered collections of paths."""
    found = expand(node, lambda source: listing((repos or {}).get(source.repo, NAMES)))
    return Counter(tuple(sorted(each.path for each in datum.inputs)) for datum in found)


def expected(*datums):
    return Counter(tuple(sorted(datum)) for datum in datums)


B, C, NONE = leaf("/n?1"), leaf("/n*2"), leaf("!(**)")
B_NAMES, C_NAMES = ["/n11", "/n21", "/n31", "/n41"], ["/n2", "/n12", "/n22", "/n32", "/n42"]
XY = leaf("/n(?)(?)", join_on="$1$2", group_by="$1")
YX = leaf("/n(?)(?)", join_on="$2$1", group_by="$2")


def test_pfs_matches_nothing_or_the_files_of_its_glob():
    assert sets_of(NONE) == expected()
    assert sets_of(B) == expected(*([name] for name in B_NAMES))
    assert sets_of(C) == expected(*([name] for name in C_NAMES))


def test_union_is_one_after_the_other_and_cross_is_every_pair():
    assert sets_of(both("union", B, C)).total() == 9
    assert sets_of(both("cross", B, C)) == expected(*product(B_NAMES, C_NAMES))


def test_an_empty_member_empties_a_cross_nested_or_not():
    inner = both("cross", both("union", B, C), NONE, C, both("cross", B, C))
    assert sets_of(inner) == expected()
    assert sets_of(both("cross", inner, B)) == expected()


def test_join_pairs_equal_keys():
    digits = "1234"
    assert sets_of(both("join", XY, YX)) == expected(*((f"/n{x}{y}", f"/n{y}{x}") for x in digits for y in digits))


def test_outer_join_keeps_files_without_a_partner():
    left = leaf("/n1(?)", join_on="$1", outer_join=True)
    right = leaf("/n(?)1", join_on="$1", outer_join=True)
    pairs = [(f"/n1{y}", f"/n{y}1") for y in "1234"]
    assert sets_of(both("join", left, right)) == expected(*pairs, *((f"/n1{y}",) for y in "056789"))


def test_group_gathers_one_key():
    by_tens = both("group", leaf("/n(?)(?)", group_by="$1"))
    assert sets_of(by_tens) == expected(*([f"/n{k}{y}" for y in range(10)] for k in range(1, 5)))


def test_group_of_two_members_gathers_from_both():
    node = both("group", leaf("/n(?)(?)", group_by="$1"), leaf("/n(?)(?)", group_by="$2"))
    tens = {k: [f"/n{k}{y}" for y in range(10)] if 1 <= k <= 4 else [] for k in range(10)}
    assert sets_of(node) == expected(*(tens[k] + [f"/n{x}{k}" for x in range(1, 5)] for k in range(10)))


def test_group_over_a_join_looks_at_each_file_by_itself():
    node = both("group", both("join", XY, YX))
    assert sets_of(node) == expected(*([f"/n{k}{y}" for y in "1234"] + [f"/n{y}{k}" for y in "1234"] for k in "1234"))


def test_union_of_files_and_groups():
    node = both("union", leaf("/n(?)(?)"), both("group", leaf("/n(?)(?)", group_by="$2")))
    alone = [[f"/n{n}"] for n in range(10, 50)]
    assert sets_of(node) == expected(*alone, *([f"/n{x}{k}" for x in range(1, 5)] for k in range(10)))


@pytest.mark.parametrize("glob", ["/(*)", "/(*)/"])
def test_join_of_two_repos_pairs_equal_names(glob):
    names = [f"/f-{n}" for n in range(10)]
    node = both("join", leaf(glob, repo="a", join_on="$1"), leaf(glob, repo="b", join_on="$1"))
    assert sets_of(node, {"a": names, "b": names}) == expected(*((name, name) for name in names))


def test_join_of_directories_has_what_is_in_them():
    node = both("join", leaf("/dir-(?)(?)", repo="a", join_on="$2"), leaf("/dir-(?)(?)", repo="b", join_on="$1"))
    repos = {"a": ["/dir-01/foo"], "b": ["/dir-10/bar"]}
    (datum,) = expand(node, lambda source: listing(repos[source.repo]))
    assert [each.path for each in datum.inputs] == ["/dir-01/", "/dir-10/"]
    assert [each.listing.below(each.path)[0].path for each in datum.inputs] == ["/dir-01/foo", "/dir-10/bar"]


def test_group_by_a_middle_digit():
    names = [f"/f.{n:04b}" for n in range(16)]
    found = sets_of(both("group", leaf("/f.(?)(?)(?)(?)", group_by="$3")), {"r": names})
    assert found == expected(*([name for name in names if name[5] == key] for key in "01"))


def test_root_glob_is_one_datum_and_none_over_an_empty_commit():
    assert sets_of(leaf("/")) == expected(["/"])
    assert sets_of(leaf("/"), {"r": []}) == expected()


def test_star_matches_directories_and_never_the_root():
    assert sets_of(leaf("/*"), {"r": ["/a/b/c", "/d"]}) == expected(["/a/"], ["/d"])
    assert sets_of(leaf("/**"), {"r": ["/a/b"]}) == expected(["/a/"], ["/a/b"])


def test_directory_holds_what_is_below_it_and_not_its_neighbours():
    files = listing(["/a", "/a-b", "/a.txt", "/ab", "/a0", "/c/x", "/c-d/y", "/c/z/w"])
    assert [entry.path for entry in files.below("/c/")] == ["/c/x", "/c/z/w"]
    assert [entry.path for entry in files.below("/a")] == ["/a"]


def datum(*inputs, listing_=None):
    return Datum(
        tuple(DatumInput(leaf("/", name=n, repo=r, branch=b), p, listing_ or listing([])) for n, r, b, p in inputs)
    )


WAV = [("audio-processed-wav", "audio-processed-wav", "master", "/song.wav")]
SEED = [("seeds", "seeds", "master", "/1.mid"), ("music-transformer", "music-transformer", "master", "/")]


@pytest.mark.parametrize(
    ("inputs", "id_"),
    [
        (WAV, "65730d83816a9c789536ab0c7672449686f59283e6f9aa95b004a7c2fea124a6"),
        (SEED, "745cc43cd6696de0250508fa6dbd61f9def9bfc8a231b76e508c833b6b238e2d"),
        ([("in", "images", "staging", "/dir/")], "4238cfdda480c930d25f4443979a5ea651c79e5d892bc1e73983c2a5a01cba75"),
    ],
)
def test_datum_id_is_that_of_a_cluster(inputs, id_):
    assert datum(*inputs).id == id_


ZEROS, ONES = bytes(32), bytes([1] * 32)


@pytest.mark.parametrize(
    ("inputs", "hashes", "hash_"),
    [
        (WAV, [ZEROS], "192751b1e8180f2fdf9aebd8fd95d810b399d7777fbb5853ca47d14a025af6f2"),
        (SEED, [ZEROS, ONES], "4cd2e694630c635183f326b28ed543309f88e07549e17ac1757ddc31d3c0f230"),
        (
            SEED,
            [ZEROS],
            "b1fb65cf07f3ec4f03e21d65a63f9b44508d61f4cfab8cc80db32ae92d4795ce",
        ),  # the second is `reference`
    ],
)
def test_datum_hash_follows_the_formula(inputs, hashes, hash_):
    assert datum_hash(datum(*inputs).id, hashes, "salt") == hash_


def test_renaming_a_file_of_a_directory_changes_its_hash():
    entry = Entry("/d/a", "00" * 32, 1)
    assert Listing([entry]).hash("/d/") != Listing([Entry("/d/b", entry.digest, 1)]).hash("/d/")
