"""The studio as it is used: a real browser, a real server, a real chain.

It needs a Chromium: Debian's package `chromium`, or any that STUDIO_CHROMIUM names; without one it is left out.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("STUDIO_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium found: apt-get install chromium, or name one in STUDIO_CHROMIUM"
)
LONG_MS = 240_000
AXE = ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
VIEWS = ("flow", "songs", "compose", "pieces", "models")


class Server:
    """A studio in a process of its own, which can be killed and started again at the same address."""

    def __init__(self, state):
        self.state = state
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        words = ["-m", "ambient.studio", "--state", str(self.state), "--port", str(self.port)]
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.address in self.process.stdout.readline()

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)  # its workers with it, as a crash of the machine would
        self.process.wait()
        self.process.stdout.close()

    def get(self, path):
        with urllib.request.urlopen(self.address + path) as answer:
            return json.load(answer)


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path / "state")
    yield found
    found.kill()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield found
        found.close()


@pytest.fixture
def page(browser, server):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(60_000)
    found = context.new_page()
    found.faults, found.hosts = [], set()
    found.on("pageerror", lambda error: found.faults.append(str(error)))
    found.on("request", lambda request: found.hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
    found.goto(server.address)
    yield found
    assert found.faults == []
    assert found.hosts <= {f"127.0.0.1:{server.port}", ""}
    context.close()


def excerpt(tmp_path, name, seconds=15):
    """Cut the beginning of a sample song: the chain hears it in a few seconds."""
    import imageio_ffmpeg

    path = tmp_path / name
    source = ROOT / "samples" / "songs" / "slow-tide.mp3"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(source), "-t", str(seconds), str(path)]
    subprocess.run(command, check=True)
    return path


def drop(page, *paths):
    page.locator("#pick").set_input_files([str(path) for path in paths])


def compose(page, *, takes, minutes):
    page.get_by_label("Minutes").fill(str(minutes))
    page.get_by_label("How many").fill(str(takes))
    page.get_by_role("button", name="Compose", exact=True).click()


def test_drop_a_song_hear_it_compose_from_it_keep_download_kill_and_go_on(page, server, tmp_path):
    expect = playwright.expect
    expect(page.get_by_role("heading", name="Drop songs here")).to_be_visible()
    drop(page, excerpt(tmp_path, "<b>My song<-b>.mp3"))
    expect(page.locator(".toast")).to_contain_text("1 song put in")
    expect(page.locator(".chain")).to_contain_text("Transcriptions")
    heard = page.locator(".chain li", has_text="Transcriptions")
    expect(heard).to_have_attribute("data-state", "done", timeout=LONG_MS)

    page.keyboard.press("2")
    song = page.locator(".song")
    expect(song).to_contain_text("<b>My song<-b>.mp3")
    expect(song.locator(".about").first).to_contain_text(re.compile(r"\d+ notes"), timeout=LONG_MS)
    song.get_by_role("button", name="Play").click()
    expect(page.locator("#transport .time")).not_to_have_text(re.compile(r"^0:00"), timeout=20_000)
    page.keyboard.press("Escape")
    page.locator("#view").focus()
    page.keyboard.press(" ")
    expect(page.locator("#transport .play")).to_have_attribute("aria-label", "Play")
    song.get_by_label("Passage begins, seconds").fill("1")
    song.get_by_label("Passage ends, seconds").fill("9")
    song.get_by_label("Passage ends, seconds").press("Tab")
    song.get_by_role("button", name="Compose from 0:01–0:09").click()

    expect(page.locator(".primer .about").last).to_have_text(re.compile("From 0:01 to 0:09"))
    page.get_by_role("slider", name="calm to busy").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".lane").first).to_contain_text("45 %")
    compose(page, takes=4, minutes=0.25)
    expect(page.locator(".take")).to_have_count(4)
    expect(page.locator(".take[data-state=done]")).to_have_count(4, timeout=LONG_MS)
    first = page.locator(".take").first
    title = first.locator(".take-title").inner_text()
    page.get_by_label("Instrument").select_option("felt piano")
    first.get_by_role("button", name="Play").click()
    expect(page.locator("#transport .about")).to_have_text("felt piano", timeout=LONG_MS)  # first the light one
    expect(page.locator("#transport .time")).not_to_have_text(re.compile(r"^0:00"))
    first.get_by_role("button", name="Keep", exact=True).click()
    expect(first).to_have_attribute("data-verdict", "kept")
    page.locator(".take").nth(1).get_by_role("button", name="Discard").click()
    expect(page.locator(".take")).to_have_count(3)

    first.locator(".take-title").click()
    expect(page.locator(".stage h2")).to_have_text(title)
    with page.expect_download() as midi:
        page.get_by_role("link", name="MIDI").click()
    assert Path(midi.value.path()).read_bytes().startswith(b"MThd")
    assert midi.value.suggested_filename == f"{title}.mid"
    page.get_by_role("radio", name="felt piano").click()
    with page.expect_download(timeout=LONG_MS) as sound:
        page.get_by_role("button", name="MP3").click()
    assert Path(sound.value.path()).stat().st_size > 50_000
    page.locator(".stage").get_by_role("button", name="Play").first.click()
    expect(page.locator(".loudness-box")).to_contain_text(re.compile(r"-(15\.9|16\.[01]) LUFS"), timeout=LONG_MS)
    page.get_by_role("button", name="MusicXML").click()
    expect(page.locator(".stage")).to_contain_text("Looking for the beat")
    page.locator("#view").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Again from here").click()
    expect(page.locator(".toast").last).to_contain_text(re.compile("2 takes from 0:.* on"))
    page.locator("#view").focus()
    page.keyboard.press("z")
    expect(page.locator(".toast").last).to_contain_text("Taken back")

    server.kill()
    expect(page.locator("#line")).to_contain_text("waiting for it")
    server.start()
    expect(page.locator("#line")).to_have_text("", timeout=30_000)
    assert [each["title"] for each in server.get("/api/pieces") if each["origin"] == "kept"] == [title]
    page.keyboard.press("3")
    expect(page.locator(".take")).to_have_count(3)
    assert [each["name"] for each in server.get("/api/songs")] == ["<b>My song<-b>.mp3"]


def test_file_that_is_half_sent_when_the_server_is_killed_is_sent_again_by_the_page(page, server, tmp_path):
    expect = playwright.expect
    big = tmp_path / "big.wav"
    content = excerpt(tmp_path, "small.wav", seconds=5).read_bytes()
    big.write_bytes(
        content[:4] + (len(content) + 30_000_000 - 8).to_bytes(4, "little") + content[8:] + bytes(30_000_000)
    )
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4_000_000}
    slow.send("Network.emulateNetworkConditions", conditions)
    drop(page, big)
    bar = page.locator(".uploads progress")
    expect(bar).to_be_visible()
    for _ in range(600):
        if bar.evaluate("bar => bar.value") > 4e6:
            break
        page.wait_for_timeout(100)
    assert 4e6 < bar.evaluate("bar => bar.value") < 25e6
    server.kill()
    slow.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": -1})
    server.start()
    expect(page.locator(".toast").first).to_contain_text("1 song put in", timeout=LONG_MS)
    [song] = server.get("/api/songs")
    assert (song["name"], song["bytes"]) == ("big.wav", big.stat().st_size)
    left = server.state / "studio" / "uploads"
    assert [path for path in left.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_any_view(browser, server, scheme):
    """Rules of WCAG 2.2 A and AA and of good practice, over every view with something in it; the phone once."""
    from ambient.studio.store import GENERATED, MIDI, SONGS, LocalStore

    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256
    store = LocalStore(server.state, ROOT / "pipelines")
    store.put(SONGS, {"calm.mp3": (ROOT / "samples" / "songs" / "slow-tide.mp3").read_bytes()})
    store.put(MIDI, {"calm.mid": (ROOT / "samples" / "midi" / "2.mid").read_bytes()})
    store.put(GENERATED, {"1.mid": (ROOT / "samples" / "generated" / "1.mid").read_bytes()})
    shown = {
        "flow": ".chain .node", "songs": ".song-name", "compose": ".lane-slider",
        "pieces": ".stage .facts", "models": ".model .facts",
    }  # fmt: skip
    found = []
    for width in (1280, 390) if scheme == "light" else (1280,):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
        )
        page = context.new_page()
        for view, sign in shown.items():
            page.goto(f"{server.address}/#/{view}")
            page.wait_for_selector(f".view-{view} {sign}")
            if view == "songs":
                page.locator(".song-name").click()
                page.wait_for_selector(".deck .roll")
            if page.evaluate("typeof axe") == "undefined":
                page.evaluate(AXE.read_text(encoding="utf-8"))
            result = page.evaluate("axe.run(document)")
            assert len(result["passes"]) > 15
            found += [
                (view, width, each["id"], each["nodes"][0]["html"][:200])
                for each in result["violations"]
                if each["impact"] in ("serious", "critical")
            ]
        context.close()
    assert found == []


def test_a_piano_roll_has_words_from_the_start(page):
    made = "async () => (new (await import('/static/roll.js')).Roll({})).canvas.getAttribute('aria-label')"
    assert page.evaluate(made) == "Piano roll without notes yet"


def test_notes_appear_and_sound_while_they_are_composed_and_what_was_killed_goes_on(page, server):
    expect = playwright.expect
    page.keyboard.press("3")
    expect(page.locator(".primer .roll")).to_be_visible()
    compose(page, takes=1, minutes=8)
    take = page.locator(".take")
    expect(take).to_contain_text(re.compile(r"[1-9]\d* notes so far"), timeout=LONG_MS)
    take.get_by_role("button", name="Play").click()
    expect(page.locator("#transport .time")).to_have_text(re.compile("^0:0[1-9]"), timeout=30_000)
    server.kill()
    server.start()
    expect(take).to_contain_text(re.compile(r"[1-9]\d* notes so far"), timeout=LONG_MS)
    take.get_by_role("button", name="Stop").click()
    expect(take).to_have_attribute("data-state", "cancelled")


def test_what_is_no_recording_is_named_and_the_rest_can_be_put(page, tmp_path):
    expect = playwright.expect
    expect(page.get_by_role("heading", name="Drop songs here")).to_be_visible()
    web_page = tmp_path / "page.mp3"
    web_page.write_text("<!doctype html><html>no sound</html>")
    drop(page, web_page, excerpt(tmp_path, "good.mp3", seconds=3))
    expect(page.locator(".uploads")).to_contain_text("is a web page, not a recording")
    page.get_by_role("button", name="Put in 1").click()
    expect(page.locator(".chain .node").first).to_contain_text("1")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".commits")).to_contain_text("undo of")


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_no_view_is_wider_than_the_screen_with_something_loaded(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(page.url.split("#")[0] + "#/compose")
    playwright.expect(page.locator(".primer")).to_contain_text("All of it")
    page.get_by_role("button", name="Play the primer").click()  # the player shows its time, too
    playwright.expect(page.locator("#transport .time")).to_contain_text("/")
    for view in VIEWS:
        page.goto(page.url.split("#")[0] + f"#/{view}")
        page.wait_for_selector(f".view-{view}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_counts_of_the_chain_stand_in_one_line_and_its_last_card_ends_with_the_panels(page, server):
    from ambient.studio.store import SEEDS, LocalStore

    store = LocalStore(server.state, ROOT / "pipelines")
    store.put(SEEDS, {"1.mid": (ROOT / "samples" / "midi" / "1.mid").read_bytes()})
    page.wait_for_selector(".chain:not([hidden]) .node")
    tops = page.locator(".chain li:not(.side) .node b").evaluate_all("all => all.map((each) => each.offsetTop)")
    assert len(tops) == 8
    assert len(set(tops)) == 1
    last, panel = (page.locator(at).bounding_box() for at in (".chain li:nth-child(8) .node", ".history"))
    assert last["x"] + last["width"] == pytest.approx(panel["x"] + panel["width"], abs=0.5)


def test_keys_are_listed_and_lead_everywhere(page):
    expect = playwright.expect
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("play, pause")
    page.keyboard.press("Escape")
    for key, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(key))
        expect(page.locator("#view")).to_have_class(f"view-{view}")


def test_two_versions_are_heard_with_one_key_and_an_older_one_made_to_compose(page, server):
    from ambient.studio.services.models import SHIPPED_FOLDER
    from ambient.studio.store import MODEL, LocalStore

    expect = playwright.expect
    store = LocalStore(server.state, ROOT / "pipelines")
    store.put(MODEL, {path.name: path for path in SHIPPED_FOLDER.iterdir()})
    page.keyboard.press("5")
    expect(page.locator(".model")).to_have_count(2)
    page.get_by_role("button", name="Compose with both").click()
    sides = page.locator(".side-of")
    expect(sides).to_have_count(2)
    for side in range(2):
        # A minute, but for where its end is: up to 5 s earlier, and the last chord rings.
        expect(sides.nth(side).locator(".about")).to_have_text(re.compile(r"^(0:5|1:0)\d"), timeout=LONG_MS)
    page.locator("#view").focus()
    page.keyboard.press("b")
    expect(page.locator("#transport .title")).to_have_text("A: version 1")
    page.keyboard.press("b")
    expect(page.locator("#transport .title")).to_have_text("B: shipped model")
    a, b = (server.get(f"/api/takes/{each['id']}") for each in server.get("/api/takes"))
    assert a["notes"] == b["notes"]  # the version has the same weights, so the same primer and seed give the same music
    page.get_by_role("button", name="Let it compose here").click()
    expect(page.locator(".toast")).to_contain_text("The chain goes on with its newest version")
    page.keyboard.press("3")
    expect(page.get_by_label("Composer")).to_have_value("shipped")
