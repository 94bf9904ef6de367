"""Training data: only what may be heard is rendered, sound and labels are in time, crops match their notes."""

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.midi import write_midi
from ambient.notes import Note, cut_at_restrikes
from ambient.onsets_and_frames import rendering
from ambient.onsets_and_frames.augmentation import (
    humanised,
    recorded,
    resampled,
    thinned,
    through_codec,
    wow_flutter,
)
from ambient.onsets_and_frames.config import RenderingConfig
from ambient.onsets_and_frames.data import TakeCache, prefetched
from ambient.onsets_and_frames.labels import notes_to_rolls
from ambient.onsets_and_frames.rendering import (
    Sounds,
    fill_cache,
    load_take,
    make_take,
    pieces_of,
    plan_takes,
    save_take,
)
from ambient.sound.soundfont import find_soundfont

COLUMNS = ("path", "split", "maps_test", "duplicate_of", "distinct_velocities")


@pytest.fixture
def midi_set(tmp_path, melody):
    """A set of six pieces: two to train on, and one for each reason not to be."""
    rows = [
        ("played.mid", "train", "no", "", "40"),
        ("score.mid", "train", "no", "", "1"),
        ("again.mid", "train", "no", "played.mid", "1"),
        ("maps.mid", "train", "yes", "", "50"),
        ("kept.mid", "test", "no", "", "50"),
        ("valid.mid", "valid", "no", "", "50"),
    ]
    folder = tmp_path / "midi"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([COLUMNS, *rows])
    for row in rows:
        write_midi(folder / row[0], melody)
    return folder


@pytest.fixture
def clicks(monkeypatch):
    """Instead of a soundfont: each note is a click of noise at its start."""

    def render(notes, soundfont, *, program):
        played = list(notes)
        sound = np.zeros((int((max(n.end_s for n in played) + 1) * 48_000), 2), dtype=np.float32)
        for note in played:
            start = round(note.start_s * 48_000)
            sound[start : start + 480] = (
                np.random.default_rng(note.pitch).uniform(-1, 1, (480, 2)) * note.velocity / 127
            )
        return sound

    monkeypatch.setattr(rendering, "render_notes", render)


def names(pieces):
    return [piece.path.name for piece in pieces]


def test_only_the_split_asked_for_and_nothing_of_maps_is_rendered(midi_set):
    assert names(pieces_of(midi_set, "train")) == ["played.mid", "score.mid"]
    assert names(pieces_of(midi_set, "valid")) == ["valid.mid"]


def test_the_test_split_cannot_be_asked_for(midi_set):
    with pytest.raises(ValueError, match="never rendered"):
        pieces_of(midi_set, "test")


def test_a_folder_without_a_manifest_or_with_another_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no manifest\.csv"):
        pieces_of(tmp_path, "train")
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no column path; expected path, split, maps_test, duplicate_of"):
        pieces_of(tmp_path, "train")
    (tmp_path / "manifest.csv").write_text(
        "path,split,maps_test,duplicate_of,distinct_velocities\na.mid,train,no,,many\n"
    )
    with pytest.raises(InputError, match=r"a\.mid: .*'many'"):
        pieces_of(tmp_path, "train")
    with pytest.raises(InputError, match="no piece of split valid"):
        pieces_of(tmp_path, "valid")


def test_performed_pieces_come_every_round_and_scores_every_other(midi_set):
    plan = plan_takes(pieces_of(midi_set, "train"), seed=0)
    taken = [(piece.path.name, number) for piece, number in (next(plan) for _ in range(6))]
    assert sorted(taken) == [
        ("played.mid", 0), ("played.mid", 1), ("played.mid", 2), ("played.mid", 3), ("score.mid", 1), ("score.mid", 3),
    ]  # fmt: skip


@pytest.mark.usefixtures("clicks")
def test_sound_and_labels_of_a_take_start_together(midi_set):
    piece = pieces_of(midi_set, "train")[0]
    for seed in range(4):
        take = make_take(piece, Sounds([Path("a.sf2")]), np.random.default_rng(seed), RenderingConfig())
        spectrogram = take.mel.astype(np.float32)
        rises = np.maximum(np.diff(spectrogram, axis=0, prepend=spectrogram[:1]), 0).mean(axis=1)
        onsets = notes_to_rolls(take.notes, len(spectrogram)).onset.max(axis=1) > 0
        assert rises[onsets].mean() > 3 * rises[~onsets].mean()


