"""Run the main job on the sample songs: create repos, put songs, create pipelines, and print what came out.

The commands it runs are printed as it goes; they are those of the README. Running it again changes nothing and
processes nothing, because every song is known by then.
"""

import json
import resource
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo"
PIPELINES = {  # spec file -> pipeline
    "audio-processed": "audio-processed",
    "mp3-to-wav": "audio-processed-wav",
    "midi": "midi",
    "transformer-preprocess": "transformer-preprocess",
    "music-transformer-cpu": "music-transformer",
    "generated-music": "generated-music",
    "rendered-music": "rendered-music",
}
LOCALPACH = [sys.executable, "-m", "localpach"]


def main() -> int:
    """Run the chain; return 1 if no piece was rendered."""
    started_s = time.monotonic()
    known = {repo["repo"]["name"] for repo in query("list", "repo")} if (ROOT / ".localpach").exists() else set()
    for repo in ("audio-unprocessed", "seeds"):
        if repo not in known:
            localpach("create", "repo", repo)
    localpach("put", "file", "-r", "audio-unprocessed@master:/", "-f", "samples/songs")
    localpach("put", "file", "-r", "seeds@master:/", "-f", "samples/midi")
    missing = [name for name in PIPELINES if PIPELINES[name] not in known]
    if missing:
        localpach("create", "pipeline", *(word for name in missing for word in ("-f", f"pipelines/{name}.json")))
    localpach("get", "file", "-r", "rendered-music@master:/", "-o", OUTPUT.name)
    print_costs()
    print_memory()
    print_bad_files()
    return print_pieces(time.monotonic() - started_s)


def print_costs() -> None:
    """Print what the newest job of each pipeline did and cost."""
    print("\nstage                     seconds  what ran")
    for name in PIPELINES.values():
        job = newest_job(name)
        ran = f"{job.get('data_processed', 0)} processed, {job.get('data_skipped', 0)} skipped"
        if "data_recovered" in job:
            ran += f", {job['data_recovered']} recovered"
        took = datetime.fromisoformat(job["finished"]) - datetime.fromisoformat(job["started"])
        print(f"{name:24} {took.total_seconds():8.1f}  {ran}; {job['state'].removeprefix('JOB_').lower()}")


def print_memory() -> None:
    """Print the peak memory of the largest program that ran."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak_bytes = peak if sys.platform == "darwin" else peak * 1024
    print(f"largest program: {peak_bytes / 1e6:.0f} MB")


def print_bad_files() -> None:
    """Name every datum that could not be processed, and why."""
    for name in PIPELINES.values():
        for datum in query("why", name):
            if datum["state"] in ("recovered", "failed"):
                paths, reason = " × ".join(datum["files"]), datum["reason"].removeprefix("error: ")
                print(f"{name}: {paths} was left out: {reason}")


def print_pieces(seconds: float) -> int:
    """Print where the rendered pieces are and what to do next; return the exit code."""
    pieces = sorted(OUTPUT.glob("*.mp3"))
    if not pieces:
        print("error: demo: no piece was rendered; expected one per primer. Read the lines above", file=sys.stderr)
        return 1
    print(f"\n{len(pieces)} new pieces in {seconds / 60:.1f} minutes:")
    for piece in pieces:
        print(f"  {piece.relative_to(ROOT)}")
    print("""
Next, in this folder:
  . .venv/bin/activate
  localpach put file audio-unprocessed@master:my-song.mp3 -f ~/Music/my-song.mp3   # add a song: the chain follows
  localpach list pipeline                                                        # how each pipeline is
  localpach why midi                                                             # why each song ran or was skipped
  localpach delete file audio-unprocessed@master:my-song.mp3                     # and forget the song again""")
    return 0


def newest_job(pipeline: str) -> dict[str, Any]:
    """Return a pipeline's newest job."""
    return query("list", "job", "-p", pipeline)[0]


def localpach(*words: str) -> None:
    """Print a command as a person would type it, run it, and stop the demo if it fails."""
    print(f"\n$ localpach {shlex.join(words)}", flush=True)
    done = subprocess.run([*LOCALPACH, *words], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def query(*words: str) -> list[dict[str, Any]]:
    """Return what a listing prints with `--raw -o json`: one document after another."""
    done = subprocess.run(
        [*LOCALPACH, *words, "--raw", "-o", "json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    listing, end = [], 0
    while text := done.stdout[end:].lstrip():
        start = len(done.stdout) - len(text)
        document, end = json.JSONDecoder().raw_decode(done.stdout, start)
        listing.append(document)
    return listing


if __name__ == "__main__":
    sys.exit(main())
