"""Secrets reach programs, and nobody else."""

import base64
import json
import sqlite3
import stat

import pytest

from localpach.cli import main
from localpach.errors import AlreadyExistsError, NotFoundError, SecretError
from localpach.running import secrets


def manifest(folder, name="S", **more):
    """A Kubernetes manifest in a file."""
    fields = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **more}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(fields))
    return path


@pytest.fixture
def with_secret(world, tmp_path):
    """The repo `in` with one file, and the secret S with the key foo."""
    encoded = base64.b64encode(b"open sesame").decode()
    secrets.create_secret(world.folder, manifest(tmp_path, data={"foo": encoded}, stringData={"plain": "caf\u00e9\n"}))
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    return world


def test_secret_is_a_file_and_a_variable(with_secret):  # 13 of the conformance statements
    script = "cp /var/secret/* /pfs/out; echo $foo $bar > /pfs/out/seen; cat /pfs/.env > /pfs/out/env"
    mount = {"name": "S", "key": "foo", "mount_path": "/var/secret/", "env_var": "foo"}
    with_secret.create(with_secret.toy(cmd=with_secret.sh(script), secrets=[mount], env={"bar": "/var/secret/foo"}))
    found = with_secret.tree("P@master")
    assert (found["/foo"], found["/plain"]) == ("open sesame", "café\n")
    assert found["/seen"].startswith("open sesame /")
    assert found["/seen"].endswith("/foo\n")
    assert "open sesame" not in found["/env"]


def test_mount_path_is_mapped_in_stdin_and_only_as_a_whole(with_secret, tmp_path):
    other = tmp_path / "var-secret-x"
    other.write_text("not this\n")
    spec = with_secret.toy(
        cmd=["sh"],
        stdin=[f"cat /var/secret/foo {other} > /pfs/out/x"],
        secrets=[{"name": "S", "mount_path": "/var/secret"}],
    )
    with_secret.create(spec)
    assert with_secret.tree("P@master") == {"/x": "open sesamenot this\n"}


def test_files_are_readable_by_their_owner_only(with_secret):
    folder = with_secret.folder / "secrets"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "S")} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder / "S").iterdir()} == {0o600}


def test_value_is_neither_in_a_reason_nor_in_the_database(with_secret):
    spec = with_secret.toy(
        cmd=with_secret.sh("echo wrong password $foo >&2; exit 1"),
        secrets=[{"name": "S", "key": "foo", "env_var": "foo"}],
        datum_tries=1,
    )
    with_secret.create(spec)
    assert with_secret.datums()[0].reason == "wrong password ***"
    with sqlite3.connect(with_secret.folder / "state.sqlite") as database:
        assert "open sesame" not in "\n".join(database.iterdump())


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"name": "gone", "mount_path": "/x"}, "secret gone not found; pipeline P uses it; make it with"),
        ({"name": "S", "key": "bar", "env_var": "bar"}, "secret key S/bar not found; it has foo, plain"),
        ({"name": "../S", "mount_path": "/x"}, r"secret ../S not found"),
    ],
)
@pytest.mark.parametrize("verb", ["create", "update"])
def test_missing_secret_or_key_is_refused_and_nothing_changes(with_secret, verb, mount, message):
    if verb == "update":
        with_secret.create(with_secret.toy())
    before = with_secret.records.pipelines(), with_secret.store.repos()
    with pytest.raises(NotFoundError, match=message):
        getattr(with_secret, verb)(with_secret.toy(secrets=[mount]))
    assert (with_secret.records.pipelines(), with_secret.store.repos()) == before


def test_two_secrets_in_one_place_are_refused(with_secret, tmp_path):
    secrets.create_secret(with_secret.folder, manifest(tmp_path, "T", stringData={"bar": "b"}))
    mounts = [{"name": name, "mount_path": "/x"} for name in "ST"]
    with pytest.raises(SecretError, match="/x: cannot hold a secret"):
        with_secret.create(with_secret.toy(secrets=mounts))


def test_job_waits_for_a_secret_that_was_deleted(with_secret, tmp_path):
    spec = with_secret.toy(
        cmd=with_secret.sh("echo $foo > /pfs/out/x"), secrets=[{"name": "S", "key": "foo", "env_var": "foo"}]
    )
    with_secret.create(spec, run=False)
    secrets.delete_secret(with_secret.folder, "S")
    with pytest.raises(NotFoundError, match="secret S not found; pipeline P uses it"):
        with_secret.run()
    assert with_secret.last().state == "created"
    secrets.create_secret(with_secret.folder, manifest(tmp_path, stringData={"foo": "again"}))
    with_secret.run()
    assert with_secret.tree("P@master") == {"/x": "again\n"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": {"k": "not base64, but hidden"}}, r"data\.k is no base64; plain text goes into stringData"),
        ({"stringData": {"../k": "hidden"}}, r"the key '\.\./k' is refused"),
        ({"stringData": {"..": "hidden"}}, r"the key '\.\.' is refused"),
        ({"stringData": {"k": 1}}, "stringData is no object of strings"),
        ({"stringData": ["hidden"]}, "stringData is no object of strings"),
        ({}, "holds no value"),
        ({"kind": "ConfigMap"}, "expected an object of kind Secret"),
        ({"metadata": {"name": "../x"}, "stringData": {"k": "hidden"}}, r"metadata\.name is missing, or not made of"),
        ({"metadata": None, "stringData": {"k": "hidden"}}, r"metadata\.name is missing"),
    ],
)
def test_manifest_that_is_none_is_refused_without_quoting_a_value(world, tmp_path, fields, message):
    with pytest.raises(SecretError, match=message) as caught:
        secrets.create_secret(world.folder, manifest(tmp_path, **fields))
    assert "hidden" not in str(caught.value)
    assert secrets.list_secrets(world.folder) == []


def test_file_that_is_no_json_is_refused_without_quoting_it(world, tmp_path):
    path = tmp_path / "secret.json"
    path.write_text("hidden")
    with pytest.raises(SecretError, match="is no JSON") as caught:
        secrets.create_secret(world.folder, path)
    assert "hidden" not in str(caught.value)


def test_secret_that_is_there_is_not_overwritten(with_secret, tmp_path):
    with pytest.raises(AlreadyExistsError, match="secret S already exists"):
        secrets.create_secret(with_secret.folder, manifest(tmp_path, stringData={"foo": "other"}))
    assert (with_secret.folder / "secrets/S/foo").read_bytes() == b"open sesame"


def test_commands_make_list_describe_and_delete_without_a_value(tmp_path, capsys):
    def run(*words):
        code = main(["--state", str(tmp_path / "state"), *words])
        return code, "".join(capsys.readouterr())

    path = manifest(tmp_path, stringData={"foo": "open sesame", "bar": "hidden"})
    assert run("create", "secret", "-f", str(path)) == (0, "")
    said = [run("list", "secret"), run("inspect", "secret", "S"), run("list", "secret", "--raw")]
    assert said[0][1].split()[:5] == ["NAME", "TYPE", "CREATED", "S", "Opaque"]
    assert "Keys: bar, foo" in said[1][1]
    assert json.loads(said[2][1])
    assert not [text for _, text in said if "sesame" in text or "hidden" in text]
    assert run("delete", "secret", "S") == (0, "")
    assert run("delete", "secret", "S") == (
        1,
        "error: secret S not found; make it with `localpach create secret -f FILE`\n",
    )
    assert run("inspect", "secret", "../state")[0] == 1
