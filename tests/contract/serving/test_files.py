"""Files, commits and repos, by Pachyderm's own client."""

import tarfile
import threading

import grpc
import pytest
from pachyderm_sdk.api import pfs


def test_repo_is_made_described_listed_and_deleted(client):
    client.pfs.create_repo(repo=pfs.Repo.from_uri("songs"), description="mine")
    assert client.pfs.inspect_repo(repo=pfs.Repo.from_uri("songs")).description == "mine"
    client.pfs.create_repo(repo=pfs.Repo.from_uri("songs"), description="ours", update=True)
    assert [(info.repo.name, info.description) for info in client.pfs.list_repo()] == [("songs", "ours")]
    assert client.pfs.delete_repo(repo=pfs.Repo.from_uri("songs")).deleted
    assert not client.pfs.repo_exists(pfs.Repo.from_uri("songs"))
    assert not client.pfs.delete_repo(repo=pfs.Repo.from_uri("songs")).deleted


def test_repo_that_is_there_already_is_an_error_of_that_kind(client, words):
    words.repo("in")
    with pytest.raises(grpc.RpcError) as refused:
        words.repo("in")
    assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert refused.value.details() == "repo in already exists"


def test_other_project_is_not_found(client):
    assert client.pfs.project_exists(pfs.Project(name="default"))
    assert not client.pfs.project_exists(pfs.Project(name="other"))
    with pytest.raises(grpc.RpcError, match="project other not found; there is one, default"):
        client.pfs.inspect_repo(repo=pfs.Repo.from_uri("other/in"))


def test_system_repos_of_a_pipeline_are_listed_by_their_type(copied):
    assert [info.repo.name for info in copied.client.pfs.list_repo(type="meta")] == ["P"]
    assert {info.repo.name for info in copied.client.pfs.list_repo(type="user")} == {"in", "P"}
    meta = pfs.Commit(repo=pfs.Repo(name="P", type="meta"), branch=pfs.Branch(name="master"))
    found = [info.file.path for info in copied.client.pfs.glob_file(commit=meta, pattern="/meta/*/meta")]
    assert len(found) == 1


def test_files_are_visible_in_the_open_commit_and_stay(client, words):
    words.repo("in")
    with client.pfs.commit(branch=pfs.Branch.from_uri("in@master"), description="first") as commit:
        commit.put_file_from_bytes("/a", b"A")
        assert words.tree(f"in@{commit.id}") == {"/a": b"A"}
    info = commit.wait()
    assert (info.description, info.origin.kind, info.details.size_bytes) == ("first", pfs.OriginKind.USER, 1)
    assert words.tree("in@master") == {"/a": b"A"}


def test_put_replaces_and_append_appends(client, words):
    words.repo("in")
    words.put("in@master", {"/a": b"one"})
    with client.pfs.commit(branch=pfs.Branch.from_uri("in@master")) as commit:
        commit.put_file_from_bytes("/a", b" two", append=True)
        commit.put_file_from_bytes("/b", b"B")
        commit.put_file_from_bytes("/b", b"C")
        commit.put_file_from_bytes("/b", b"D", append=True)
    assert words.tree("in@master") == {"/a": b"one two", "/b": b"CD"}


def test_changes_to_a_branch_are_one_commit_of_its_own(client, words):
    words.repo("in")
    branch = pfs.Commit.from_uri("in@master")
    client.pfs.put_file_from_bytes(commit=branch, path="/a", data=b"A")
    client.pfs.put_file_from_bytes(commit=branch, path="/b", data=b"B")
    assert len(list(client.pfs.list_commit(repo=pfs.Repo.from_uri("in")))) == 2
    assert words.tree("in@master^1") == {"/a": b"A"}
    assert words.tree("in@master") == {"/a": b"A", "/b": b"B"}


def test_deleting_takes_files_and_directories_and_minds_nothing_that_is_not_there(client, words):
    words.repo("in")
    words.put("in@master", {"/a": b"A", "/d/x": b"X", "/d/y": b"Y", "/dd": b"Z"})
    with client.pfs.commit(branch=pfs.Branch.from_uri("in@master")) as commit:
        commit.delete_file(path="/a")
        commit.delete_file(path="/d/")
        commit.delete_file(path="/nothing")
    assert words.tree("in@master") == {"/dd": b"Z"}


def test_copying_copies_files_and_directories_of_any_repo(client, words):
    words.repo("in")
    words.repo("other")
    words.put("other@master", {"/d/x": b"X", "/y": b"Y"})
    with client.pfs.commit(branch=pfs.Branch.from_uri("in@master")) as commit:
        commit.copy_file(src=pfs.File.from_uri("other@master:/d"), dst="/e")
        commit.copy_file(src=pfs.File.from_uri("other@master:/y"), dst="/y")
        commit.copy_file(src=pfs.File.from_uri("other@master:/y"), dst="/y", append=True)
    assert words.tree("in@master") == {"/e/x": b"X", "/y": b"YY"}