@pytest.mark.usefixtures("clicks")
def test_a_cache_is_filled_once_with_the_same_takes_for_the_same_seed(midi_set, tmp_path):
    pieces = pieces_of(midi_set, "train")
    for name in ("one", "two"):
        fill_cache(
            tmp_path / name,
            pieces,
            Sounds([Path("a.sf2")]),
            RenderingConfig(seed=4),
            hours=12 / 3600,
            report=lambda line: None,
        )
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) >= 4
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    stamps = [(tmp_path / "one" / file).stat().st_mtime_ns for file in files]
    fill_cache(
        tmp_path / "one",
        pieces,
        Sounds([Path("a.sf2")]),
        RenderingConfig(seed=4),
        hours=12 / 3600,
        report=lambda line: None,
    )
    assert [(tmp_path / "one" / file).stat().st_mtime_ns for file in files] == stamps


def test_a_crop_has_the_labels_of_its_frames_and_batches_repeat_by_seed(tmp_path, melody):
    rolls = notes_to_rolls(melody, 110)
    spectrogram = np.full((110, 229), -40.0, dtype=np.float16)
    spectrogram[:, :88] += (rolls.frame * 40).astype(np.float16)
    save_take(tmp_path, "melody-0", rendering.Take(spectrogram, melody), frames=110)
    assert load_take(tmp_path, "melody-0").notes == sorted(melody)
    cache = TakeCache([tmp_path], shortest_frames=30)
    assert cache.refresh() == cache.refresh() == 1
    batch = cache.batch(3, 30, np.random.default_rng(2))
    assert batch.spectrogram.shape == (3, 30, 229, 1)
    for crop, frame in zip(batch.spectrogram[..., 0], batch.rolls.frame, strict=True):
        lit = crop[:, :88] - crop[:, :88].min(axis=0) > 20
        varies = (frame.min(axis=0) == 0) & (frame.max(axis=0) == 1)
        assert varies.any()
        np.testing.assert_array_equal(lit[:, varies], frame[:, varies] > 0)
    batches = prefetched(cache, size=3, frames=30, seed=9, first_step=4)
    again = prefetched(cache, size=3, frames=30, seed=9, first_step=5)
    next(batches)
    np.testing.assert_array_equal(next(batches).spectrogram, next(again).spectrogram)
    batches.close()
    again.close()


def test_several_processes_make_the_same_takes_and_draw_the_same_batches_as_one(midi_set, tmp_path):
    pieces, soundfont = pieces_of(midi_set, "train"), find_soundfont()
    for workers, name in enumerate(("alone", "two"), start=1):
        fill_cache(
            tmp_path / name,
            pieces,
            Sounds([soundfont]),
            RenderingConfig(seed=4, longest_s=2.0),
            hours=6 / 3600,
            workers=workers,
            report=lambda line: None,
        )
    files = sorted(path.name for path in (tmp_path / "alone").iterdir())
    assert len(files) >= 4
    for file in files:
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    drawn = []
    for workers in (1, 2):
        cache = TakeCache([tmp_path / "alone"], shortest_frames=20)
        cache.refresh()
        batches = prefetched(cache, size=2, frames=20, seed=1, first_step=3, workers=workers)
        drawn.append([next(batches).spectrogram for _ in range(3)])
        batches.close()
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_an_empty_cache_names_the_remedy(tmp_path):
    with pytest.raises(InputError, match="no takes"):
        TakeCache([tmp_path]).refresh()


def test_resampling_keeps_pitch_and_time():
    time_s = np.arange(96_000) / 48_000
    tone = np.sin(2 * np.pi * 1000 * time_s).astype(np.float32)
    expected = np.sin(2 * np.pi * 1000 * np.arange(32_000) / 16_000)
    np.testing.assert_allclose(resampled(tone, rate_hz=48_000, stretch=1.0)[500:-500], expected[500:-500], atol=0.01)
    stretched = resampled(tone, rate_hz=48_000, stretch=1.01)
    assert len(stretched) == 32_320
    spectrum = np.abs(np.fft.rfft(stretched))
    assert np.argmax(spectrum) * 16_000 / 32_320 == pytest.approx(1000 / 1.01, abs=0.5)


