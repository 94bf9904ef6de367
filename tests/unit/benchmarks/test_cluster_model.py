"""The model of a cluster: small cases by hand, and what must hold for all."""

import importlib.util
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cluster_model import (
    Assumptions,
    Costs,
    Stage,
    Training,
    datum_sets,
    makespan,
    simulate,
    song_lengths,
    stops_scaling,
)

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"
# Round numbers: a song of one minute takes 2, 4 and 1 s in the per-song stages, a piece 3 and 1 s.
COSTS = Costs(
    stages={
        "rename": Stage(5.0, 0.0, 1.0),
        "to_wav": Stage(1.0, 1.0, 1.0),
        "transcribe": Stage(4.0, 4.0, 2.0),
        "preprocess": Stage(1.0, 0.0, 1.0),
        "generate": Stage(3.0, 0.0, 1.0),
        "render": Stage(0.0, 1.0, 1.0),
    },
    training=Training(start_cpu_s=20.0, tokens_per_cpu_s=10.0, tokens_per_minute=200.0, cores=2.0),
)
BARE = Assumptions(
    worker_start_s=0.0,
    datum_overhead_s=0.0,
    listed_datum_s=0.0,
    sets_per_worker=1000,
    song_minutes=1.0,
    song_spread=0.0,
    primers=2,
    piece_minutes=1.0,
    passes=1.0,
    training_minutes=None,
)


def outcome(songs, workers, assumptions=BARE, **more):
    lengths = song_lengths(songs, assumptions)
    return simulate(COSTS, assumptions, new_minutes=lengths, workers=workers, **more)


def test_one_song_on_one_worker_by_hand():
    # rename 5, to_wav 2, transcribe (4 + 4) / 2 = 4, preprocess 1, train (20 + 200 / 10) / 2 = 20, two pieces 6 and 2
    one = outcome(1, 1)
    assert one.stage_seconds == {
        "rename": 5, "to_wav": 2, "transcribe": 4, "preprocess": 1, "train": 20, "generate": 6, "render": 2,
    }  # fmt: skip
    assert one.seconds == 40
    # every stage at one processor a worker, but transcribe and train at two
    assert one.core_seconds == one.busy_core_seconds == 5 + 2 + 2 * 4 + 1 + 2 * 20 + 6 + 2


def test_five_songs_on_two_workers_by_hand():
    # 5 equal datums on 2 workers end after 3 of them; 2 pieces on 2 workers after one
    five = outcome(5, 2)
    assert five.stage_seconds == {
        "rename": 5, "to_wav": 6, "transcribe": 12, "preprocess": 3, "train": 60, "generate": 3, "render": 1,
    }  # fmt: skip
    assert five.seconds == 90
    assert five.core_seconds == 5 + 2 * 6 + 2 * 2 * 12 + 2 * 3 + 2 * 60 + 2 * 3 + 2 * 1
    assert five.busy_core_seconds == 5 + 5 * 2 + 2 * 5 * 4 + 5 * 1 + 2 * 60 + 2 * 3 + 2 * 1


def test_overheads_by_hand():
    assumptions = replace(BARE, worker_start_s=30, datum_overhead_s=0.5, listed_datum_s=0.01)
    lengths = song_lengths(2, assumptions)
    slow = simulate(COSTS, assumptions, new_minutes=lengths, workers=2, old_songs=98)
    # each job starts in 30 s; 100 datums are listed in 1 s, in the per-song jobs and, as names, in rename
    assert slow.stage_seconds["rename"] == pytest.approx(30 + 5 + 1)
    assert slow.stage_seconds["to_wav"] == pytest.approx(30 + 1 + 2.5)
    assert slow.stage_seconds["generate"] == pytest.approx(30 + 3.5)
    assert slow.stage_seconds["train"] == pytest.approx(30 + 10 + 100 * 10 + 0.5)


def test_commits_pass_the_stations_like_a_line():
    # Two songs in two commits: the second waits at each station until the first has left it.
    # Free after commit 1: 5, 7, 11, 12, 32, 38, 40. Commit 2: rename 10, to_wav 12, transcribe 16, preprocess 17,
    # train max(17, 32) + 30 = 62, generate 68, render 70.
    two = outcome(2, 1, commits=2)
    assert two.seconds == 70
    assert two.stage_seconds["train"] == 20 + 30


