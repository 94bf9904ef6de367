"""Which secrets may programs be given? Files below the state folder, one a key, readable by their owner only.

::

    .localpach/secrets/<name>/<key>

They are made from the manifests that a cluster takes (`kind: Secret` as JSON). Their values are neither in the
database nor in any message of localpach.
"""

import base64
import binascii
import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localpach.errors import AlreadyExistsError, NotFoundError, SecretError
from localpach.spec.spec import PipelineSpec

_FOLDER = "secrets"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_KEY = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,253}")  # as Kubernetes has them
_SHORTEST_HIDDEN = 4  # characters; hiding each "a" in a message would hide the message


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """What may be shown of a secret: all but its values."""

    name: str
    keys: tuple[str, ...]
    created: float
    type: str = "Opaque"


@dataclass(frozen=True, slots=True)
class MountedSecret:
    """A secret that a program finds as files, one a key, below a path of its own."""

    mount_path: str
    values: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class GivenSecrets:
    """The secrets of one pipeline with their values."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounted: tuple[MountedSecret, ...] = ()

    def hide(self, text: str) -> str:
        """Take the values out of a text that is kept."""
        values = [*self.variables.values()]
        for each in self.mounted:
            values += [value.decode(errors="surrogateescape") for value in each.values.values()]
        lines = {line.strip() for value in values for line in value.splitlines()}  # a text that is kept is one line
        for line in sorted(lines, key=len, reverse=True):
            if len(line) >= _SHORTEST_HIDDEN:
                text = text.replace(line, "***")
        return text


def create_secret(state: Path, manifest: Path) -> str:
    """Store a secret from a file with the JSON manifest that a cluster takes; see `store_secret`."""
    return store_secret(state, manifest.read_bytes(), str(manifest))


def store_secret(state: Path, content: bytes, source: str) -> str:
    """Store a secret.

    Args:
        state: The state folder.
        content: JSON with `metadata.name` and `data` (base64) or `stringData`.
        source: Where it comes from, for messages.

    Returns:
        Its name.

    Raises:
        SecretError: the file is no such manifest.
        AlreadyExistsError: there is one of this name.
    """
    name, values = _read(content, source)
    folder = state / _FOLDER / name
    if folder.exists():
        raise AlreadyExistsError("secret", name, f"`localpach delete secret {name}` comes first")
    unfinished = state / _FOLDER / f".{uuid.uuid4().hex}"
    unfinished.mkdir(parents=True, mode=0o700)
    unfinished.parent.chmod(0o700)
    try:
        for key, value in values.items():
            descriptor = os.open(unfinished / key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(value)
                file.flush()
                os.fsync(descriptor)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return name


def list_secrets(state: Path) -> list[StoredSecret]:
    """List the secrets by name, without their values."""
    folder = state / _FOLDER
    if not folder.is_dir():
        return []
    return [secret(state, each.name) for each in sorted(folder.iterdir()) if _NAME.fullmatch(each.name)]


def secret(state: Path, name: str) -> StoredSecret:
    """Describe one secret, without its values.

    Raises:
        NotFoundError: there is none of this name.
    """
    folder = _folder(state, name)
    return StoredSecret(name, tuple(sorted(each.name for each in folder.iterdir())), folder.stat().st_mtime)


def delete_secret(state: Path, name: str) -> None:
    """Delete a secret.

    Raises:
        NotFoundError: there is none of this name.
    """
    folder = _folder(state, name)
    gone = folder.with_name(f".{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(gone)  # a secret is there as a whole or not at all
        shutil.rmtree(gone)


def check(state: Path, spec: PipelineSpec) -> None:
    """Check that the secrets of a spec are there, with the keys that it names.

    Raises:
        NotFoundError: one is missing; the message says how to make it.
        SecretError: a value cannot be a variable.
    """
    given(state, spec)


def given(state: Path, spec: PipelineSpec) -> GivenSecrets:
    """Read the secrets of a spec.

    Raises:
        NotFoundError: one is missing; the message says how to make it.
        SecretError: a value cannot be a variable.
    """
    variables: dict[str, str] = {}
    mounted: dict[str, dict[str, bytes]] = {}
    for each in spec.transform.secrets:
        folder = _folder(state, each.name, reader=spec.name)
        values = {path.name: path.read_bytes() for path in folder.iterdir()}
        if each.key and each.key not in values:
            raise NotFoundError(
                "secret key", f"{each.name}/{each.key}", f"it has {', '.join(sorted(values)) or 'none'}"
            )
        if each.env_var:
            if b"\0" in values.get(each.key, b"\0"):
                raise SecretError(f"{each.name}/{each.key}", "cannot be a variable: no key is named, or it is no text")
            variables[each.env_var] = os.fsdecode(values[each.key])
        if each.mount_path:
            place = each.mount_path.rstrip("/")
            if not place.startswith("/") or mounted.get(place, values) != values:
                raise SecretError(each.mount_path, "cannot hold a secret: it is no absolute path, or holds another one")
            mounted[place] = values
    return GivenSecrets(variables, tuple(MountedSecret(place, values) for place, values in mounted.items()))


def _folder(state: Path, name: str, reader: str = "") -> Path:
    folder = state / _FOLDER / name
    if not _NAME.fullmatch(name) or not folder.is_dir():
        used = f"pipeline {reader} uses it; " if reader else ""
        raise NotFoundError("secret", name, f"{used}make it with `localpach create secret -f FILE`")
    return folder


def _read(content: bytes, source: str) -> tuple[str, dict[str, bytes]]:
    """Read the name and the values of a manifest; no message quotes a value."""
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise SecretError(source, "is no JSON; expected a Kubernetes secret as JSON") from error
    if not isinstance(fields, dict) or fields.get("kind", "Secret") != "Secret":
        raise SecretError(source, "is no secret; expected an object of kind Secret")
    metadata = fields.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SecretError(source, "metadata.name is missing, or not made of letters, digits, - and .")
    values: dict[str, bytes] = {}
    for key, value in _strings(source, fields, "data"):
        try:
            values[key] = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise SecretError(source, f"data.{key} is no base64; plain text goes into stringData") from error
    values |= {key: value.encode() for key, value in _strings(source, fields, "stringData")}
    if not values:
        raise SecretError(source, "holds no value; expected data or stringData")
    return name, values


def _strings(source: str, fields: Mapping[str, Any], name: str) -> Iterable[tuple[str, str]]:
    found = fields.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise SecretError(source, f"{name} is no object of strings")
    for key in found:
        if not _KEY.fullmatch(key):
            raise SecretError(source, f"the key {key!r} is refused; use letters, digits, - _ and .")
    return found.items()