def test_a_recorded_click_stays_in_its_place_and_seeds_decide():
    click = np.zeros(16_000, dtype=np.float32)
    click[8000] = 1
    for seed in range(6):
        heard = recorded(click, np.random.default_rng(seed))
        assert abs(int(np.argmax(np.abs(heard))) - 8000) < 32  # 2 ms
        assert len(heard) == 16_000
        np.testing.assert_array_equal(heard, recorded(click, np.random.default_rng(seed)))


def test_sound_with_wow_or_through_a_codec_stays_in_its_place():
    random = np.random.default_rng(0)
    sound = np.zeros(48_000, dtype=np.float32)
    for start in (8000, 20_000, 33_000):
        sound[start : start + 800] = random.standard_normal(800) * np.exp(-np.arange(800) / 100) * 0.2
    for heard in (
        wow_flutter(sound, random),
        through_codec(sound, codec="mp3", bitrate="48k"),
        through_codec(sound, codec="opus", bitrate="32k"),
    ):
        assert len(heard) == len(sound)
        assert not np.array_equal(heard, sound)
        spectrum = np.fft.rfft(heard, 131_072) * np.conj(np.fft.rfft(sound, 131_072))
        lag = int(np.argmax(np.fft.irfft(spectrum)))
        assert min(lag, 131_072 - lag) < 100  # 6 ms


def test_humanised_notes_keep_their_pitches_and_vary_otherwise():
    scale = [Note(0.5 * index, 60 + index % 8, 0.5 * index + 0.5, 64) for index in range(40)]
    played = humanised(scale, np.random.default_rng(0))
    assert [note.pitch for note in played] == [note.pitch for note in scale]
    assert len({note.velocity for note in played}) > 5
    assert len({round(b.start_s - a.start_s, 3) for a, b in pairwise(played)}) > 20
    assert humanised([], np.random.default_rng(0)) == []


def test_notes_thinned_out_are_fewer_slower_and_still_the_same_notes():
    scale = [Note(0.05 * index, 40 + index % 40, 0.05 * index + 0.2, 64) for index in range(400)]
    for seed in range(5):
        calm = thinned(scale, np.random.default_rng(seed))
        slower = (calm[0].end_s - calm[0].start_s) / 0.2
        assert 1.0 <= slower <= 4.0
        assert {(round(n.start_s / slower, 4), n.pitch) for n in calm} <= {
            (round(n.start_s, 4), n.pitch) for n in scale
        }
        assert len(calm) < 220  # 8 a second for 20 s, and chance
    assert thinned([], np.random.default_rng(0)) == []


@pytest.mark.usefixtures("clicks")
def test_ambient_takes_hold_notes_longer_and_oscillators_are_in_time_too(midi_set, monkeypatch):
    monkeypatch.setattr(rendering, "OSCILLATOR_SHARE", 1.0)
    piece = pieces_of(midi_set, "train")[0]
    lengths, louder_db = [], []
    for seed in range(8):
        take = make_take(
            piece, Sounds([Path("a.sf2")]), np.random.default_rng(seed), RenderingConfig(ambient_share=1.0)
        )
        lengths.append(np.mean([note.end_s - note.start_s for note in take.notes]))
        spectrogram = take.mel.astype(np.float32)
        sounding = notes_to_rolls(take.notes, len(spectrogram)).frame.max(axis=1) > 0
        louder_db.append(spectrogram[sounding].mean() - spectrogram[~sounding].mean())
    assert np.median(louder_db) > 3, louder_db  # now and then a hall outlasts short notes that fade in
    assert max(lengths) > 0.4  # 0.38 s in the piece


