"""The commands about contexts: where Pachyderm's clients find their server, in the file that pachctl keeps them in.

localpach itself works in a state folder, whatever context is active. But `pachyderm_sdk`, programs that use it and
pachctl read this file, and scripts written for pachctl set it: so contexts are kept, and the active one is shown.
The file is `$PACH_CONFIG`, or `~/.pachyderm/config.json`; what else stands in it stays.
"""

import argparse
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

from localpach.cli.command import Commands, Session
from localpach.errors import AlreadyExistsError, ConfigError, NotFoundError

CONTEXT = "local"  # what is active where there is no file: the state folder
CONFIG_VARIABLE = "PACH_CONFIG"
_DEFAULT = {"source": "NONE", "project": "default"}
_NOTE = "note: clients go there; localpach itself works in {folder} (--state, LOCALPACH_STATE)"
# Flags of `update context`, and the fields of a context that they set.
_FIELDS = {
    "--pachd-address": "pachd_address",
    "--namespace": "namespace",
    "--cluster-name": "cluster_name",
    "--auth-info": "auth_info",
    "--server-cas": "server_cas",
    "--project": "project",
}


def register(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add("config", "", config, "keep the contexts in which Pachyderm's clients find a server")
    parser.add_argument("action", choices=("get", "set", "update", "list", "delete"), help="what to do")
    parser.add_argument("what", choices=("context", "active-context", "metrics"), help="with what")
    parser.add_argument("name", nargs="?", help="name of a context; the active one by default")
    parser.add_argument("--overwrite", action="store_true", help="set: replace a context that is there")
    for flag, field in _FIELDS.items():
        if flag != "--project":  # which every command has
            parser.add_argument(flag, metavar="TEXT", help=f"update: the context's {field}")


def config(session: Session, arguments: argparse.Namespace) -> None:
    """Show or change contexts.

    Raises:
        NotFoundError: there is no context of that name.
        AlreadyExistsError: there is one, and it shall not be replaced.
        ConfigError: the file, or what was given for a context, cannot be read.
    """
    actions = {
        ("get", "context"): _get,
        ("set", "context"): _set,
        ("update", "context"): _update,
        ("delete", "context"): _delete,
        ("list", "context"): _list,
        ("get", "active-context"): _get_active,
        ("set", "active-context"): _set_active,
        ("get", "metrics"): _get_metrics,
        ("set", "metrics"): _set_metrics,
    }
    words = arguments.action, arguments.what
    if words not in actions:
        arguments.usage_error(f"`config {' '.join(words)}` is no command")
    actions[words](session, arguments, ConfigFile(config_path()))


def config_path() -> Path:
    """Return where the contexts are kept."""
    return Path(os.environ.get(CONFIG_VARIABLE) or "~/.pachyderm/config.json").expanduser()


class ConfigFile:
    """The file of contexts; without one there is the context `local`.

    Args:
        path: Where it is, or will be.

    Raises:
        ConfigError: it is not as pachctl writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fields: dict[str, Any] = {}
        if path.exists():
            self._fields = _object(path.read_text(encoding="utf-8"), str(path))
        self._main = self._fields.setdefault("v2", {})
        if not isinstance(self._main, dict) or not isinstance(self._main.get("contexts", {}), dict):
            raise ConfigError(f"{path}: v2.contexts is no object; move the file away, and set the contexts again")
        self.contexts: dict[str, Any] = self._main.setdefault("contexts", {})
        if not self.contexts:
            self.contexts[CONTEXT] = dict(_DEFAULT)
            self._main.setdefault("active_context", CONTEXT)

    @property
    def active(self) -> str:
        """The name of the context that clients use."""
        return str(self._main.get("active_context", ""))

    @active.setter
    def active(self, name: str) -> None:
        self.find(name)
        self._main["active_context"] = name

    def find(self, name: str) -> dict[str, Any]:
        """Return a context.

        Raises:
            NotFoundError: there is none of that name.
        """
        if name not in self.contexts:
            raise NotFoundError("context", name, f"there is {', '.join(sorted(self.contexts))}")
        found: dict[str, Any] = self.contexts[name]
        return found

    def save(self) -> None:
        """Write the file, readable by its owner only: a context may hold a token."""
        self._fields.setdefault("user_id", uuid.uuid4().hex)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(self._fields, file, indent=2)
            file.write("\n")
        os.replace(partial, self._path)


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{place}: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{place}: {type(found).__name__} in place of an object")
    return found


def _get(_session: Session, arguments: argparse.Namespace, file: ConfigFile) -> None:
    print(json.dumps(file.find(arguments.name or file.active), indent=2))


def _set(session: Session, arguments: argparse.Namespace, file: ConfigFile) -> None:
    """Read a context from stdin, as pachctl does."""
    name = _named(arguments)
    if name in file.contexts and not arguments.overwrite:
        raise AlreadyExistsError("context", name, "--overwrite replaces it")
    file.contexts[name] = _object(sys.stdin.read(), "stdin")
    file.save()
    _tell(session, name, file)


def _update(session: Session, arguments: argparse.Namespace, file: ConfigFile) -> None:
    name = arguments.name or file.active
    context = file.find(name)
    for flag, field in _FIELDS.items():
        value = getattr(arguments, flag.removeprefix("--").replace("-", "_"), None)
        if value is not None:
            context[field] = value
    file.save()
    _tell(session, name, file)


def _delete(_session: Session, arguments: argparse.Namespace, file: ConfigFile) -> None:
    name = _named(arguments)
    file.find(name)
    if name == file.active:
        raise ConfigError(f"context {name} is active; make another one active first")
    del file.contexts[name]
    file.save()


def _list(_session: Session, _arguments: argparse.Namespace, file: ConfigFile) -> None:
    for name in sorted(file.contexts):
        print(f"{'*' if name == file.active else ' '} {name}")


def _get_active(_session: Session, _arguments: argparse.Namespace, file: ConfigFile) -> None:
    print(file.active)


def _set_active(session: Session, arguments: argparse.Namespace, file: ConfigFile) -> None:
    name = _named(arguments)
    if name != file.active:
        file.active = name
        file.save()
    _tell(session, name, file)


def _get_metrics(_session: Session, _arguments: argparse.Namespace, _file: ConfigFile) -> None:
    print("false")


def _set_metrics(session: Session, _arguments: argparse.Namespace, _file: ConfigFile) -> None:
    session.progress.note("note: localpach reports to nobody how it is used")


def _named(arguments: argparse.Namespace) -> str:
    if not arguments.name:
        arguments.usage_error("name the context")
    return str(arguments.name)


def _tell(session: Session, name: str, file: ConfigFile) -> None:
    """Say that localpach itself does not follow a context that leads elsewhere."""
    if name == file.active and file.find(name).get("pachd_address"):
        session.progress.note(_NOTE.format(folder=session.folder))
