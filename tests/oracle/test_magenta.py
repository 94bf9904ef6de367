"""Ours equals Magenta's own code: graph and spectrogram, pedal, labels, decoding, and the tokens of the composer.

`make oracle` makes the references with the original, in an environment of its own, and names their folder here.
"""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ambient.music_transformer.tokens import notes_to_tokens, tokens_to_notes
from ambient.notes import SUSTAIN_DOWN, Note, PedalEvent, apply_sustain
from ambient.onsets_and_frames.config import DecodingConfig
from ambient.onsets_and_frames.decoding import Probabilities, probabilities_to_notes
from ambient.onsets_and_frames.labels import notes_to_rolls

pytestmark = pytest.mark.oracle
PIECES = 6
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def references():
    """Return the folder that the scripts beside this file have written."""
    folder = os.environ.get("AMBIENT_ORACLE")
    if not folder:
        pytest.skip("AMBIENT_ORACLE names no folder; run make oracle")
    return Path(folder)


@pytest.fixture(scope="module")
def heads(references):
    return np.load(references / "heads.npz")


@pytest.fixture(scope="module")
def pieces(references):
    return np.load(references / "notes.npz")


@pytest.fixture(scope="module")
def transcriber(references):
    from ambient.onsets_and_frames.inference import Transcriber

    return Transcriber.from_model(references)


def compare(what, found, expected, tolerance=TOLERANCE):
    """Print the largest difference, and fail if it is larger than it may be."""
    difference = float(np.max(np.abs(np.asarray(found, dtype=np.float64) - expected)))
    print(f"{what}: largest difference {difference:.1e}")
    assert difference <= tolerance


def rows_of(notes):
    return np.array(sorted((note.start_s, note.pitch, note.end_s, note.velocity) for note in notes))


def to_notes(rows):
    return [Note(float(start_s), int(pitch), float(end_s), int(velocity)) for start_s, pitch, end_s, velocity in rows]


def test_the_spectrogram_of_a_wav_file_is_the_originals(references, heads):
    from ambient.onsets_and_frames.spectrogram import log_mel
    from ambient.transcribers.recording import Recording

    with Recording(references / "song.wav") as recording:
        compare("log-mel, dB", log_mel(recording.read(0, len(recording))), heads["picture"], 1e-3)


@pytest.mark.parametrize("piece_frames", [512, 37])
def test_all_four_heads_answer_as_the_originals(transcriber, heads, piece_frames):
    spectrogram = heads["picture"].astype(np.float32)
    transcriber.piece_frames = piece_frames
    pieces = list(transcriber.pieces(lambda first, last: spectrogram[first:last], len(spectrogram)))
    for name in ("onset", "offset", "frame", "velocity"):
        found = np.concatenate([getattr(piece, name) for piece in pieces])
        assert np.ptp(heads[name]) > 0.9  # a constant answer would prove nothing
        compare(f"{name}, {piece_frames} frames at a time", found, heads[name])


def test_a_wav_file_gives_the_notes_of_the_original(transcriber, references, heads):
    found = rows_of(transcriber.transcribe(references / "song.wav").notes)
    assert len(found) == len(heads["notes"]) > 500
    compare("notes", found, heads["notes"])


def test_folder_zip_and_prefix_name_the_same_weights(references, tmp_path):
    from ambient.onsets_and_frames.checkpoint import load_checkpoint

    with zipfile.ZipFile(tmp_path / "maestro_checkpoint.zip", "w") as archive:
        for path in sorted((references / "train").iterdir()):
            archive.write(path, f"train/{path.name}")
    shutil.copytree(references / "train", tmp_path / "train")
    (tmp_path / "train" / "checkpoint").unlink()
    sources = (references, references / "train", references / "train" / "model.ckpt-1234", tmp_path / "train")
    digests = {load_checkpoint(source).digest for source in (*sources, tmp_path / "maestro_checkpoint.zip")}
    assert len(digests) == 1


def test_converted_it_hears_the_same_notes(transcriber, references, tmp_path):
    from ambient.onsets_and_frames.inference import Transcriber
    from scripts.convert_magenta_checkpoint import main

    assert main([str(references / "train"), str(tmp_path / "exact")]) == 0
    expected = transcriber.transcribe(references / "song.wav")
    assert Transcriber.from_model(tmp_path / "exact").transcribe(references / "song.wav").notes == expected.notes
    assert main([str(references / "train"), str(tmp_path / "half"), "--float16"]) == 0
    half = Transcriber.from_model(tmp_path / "half").transcribe(references / "song.wav")
    same = len({(n.start_s, n.pitch) for n in half.notes} & {(n.start_s, n.pitch) for n in expected.notes})
    print(f"half precision: {same} of {len(expected.notes)} notes the same")
    assert same > 0.95 * len(expected.notes)


@pytest.mark.parametrize("index", range(PIECES))
def test_the_pedal_is_folded_in_as_by_note_seq(pieces, index):
    pedals = [PedalEvent(float(time_s), value >= SUSTAIN_DOWN) for time_s, value in pieces[f"pedals{index}"]]
    notes = to_notes(pieces[f"notes{index}"])
    compare("sustained notes", rows_of(apply_sustain(notes, pedals)), pieces[f"sustained{index}"], 1e-9)


@pytest.mark.parametrize("index", range(PIECES))
def test_labels_are_note_seqs_piano_rolls(pieces, index):
    expected = {name: pieces[f"{name}{index}"] for name in ("onset", "offset", "frame", "velocity")}
    rolls = notes_to_rolls(to_notes(pieces[f"sustained{index}"]), len(expected["frame"]))
    for name, roll in expected.items():
        assert roll.any()
        compare(f"{name} roll", getattr(rolls, name), roll, 1e-6)


@pytest.mark.parametrize("index", range(PIECES))
def test_rolls_are_read_as_by_note_seq(pieces, index):
    probabilities = Probabilities(*pieces[f"probabilities{index}"])
    config = DecodingConfig(0.6, 0.5, float(pieces[f"offset_threshold{index}"]))
    expected = pieces[f"read{index}"]
    found = rows_of(probabilities_to_notes(probabilities, config).notes)
    assert len(found) == len(expected) > 100
    compare("notes read", found, expected, 1e-9)


@pytest.mark.parametrize("index", range(PIECES))
def test_notes_become_the_tokens_of_note_seq(pieces, index):
    expected = pieces[f"tokens{index}"].tolist()
    assert len(expected) > 400
    assert notes_to_tokens(to_notes(pieces[f"sustained{index}"])) == expected


@pytest.mark.parametrize("index", range(PIECES))
def test_any_tokens_stand_for_the_notes_of_note_seq(pieces, index):
    expected = pieces[f"stream_notes{index}"]
    found = rows_of(tokens_to_notes(pieces[f"stream{index}"]).notes)
    assert len(found) == len(expected) > 100
    compare("notes of random tokens", found, expected, 1e-9)
