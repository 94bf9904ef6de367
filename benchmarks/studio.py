"""How quickly does the studio start, show itself, draw, and hear its first songs? Prints one line a figure.

    python3 benchmarks/studio.py [--sections start view frames chain] [--repeats 5]

`start` is from the start of the process to its first answer, with an empty store. `view` is from the navigation of a
fresh browser to the first view with its content. `frames` lets the playhead run over a roll of 5,000 notes that scrolls
and counts frames, and the time that one costs in the page's own code. `chain` is from pressing *Begin with six sample
songs* to the last of the new pieces rendered. `view` and `frames` need a Chromium (STUDIO_CHROMIUM, or on PATH). The
clock counts: on a machine that has other work its figures are upper bounds. Beside it stands processor time where it is
known, of the server's process or of the page's thread, which other programs disturb less.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = ("start", "view", "frames", "chain")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LAST_PIPELINE = "rendered-music"
# Notes when the first view has content, since the navigation began.
WATCH = """
new MutationObserver((_, watcher) => {
  if (!document.querySelector('.welcome h2, .chain:not([hidden]) .node')) return;
  window.shownAt = performance.now();
  watcher.disconnect();
}).observe(document, { childList: true, subtree: true });
"""
FRAMES = """
async ([count, seconds]) => {
  const { Roll } = await import('/static/roll.js');
  const roll = new Roll({ perSecond: 60 });
  document.getElementById('view').replaceChildren(roll.canvas);
  roll.canvas.style.width = '1200px';
  const notes = Array.from({ length: count }, (_, i) => [i * 0.12, 40 + i * 7 % 48, i * 0.12 + 0.5, 40 + i % 80]);
  roll.set({ notes });
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  await frame();
  const begin = performance.now();
  let frames = 0, worst = 0, spent = 0;
  while (performance.now() - begin < seconds * 1000) {
    const at = performance.now();
    roll.setPlayhead(20 + (at - begin) / 1000);
    const cost = performance.now() - at;
    spent += cost;
    worst = Math.max(worst, cost);
    frames += 1;
    await frame();
  }
  return { perSecond: frames / (performance.now() - begin) * 1000, mean: spent / frames, worst };
}
"""


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="only these (default: all)")
    parser.add_argument("--repeats", type=int, default=5, help="of start and view (default: %(default)s)")
    arguments = parser.parse_args(argv)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if "start" in arguments.sections:
        print_times("start to first answer", [start_s() for _ in range(arguments.repeats)])  # of the server
    if {"view", "frames"} & set(arguments.sections):
        print_in_browser(arguments)
    if "chain" in arguments.sections:
        print(f"sample songs put to new pieces rendered: {chain_s():.0f} s", flush=True)
    return 0


@contextmanager
def studio() -> Iterator[tuple[str, int]]:
    """Serve an empty store; gives the address and the process."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        words = [sys.executable, "-m", "ambient.studio", "--state", str(Path(folder) / "state"), "--port", "0"]
        with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                yield next(word for word in line.split() if word.startswith("http")), process.pid
            finally:
                process.terminate()


def get(address: str, *, post: bool = False) -> Any:
    """Ask the studio."""
    with urllib.request.urlopen(urllib.request.Request(address, method="POST" if post else "GET")) as answer:
        return json.load(answer)


def start_s() -> tuple[float, float]:
    """Return the seconds from the start of a process to its first answer, by the clock and of the processor."""
    begin = time.perf_counter()
    with studio() as (address, process):
        get(f"{address}api/flow")
        return time.perf_counter() - begin, processor_s(process)


def processor_s(process: int) -> float:
    """Return the processor time that a process has used; nan where the system does not say (it is not Linux)."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def chain_s() -> float:
    """Return the seconds from the sample songs to the last rendered piece."""
    with studio() as (address, _):
        begin = time.perf_counter()
        get(f"{address}api/samples", post=True)
        while True:
            nodes = {node["name"]: node for node in get(f"{address}api/flow")["nodes"]}
            failed = [node["error"] for node in nodes.values() if node["state"] == "failed"]
            if failed:
                raise SystemExit(f"error: {failed[0]}")
            if nodes[LAST_PIPELINE]["state"] == "done" and nodes[LAST_PIPELINE]["files"]:
                return time.perf_counter() - begin
            time.sleep(0.5)


def print_in_browser(arguments: argparse.Namespace) -> None:
    """Print what a browser measures."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("STUDIO_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit("error: no Chromium found; install it, or name one in STUDIO_CHROMIUM")
    with studio() as (address, _), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        if "view" in arguments.sections:
            times = []
            for _ in range(arguments.repeats):
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()
                page.add_init_script(WATCH)
                inspector = context.new_cdp_session(page)
                inspector.send("Performance.enable", {"timeDomain": "threadTicks"})
                page.goto(address)
                page.wait_for_selector(".welcome h2")
                metrics = {each["name"]: each["value"] for each in inspector.send("Performance.getMetrics")["metrics"]}
                times.append((float(page.evaluate("window.shownAt")) / 1000, float(metrics["TaskDuration"])))
                context.close()
            print_times("navigation to first view", times)
        if "frames" in arguments.sections:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address)
            page.wait_for_selector(".welcome h2")
            found = page.evaluate(FRAMES, [5000, 5])
            print(
                f"roll of 5,000 notes that scrolls: {found['perSecond']:.0f} frames a second; "
                f"a frame costs {found['mean']:.1f} ms, at most {found['worst']:.1f} ms",
                flush=True,
            )
        browser.close()


def print_times(what: str, times: list[tuple[float, float]]) -> None:
    """Print the quickest and the median of some times by the clock, and the least of the processor."""
    clock, processor = ([each[side] * 1000 for each in times] for side in (0, 1))
    print(
        f"{what}: {min(clock):.0f} ms, median {statistics.median(clock):.0f} ms; "
        f"processor time {min(processor):.0f} ms, median {statistics.median(processor):.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