@pytest.mark.usefixtures("clicks")
def test_notes_of_ambient_takes_start_when_they_can_be_heard_and_end_with_their_key(midi_set, monkeypatch):
    monkeypatch.setattr(
        rendering, "audible_starts_s", lambda notes, play, rate_hz: [note.start_s + 0.02 for note in notes]
    )
    piece, config = pieces_of(midi_set, "train")[0], RenderingConfig(ambient_share=1.0)
    heard, keys = (
        make_take(piece, Sounds([Path("a.sf2")]), np.random.default_rng(2), replace(config, audible_starts=audible))
        for audible in (True, False)
    )
    assert [note.end_s for note in heard.notes] == [note.end_s for note in keys.notes]
    late_s = [after.start_s - before.start_s for after, before in zip(heard.notes, keys.notes, strict=True)]
    assert late_s == pytest.approx([0.02] * len(keys.notes), rel=0.05)  # take 2 is tuned by some cents


def test_ambient_takes_can_be_asked_to_be_on_some_instruments(midi_set, monkeypatch):
    played = set()

    def render(notes, soundfont, *, program):
        played.add(program)
        return np.zeros((44100, 2), dtype=np.float32)

    monkeypatch.setattr(rendering, "render_notes", render)
    piece = pieces_of(midi_set, "train")[0]
    config = RenderingConfig(ambient_share=1.0, audible_starts=False, programs=(19, 89))
    for seed in range(12):
        make_take(piece, Sounds([Path("a.sf2")]), np.random.default_rng(seed), config)
    assert {19, 89} <= played <= {0, 19, 89}  # and a piano below, now and then


@pytest.mark.usefixtures("clicks")
def test_a_take_of_a_long_piece_is_a_part_of_it_that_begins_at_zero(midi_set, tmp_path):
    write_midi(tmp_path / "long.mid", [Note(float(second), 60 + second % 12, second + 0.5, 64) for second in range(60)])
    piece = rendering.Piece(tmp_path / "long.mid", "long", performed=True)
    starts = set()
    for seed in range(3):
        take = make_take(
            piece,
            Sounds([Path("a.sf2")]),
            np.random.default_rng(seed),
            RenderingConfig(longest_s=10.0, ambient_share=0.0),
        )
        assert 9 <= len(take.notes) <= 11
        assert 0.0 <= take.notes[0].start_s < 2.0
        starts.add(take.notes[0].pitch)
    assert len(starts) > 1


def test_takes_of_several_folders_are_drawn_and_mixed_with_both_labels(tmp_path, melody, monkeypatch):
    monkeypatch.setattr("ambient.onsets_and_frames.data.MIXED_SHARE", 1.0)
    other = [Note(note.start_s, 108 if note.pitch != 108 else 30, note.end_s, 64) for note in melody]
    for name, notes in (("a", melody), ("b", cut_at_restrikes(other))):
        (tmp_path / name).mkdir()
        save_take(tmp_path / name, "take-0", rendering.Take(np.zeros((110, 229), np.float16), notes), frames=110)
    cache = TakeCache([tmp_path / "a", tmp_path / "b"])
    assert cache.refresh() == 2
    batch = cache.batch(8, 110, np.random.default_rng(0))
    alone = {float(notes_to_rolls(take.notes, 110).onset.sum()) for take in cache.takes}
    together = {float(onset.sum()) for onset in batch.rolls.onset}
    assert together - alone
    assert max(together) > max(alone)


def test_an_instrument_on_other_keys_sounds_at_the_notes_own_pitch_and_time(monkeypatch):
    def sine(notes, soundfont, *, program):
        time_s = np.arange(int((max(n.end_s for n in notes) + 1) * 48_000)) / 48_000
        played = [
            np.sin(2 * np.pi * 440.0 * 2 ** ((n.pitch - 69) / 12) * time_s)
            * ((time_s >= n.start_s) & (time_s < n.end_s))
            for n in notes
        ]
        return np.stack([np.sum(played, axis=0)] * 2, axis=1).astype(np.float32)

    monkeypatch.setattr(rendering, "render_notes", sine)
    note = Note(1.0, 69, 2.0, 80)
    for keys_up in (-7, 5):
        sound = rendering._played([note], soundfont=Path("a.sf2"), program=0, balance=0.5, keys_up=keys_up)
        spectrum = np.abs(np.fft.rfft(sound[48_000:96_000]))
        assert np.argmax(spectrum) == 440
        assert np.abs(sound[:47_900]).max() < 0.01
        assert np.abs(sound[96_100:]).max() < 0.01
