from pathlib import Path

import numpy as np
import pytest

from ambient.beat import STEPS, find_beat
from ambient.midi import read_midi
from ambient.notes import Note

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


def struck(times, *, pitch=62, accent=0):
    return [Note(t, pitch, t + 0.3, 100 if accent and i % accent == 0 else 60) for i, t in enumerate(sorted(times))]


@pytest.mark.parametrize("beat_s", [0.5, 0.6, 0.75])
def test_even_beat_is_found_to_a_thousandth(beat_s):
    beat = find_beat(struck(1.0 + np.arange(64) * beat_s))
    assert beat is not None
    assert beat.seconds == pytest.approx(beat_s, rel=1e-3)
    assert beat.clearness > 0.99


def test_player_who_is_20_ms_early_and_late_still_has_a_beat():
    random = np.random.default_rng(3)
    beat = find_beat(struck(1.0 + np.arange(100) * 0.5 + random.normal(0, 0.02, 100)))
    assert beat is not None
    assert beat.per_minute == pytest.approx(120, abs=0.5)
    assert beat.clearness == pytest.approx(np.exp(-2 * np.pi**2 * 0.02**2 / 0.5**2), abs=0.03)


def test_music_without_a_pulse_has_no_beat():
    random = np.random.default_rng(4)
    for _ in range(40):
        count = int(random.integers(12, 120))
        assert find_beat(struck(random.uniform(0, count * random.uniform(0.3, 1.2), count))) is None


def test_too_little_music_has_no_beat():
    assert find_beat([]) is None
    assert find_beat(struck(np.arange(11) * 0.5)) is None
    assert find_beat(struck([0.0] * 200)) is None  # one chord


def test_eighths_are_half_of_a_beat():
    beat = find_beat(struck(np.arange(64) * 0.25))
    assert beat is not None
    assert beat.seconds == pytest.approx(0.5, rel=1e-3)
    steps = [beat.step(i * 0.25) for i in range(64)]
    assert np.diff(steps).tolist() == [STEPS // 2] * 63


@pytest.mark.parametrize("bar", [3, 4])
def test_accents_say_how_long_a_bar_is_and_where_it_begins(bar):
    beat = find_beat(struck(2.0 + np.arange(bar * 20) * 0.6, accent=bar))
    assert beat is not None
    assert beat.bar == bar
    assert beat.step(2.0) % (bar * STEPS) == 0


def test_steps_go_on_evenly_after_the_last_note():
    beat = find_beat(struck(np.arange(40) * 0.5))
    assert beat is not None
    last = beat.step(19.5)
    assert beat.step(21.5) - last == 4 * STEPS


def test_samples_with_a_beat_are_as_many_as_the_manual_says():
    found = {
        folder: [path.stem for path in sorted((SAMPLES / folder).glob("*.mid")) if find_beat(read_midi(path).notes)]
        for folder in ("midi", "generated")
    }
    numbers = ("none", "one", "two", "three", "four", "five", "six", "seven")
    manual = " ".join((SAMPLES.parent / "docs" / "studio.md").read_text(encoding="utf-8").split())
    assert f"Of the seven sample primers {numbers[len(found['midi'])]} have one" in manual
    assert f"`samples/generated` {numbers[len(found['generated'])]} (" in manual