def test_one_commit_is_quicker_than_one_a_song():
    assert outcome(50, 4).seconds < outcome(50, 4, commits=50).seconds / 10


def test_ceiling_of_training():
    assert outcome(1000, 8, replace(BARE, training_minutes=1.0)).stage_seconds["train"] == 10 + 60
    assert outcome(1, 1, replace(BARE, training_minutes=1.0)).stage_seconds["train"] == 20
    assert outcome(1, 1, replace(BARE, training_speedup=10)).stage_seconds["train"] == 11


def test_large_sets_leave_workers_waiting():
    # 5 datums of 2 s, one set a worker: 2 workers get 2 and 3 of them, 3 workers 1, 2 and 2
    assert outcome(5, 2, replace(BARE, sets_per_worker=1)).stage_seconds["to_wav"] == 6
    assert outcome(5, 3, replace(BARE, sets_per_worker=1)).stage_seconds["to_wav"] == 4
    assert outcome(5, 3).busy_core_seconds == pytest.approx(
        outcome(5, 3, replace(BARE, sets_per_worker=1)).busy_core_seconds
    )


@pytest.mark.parametrize(
    ("seconds", "workers", "expected"),
    [([], 3, 0), ([4], 3, 4), ([1, 1, 1, 1, 1], 2, 3), ([3, 1, 1, 1], 2, 3), ([1, 1, 1, 3], 2, 4), ([2, 2], 1, 4)],
)
def test_next_free_worker_takes_the_next_set(seconds, workers, expected):
    assert makespan(seconds, workers) == expected


@given(st.integers(1, 500), st.integers(1, 20), st.integers(1, 6))
def test_every_datum_is_in_exactly_one_set(datums, workers, per_worker):
    sets = datum_sets(datums, workers, per_worker)
    assert [place for a, b in sets for place in range(a, b)] == list(range(datums))
    assert {b - a for a, b in sets} <= {datums // len(sets), -(-datums // len(sets))}


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 8))
def test_what_must_hold_for_all(songs, workers, per_worker):
    assumptions = replace(BARE, song_spread=0.5, sets_per_worker=per_worker)
    lengths = song_lengths(songs, assumptions)
    now = simulate(COSTS, assumptions, new_minutes=lengths, workers=workers)
    work_s = sum(COSTS.stages["transcribe"].seconds(minutes) for minutes in lengths)
    # conservation: the same work is done however many workers share it, and none is paid that was not reserved
    alone = simulate(COSTS, assumptions, new_minutes=lengths, workers=1)
    assert now.busy_core_seconds == pytest.approx(alone.busy_core_seconds)
    assert now.core_seconds >= now.busy_core_seconds * (1 - 1e-9)
    # the bounds of any schedule: not before the work is shared out, not after one worker does all
    assert work_s / workers * (1 - 1e-9) <= now.stage_seconds["transcribe"] <= work_s * (1 + 1e-9)
    # one more song is more work
    more = simulate(COSTS, assumptions, new_minutes=[*lengths, 1.0], workers=1)
    assert more.seconds > alone.seconds


def test_more_workers_are_never_slower_with_equal_songs():
    times = [outcome(1000, workers).seconds for workers in (1, 2, 4, 8, 16, 32, 64, 128, 1024)]
    assert times == sorted(times, reverse=True)
    assert times[-1] == outcome(1000, 1000).seconds  # a worker without a song changes nothing


def test_lengths_have_the_mean_that_is_asked_for_and_are_the_same_again():
    assumptions = Assumptions(song_minutes=4.0, song_spread=0.4)
    lengths = song_lengths(20_000, assumptions)
    assert sum(lengths) / 20_000 == pytest.approx(4.0, rel=0.02)
    assert lengths == song_lengths(20_000, assumptions)


def test_where_it_stops_scaling():
    assert stops_scaling({1: 100.0, 2: 60.0, 4: 40.0, 8: 37.0, 16: 36.0}) == 4
    assert stops_scaling({1: 100.0, 2: 50.0, 4: 25.0}) is None