def test_file_name_that_pachyderm_refuses_is_refused_and_nothing_is_put(client, words):
    words.repo("in")
    with pytest.raises(grpc.RpcError, match=r"file name 'a\*b' is refused"):
        client.pfs.put_file_from_bytes(commit=pfs.Commit.from_uri("in@master"), path="a*b", data=b"")
    assert list(client.pfs.list_commit(repo=pfs.Repo.from_uri("in"))) == []


def test_listing_walking_globbing_and_comparing(client, words):
    words.repo("in")
    words.put("in@master", {"/a.txt": b"A", "/d/b.txt": b"BB"})
    words.put("in@master", {"/d/c.txt": b"CCC"})
    listed = [(info.file.path, info.size_bytes) for info in client.pfs.list_file(file=pfs.File.from_uri("in@master:/"))]
    assert listed == [("/a.txt", 1), ("/d/", 5)]
    walked = [info.file.path for info in client.pfs.walk_file(file=pfs.File.from_uri("in@master:/"))]
    assert walked == ["/", "/a.txt", "/d/", "/d/b.txt", "/d/c.txt"]
    commit = pfs.Commit.from_uri("in@master")
    assert [info.file.path for info in client.pfs.glob_file(commit=commit, pattern="/**.txt")] == [
        "/a.txt", "/d/b.txt", "/d/c.txt",
    ]  # fmt: skip
    changes = list(client.pfs.diff_file(new_file=pfs.File.from_uri("in@master:/")))
    assert [(change.new_file.file.path, change.old_file.file.path) for change in changes] == [
        ("/", "/"), ("/d/", "/d/"), ("/d/c.txt", ""),
    ]  # fmt: skip
    assert client.pfs.path_exists(pfs.File.from_uri("in@master:/d"))
    assert not client.pfs.path_exists(pfs.File.from_uri("in@master:/e"))


def test_reading_with_offset_as_a_file_and_as_a_tar_archive(client, words):
    words.repo("in")
    words.put("in@master", {"/a": b"0123456789", "/d/b": b"B" * 600})
    rest = client.pfs.get_file(file=pfs.File.from_uri("in@master:/a"), offset=7)
    assert b"".join(chunk.value for chunk in rest) == b"789"
    with client.pfs.pfs_file(pfs.File.from_uri("in@master:/d/b")) as file:
        assert file.read() == b"B" * 600
    with client.pfs.pfs_tar_file(pfs.File.from_uri("in@master:/")) as tar:
        assert isinstance(tar, tarfile.TarFile)
        members = {member.name: tar.extractfile(member).read() if member.isfile() else None for member in tar}
    assert members == {"a": b"0123456789", "d": None, "d/b": b"B" * 600}


def test_large_file_comes_in_parts_and_goes_out_whole(client, words, tmp_path):
    words.repo("in")
    path = tmp_path / "large"
    with path.open("wb") as file:
        for number in range(41):
            file.write(bytes([number]) * 2**20)
    with path.open("rb") as file, client.pfs.commit(branch=pfs.Branch.from_uri("in@master")) as commit:
        commit.put_file_from_file(path="/large", file=file)
    assert words.read("in@master:/large") == path.read_bytes()


def test_file_of_a_glob_is_the_one_that_it_matches(client, words):
    words.repo("in")
    words.put("in@master", {"/a.txt": b"A", "/b.md": b"B", "/c.md": b"C"})
    assert words.read("in@master:/*.txt") == b"A"
    with pytest.raises(grpc.RpcError, match="expected a pattern that matches one file, not 2"):
        words.read("in@master:/*.md")
    with client.pfs.pfs_tar_file(pfs.File.from_uri("in@master:/*.md")) as tar:
        assert [member.name for member in tar] == ["b.md", "c.md"]


def test_branches_are_made_moved_listed_and_deleted(client, words):
    words.repo("in")
    first = words.put("in@staging", {"/a": b"A"})
    client.pfs.create_branch(branch=pfs.Branch.from_uri("in@master"), head=pfs.Commit.from_uri(f"in@{first.id}"))
    assert client.pfs.inspect_branch(branch=pfs.Branch.from_uri("in@master")).head.id == first.id
    words.put("in@staging", {"/b": b"B"})
    client.pfs.create_branch(branch=pfs.Branch.from_uri("in@master"), head=pfs.Commit.from_uri("in@staging"))
    assert words.tree("in@master") == {"/a": b"A", "/b": b"B"}
    names = {info.branch.name for info in client.pfs.list_branch(repo=pfs.Repo.from_uri("in"))}
    assert names == {"master", "staging"}
    client.pfs.delete_branch(branch=pfs.Branch.from_uri("in@staging"))
    assert not client.pfs.branch_exists(pfs.Branch.from_uri("in@staging"))


