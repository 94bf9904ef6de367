"""Stands for `docker` in tests: records how it was called, and runs the command in place, its mounts by rewriting.

Not a test: a program that tests put on the PATH. The folder of its records is in `STAND_IN`. What it starts is in a
session of its own, so that, as with an engine, killing the one who asked does not end it.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

RECORDS = Path(os.environ["STAND_IN"])
IMAGES = ("toy:1", "ubuntu:20.04")
VALUED = ("name", "label", "pull", "network", "security-opt", "user", "mount", "workdir", "env", "env-file",
          "entrypoint", "memory")  # fmt: skip


def main(argv: list[str]) -> int:
    with (RECORDS / "calls").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(argv) + "\n")
    if argv[0] == "run":
        return run(argv[1:])
    if argv[:2] == ["image", "inspect"]:
        if argv[2] not in IMAGES:
            print(f"Error: No such image: {argv[2]}", file=sys.stderr)
        return int(argv[2] not in IMAGES)
    if argv[0] == "ps":
        wanted = argv[-1].removeprefix("label=")
        print("\n".join(path.name for path in RECORDS.glob("localpach-*") if json.loads(path.read_text())[1] == wanted))
    if argv[0] == "kill":
        for name in argv[1:]:
            if (RECORDS / name).exists():
                os.killpg(json.loads((RECORDS / name).read_text())[0], signal.SIGKILL)
                (RECORDS / name).unlink()
    if argv[0] == "--version":
        print("Docker version 0, a stand-in")
    return 0


def run(words: list[str]) -> int:
    given: dict[str, list[str]] = {}
    while words[0].startswith("--"):
        flag = words.pop(0).removeprefix("--")
        given.setdefault(flag, []).append(words.pop(0) if flag in VALUED else "")
    image, *arguments = words
    assert image in IMAGES
    mounts = [dict(part.partition("=")[::2] for part in each.split(",")) for each in given["mount"]]

    def inside(text: str) -> str:
        for mount in mounts:
            text = text.replace(mount["target"], mount["source"])
        return text

    environment = {"PATH": os.environ["PATH"]}
    for each in given.get("env", []):
        name, _, value = each.partition("=")
        environment[name] = inside(value or os.environ[name])
    for path in given.get("env-file", []):
        environment |= dict(line.partition("=")[::2] for line in Path(path).read_text().splitlines())
    process = subprocess.Popen(
        [inside(each) for each in (*given["entrypoint"], *arguments)],
        stdin=subprocess.PIPE,
        env=environment,
        cwd=inside(given.get("workdir", ["/tmp"])[0]),
        start_new_session=True,
    )
    note = RECORDS / given["name"][0]
    note.write_text(json.dumps([process.pid, given["label"][0]]))
    process.communicate(inside(sys.stdin.read()).encode())
    note.unlink(missing_ok=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