def test_commits_are_at_most_one_a_song():
    with pytest.raises(ValueError, match="commits must be 1 to 3, received 4"):
        outcome(3, 1, commits=4)


# -- the program and its picture


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("simulate_cluster", ROOT / "scripts" / "simulate_cluster.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_program_prints_a_table_and_draws(script, tmp_path, capsys):
    picture = tmp_path / "plot.svg"
    words = ["--songs", "10", "1000", "--workers", "1", "2", "4", "--plot", str(picture), "--cpu_price", "0.1"]
    assert script.main(words) == 0
    out = capsys.readouterr().out
    assert "1,000 new songs" in out
    assert "price a song" in out
    assert lines_of(picture) == {"10 songs", "1,000 songs"}


def test_price_is_hours_times_price(script, capsys):
    script.main(["--songs", "100", "--workers", "1", "--cpu_price", "2"])
    row = capsys.readouterr().out.splitlines()[3].split()
    assert float(row[6]) == pytest.approx(2 * float(row[3]), abs=2e-5)


def test_costs_that_are_none_are_one_line(script, tmp_path, capsys):
    (tmp_path / "bad.json").write_text(json.dumps({"stages": {}}))
    assert script.main(["--costs", str(tmp_path / "bad.json")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'bad.json'}: 'training'; expected the costs that")
    assert script.main(["--songs", "2", "--commits", "3"]) == 1
    assert "--commits 3: more than 2 songs" in capsys.readouterr().err


def test_every_assumption_is_a_flag_with_help(script):
    text = script.build_parser().format_help()
    assert {f"--{name}" for name in Assumptions.__dataclass_fields__} <= set(text.replace("]", " ").split())


def lines_of(picture):
    """Name the lines of a picture, that is its groups named as a number of songs."""
    groups = [each.get("id", "") for each in ElementTree.fromstring(picture.read_text()).iter(f"{SVG}g")]
    return {name for name in groups if re.fullmatch(r"[\d,]+ songs?", name)}


def test_picture_of_the_docs_shows_four_numbers_of_songs():
    names = {"1 song", "100 songs", "10,000 songs", "1,000,000 songs"}
    assert lines_of(ROOT / "docs" / "cluster-scaling.svg") == names


@pytest.mark.parametrize("songs", ["1", "100", "10,000"])
def test_table_of_the_docs_is_what_the_model_says(script, songs):
    manual = (ROOT / "docs" / "pachyderm.md").read_text()
    cells = next(line for line in manual.splitlines() if line.startswith(f"| {songs} |")).strip("| ").split(" | ")
    lengths = song_lengths(int(songs.replace(",", "")), Assumptions())
    costs = script.load_costs(script.COSTS)
    unit_s = {"s": 1, "h": 3600}
    for workers, cell in zip((1, 8, 64, 1024), cells[1:5], strict=True):
        number, unit = cell.split()
        found = simulate(costs, Assumptions(), new_minutes=lengths, workers=workers).seconds
        assert float(number) * unit_s[unit] == pytest.approx(found, rel=0.03)
    times = {2**n: simulate(costs, Assumptions(), new_minutes=lengths, workers=2**n).seconds for n in range(11)}
    assert stops_scaling(times) == int(cells[5])


def test_axes_are_logarithmic(script, tmp_path):
    script.draw(tmp_path / "plot.svg", {"10 songs": [(1, 1), (10, 10), (100, 100)]}, {})
    groups = ElementTree.fromstring((tmp_path / "plot.svg").read_text()).iter(f"{SVG}g")
    line = next(each for each in groups if each.get("id") == "10 songs")
    numbers = [float(each) for each in re.findall(r"[\d.]+", line.find(f"{SVG}path").get("d"))]
    (x1, y1), (x2, y2), (x3, y3) = zip(numbers[::2], numbers[1::2], strict=True)
    assert (x3 - x2, y3 - y2) == pytest.approx((x2 - x1, y2 - y1))


def test_the_same_picture_is_drawn_each_time(script, tmp_path):
    for name in ("a.svg", "b.svg"):
        script.draw(tmp_path / name, {"10 songs": [(1, 2), (2, 1)]}, {"10 songs": 1})
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