def test_trigger_of_a_branch_moves_it(client, words):
    words.repo("in")
    trigger = pfs.Trigger(branch="staging", commits=2)
    client.pfs.create_branch(branch=pfs.Branch.from_uri("in@master"), trigger=trigger)
    words.put("in@staging", {"/a": b"A"})
    assert words.tree("in@master") == {}
    words.put("in@staging", {"/b": b"B"})
    assert words.tree("in@master") == {"/a": b"A", "/b": b"B"}
    assert client.pfs.inspect_branch(branch=pfs.Branch.from_uri("in@master")).trigger.commits == 2


def test_commits_are_listed_from_to_reversed_and_by_origin(copied):
    client = copied.client
    second = copied.put("in@master", {"/b": b"B"})
    third = copied.put("in@master", {"/c": b"C"})
    repo = pfs.Repo.from_uri("in")
    ids = [info.commit.id for info in client.pfs.list_commit(repo=repo)]
    assert ids[:2] == [third.id, second.id]
    assert [info.commit.id for info in client.pfs.list_commit(repo=repo, number=1)] == [third.id]
    assert [info.commit.id for info in client.pfs.list_commit(repo=repo, reverse=True)] == ids[::-1]
    since = client.pfs.list_commit(
        repo=repo, from_=pfs.Commit.from_uri("in@master^2"), to=pfs.Commit.from_uri("in@master")
    )
    assert [info.commit.id for info in since] == [third.id, second.id]
    made = client.pfs.list_commit(repo=pfs.Repo.from_uri("P"), origin_kind=pfs.OriginKind.USER)
    assert list(made) == []


def test_commit_set_is_waited_for_upstream_first(copied):
    commit = copied.put("in@master", {"/b": b"B"})
    infos = copied.client.pfs.wait_commit_set(pfs.CommitSet(id=commit.id))
    names = [(info.commit.repo.name, info.commit.repo.type) for info in infos if info.commit.id == commit.id]
    assert names == [("in", "user"), ("P", "user"), ("P", "meta")]
    assert all(info.finished.year > 1970 for info in infos)
    sets = [info.commit_set.id for info in copied.client.pfs.list_commit_set()]
    assert sets[0] == commit.id


def test_commit_set_is_dropped_off_the_end_and_squashed_out_of_the_middle(client, words):
    words.repo("in")
    first = words.put("in@master", {"/a": b"A"})
    second = words.put("in@master", {"/b": b"B"})
    third = words.put("in@master", {"/c": b"C"})
    client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=third.id))
    assert words.tree("in@master") == {"/a": b"A", "/b": b"B"}
    client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=first.id))
    assert words.tree("in@master") == {"/a": b"A", "/b": b"B"}
    assert [info.commit.id for info in client.pfs.list_commit(repo=pfs.Repo.from_uri("in"))] == [second.id]


def test_parent_of_a_commit_may_be_chosen(client, words):
    words.repo("in")
    words.put("in@master", {"/a": b"A"})
    words.put("in@master", {"/b": b"B"})
    started = client.pfs.start_commit(
        branch=pfs.Branch.from_uri("in@master"), parent=pfs.Commit.from_uri("in@master^1")
    )
    client.pfs.finish_commit(commit=started, error="it was a try")
    assert words.tree(f"in@{started.id}") == {"/a": b"A"}
    assert client.pfs.inspect_commit(commit=started).error == "it was a try"


def test_subscriber_gets_the_commits_that_are_there_and_those_to_come(client, words):
    words.repo("in")
    first = words.put("in@master", {"/a": b"A"})
    stream = client.pfs.subscribe_commit(repo=pfs.Repo.from_uri("in"), branch="master", state=pfs.CommitState.FINISHED)
    assert next(stream).commit.id == first.id
    made = []
    thread = threading.Thread(target=lambda: made.append(words.put("in@master", {"/b": b"B"})))
    thread.start()
    assert next(stream).parent_commit.id == first.id
    thread.join()


def test_deleting_all_repos_leaves_those_of_pipelines(copied):
    words = copied
    words.repo("more")
    with pytest.raises(grpc.RpcError, match="repo in is needed by P"):
        words.client.pfs.delete_repos(all=True)
    assert words.client.pfs.repo_exists(pfs.Repo.from_uri("more"))
    deleted = words.client.pfs.delete_repos(all=True, force=True)
    assert {repo.name for repo in deleted.repos} == {"in", "more"}
