"""The stage transcribe as a program: which files it writes, what it says, and how it fails."""

import errno
import re
import shutil
import sys
import wave

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.midi import read_midi
from ambient.model_folder import load_config, model_digest, save_config, save_model_folder
from ambient.notes import Note
from ambient.onsets_and_frames.config import KIND, MODELS
from ambient.onsets_and_frames.network import weight_shapes
from ambient.stages import transcribe
from ambient.stages.transcribe import build_parser, main, open_transcriber
from ambient.transcribers.transcription import Transcription, texts_to_note_confidences


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A tiny model whose weights are random, so that it hears notes in everything."""
    # Without keras, which the image of this stage does not have.
    rng = np.random.default_rng(7)
    weights = {}
    for name, shape in weight_shapes(MODELS["tiny"]).items():
        if name.endswith("kernel"):  # the range is Glorot's
            fan = np.prod(shape[:-2], dtype=int) * sum(shape[-2:])
            weights[name] = rng.uniform(-1, 1, shape) * np.sqrt(6 / fan)
        else:
            weights[name] = np.full(shape, float(name.endswith("moving_variance")))
    folder = tmp_path_factory.mktemp("model")
    save_model_folder(
        folder,
        kind=KIND,
        config={"model": MODELS["tiny"].to_json(), "decoding": {"onset_threshold": 0.52}},
        weights={name: value.astype(np.float32) for name, value in weights.items()},
        training={},
        card="# test\n",
    )
    return folder


def write_wav(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(np.shape(samples)[1] if np.ndim(samples) == 2 else 1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())


@pytest.fixture
def songs(pfs):
    """An input folder with a song, a silent one in a folder of its own, and one that is no WAV file."""
    time_s = np.arange(24_000) / 16_000
    write_wav(pfs / "in" / "song.wav", 0.3 * np.sin(2 * np.pi * 440 * time_s))
    write_wav(pfs / "in" / "quiet" / "silence.WAV", np.zeros(20_000))
    (pfs / "in" / "broken.wav").write_bytes(b"RIFF nothing of the kind")
    (pfs / "in" / "notes.txt").write_text("not a recording")
    return pfs


def test_songs_become_midi_and_a_broken_one_is_named_and_takes_no_other_with_it(
    run_stage, songs, contents, model_folder
):
    before = contents(songs / "in")
    arguments = ("transcribe", "--input", songs / "in", "--output", songs / "out", "--model", model_folder)
    done = run_stage(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "error",
        "warning",
        "[2/3] silence.WAV",
        "[3/3] song.wav",
        "error",
    ]
    assert "broken.wav: not a WAV file" in lines[0]
    assert "silence.WAV: silence; the MIDI file has no notes" in lines[1]
    assert lines[-1] == "error: 1 of 3 files failed; the others are done. See the lines above"
    assert sorted(contents(songs / "out")) == ["quiet/silence.mid", "song.mid"]
    assert contents(songs / "in") == before

    song, silence = read_midi(songs / "out" / "song.mid"), read_midi(songs / "out" / "quiet" / "silence.mid")
    assert len(song.notes) > 5
    assert all(10 <= note.velocity <= 90 and 21 <= note.pitch <= 108 for note in song.notes)
    assert silence.notes == []
    assert song.texts[2] == "tuning: +0 cents"
    assert silence.texts == [f"transcriber: onsets-and-frames {model_digest(model_folder)}", "confidence: 0.0000"]
    sure = texts_to_note_confidences(song.texts, len(song.notes))
    assert all(0.52 <= value <= 1 for value in sure)
    assert float(song.texts[1].removeprefix("confidence: ")) == pytest.approx(np.mean(sure), abs=0.01)

    first = contents(songs / "out")
    (songs / "in" / "broken.wav").unlink()
    again = run_stage(*arguments)
    assert again.returncode == 0
    assert contents(songs / "out") == first


def test_one_recording_becomes_the_file_that_is_named_or_one_of_its_name_in_a_folder(
    run_stage, songs, contents, model_folder
):
    for output in ("heard.MID", "folder", "new/other.midi"):
        arguments = ("--input", songs / "in" / "song.wav", "--output", songs / "out" / output, "--model", model_folder)
        assert run_stage("transcribe", *arguments).returncode == 0
    made = contents(songs / "out")
    assert sorted(made) == ["folder/song.mid", "heard.MID", "new/other.midi"]
    assert len(set(made.values())) == 1


def test_the_confidence_of_a_note_is_what_the_model_folder_makes_of_it(songs, model_folder, tmp_path):
    surer = tmp_path / "surer"
    shutil.copytree(model_folder, surer)
    config = load_config(surer, kind="onsets-and-frames")
    save_config(surer, kind="onsets-and-frames", config=config | {"confidence": {"onset": 0, "bias": 1.0986}})
    song = songs / "in" / "song.wav"
    assert main(["--input", str(song), "--output", str(songs / "out"), "--model", str(surer)]) == 0
    piece = read_midi(songs / "out" / "song.mid")
    assert piece.texts[1] == "confidence: 0.7500"  # 3 to 1
    assert texts_to_note_confidences(piece.texts, len(piece.notes)) == [0.75] * len(piece.notes)
    save_config(surer, kind="onsets-and-frames", config=config | {"confidence": {"loudness": 1}})
    with pytest.raises(InputError, match=r"surer: settings that cannot be read"):
        open_transcriber(build_parser().parse_args(["--input", "a", "--output", "b", "--model", str(surer)]))


def test_runtime_of_the_network_notes_nothing_down_about_the_machine_and_so_sends_nothing(
    run_stage, songs, model_folder, contents, tmp_path, monkeypatch
):
    for name in ("CI", "PYTEST_CURRENT_TEST", "ORT_DISABLE_TELEMETRY"):  # with these onnxruntime is silent by itself
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    arguments = ["--input", songs / "in" / "song.wav", "--output", songs / "out", "--model", model_folder]
    done = run_stage("transcribe", *arguments, env={"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")})
    assert done.returncode == 0, done.stderr
    assert contents(home) == {}


def test_one_file_and_a_stricter_threshold(songs, contents, model_folder, capfd):
    song, strict = songs / "in" / "song.wav", ["--onset_threshold", "0.99", "--frame_threshold", "0.9"]
    assert main(["--input", str(song), "--output", str(songs / "out"), "--model", str(model_folder), *strict]) == 0
    assert "no note is sure enough" in capfd.readouterr().err
    assert sorted(contents(songs / "out")) == ["song.mid"]


PITCHES = (72, 67, 64, 60)


def struck_strings():
    """Four decaying harmonic sounds, one a second: [samples] float64."""
    samples = np.zeros(5 * 16_000)
    time_s = np.arange(16_000) / 16_000
    for index, pitch in enumerate(PITCHES):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        sound = sum(np.sin(2 * np.pi * hz * n * time_s) / n**1.5 for n in range(1, 6))
        samples[8000 + 16_000 * index :][:16_000] = 0.3 * np.exp(-3 * time_s) * sound
    return samples


def test_clicks_cancelling_channels_and_dither_do_not_change_what_is_heard(pfs, capfd):
    music = struck_strings()
    quiet = np.round(music * 300) / 32767
    clicked = quiet.copy()
    clicked[30_000:30_002] = 1, -1
    one_sample = quiet.copy()
    one_sample[50_000] = 1
    write_wav(pfs / "in" / "loud.wav", music)
    write_wav(pfs / "in" / "quiet.wav", quiet)
    write_wav(pfs / "in" / "clicked.wav", clicked)
    write_wav(pfs / "in" / "one-sample.wav", one_sample)
    write_wav(pfs / "in" / "opposite.wav", np.stack([music, -music], axis=1))
    write_wav(pfs / "in" / "dither.wav", np.random.default_rng(0).integers(-1, 2, 80_000) / 32767)
    assert main(["--input", str(pfs / "in"), "--output", str(pfs / "out")]) == 0
    said = capfd.readouterr().err
    assert "dither.wav: silence; the MIDI file has no notes" in said
    assert said.count("warning: ") == 1
    heard = {path.stem: read_midi(path).notes for path in (pfs / "out").iterdir()}
    starts = {name: sorted((note.pitch, round(note.start_s - 0.5)) for note in notes) for name, notes in heard.items()}
    assert starts["loud"] == starts["opposite"] == [(60, 3), (64, 2), (67, 1), (72, 0)]
    assert starts["quiet"] == starts["clicked"] == starts["one-sample"]
    assert set(starts["quiet"]) >= set(starts["loud"])
    assert starts["dither"] == []


def test_a_song_that_is_out_of_tune_is_said_to_be_and_may_be_left_as_it_is(songs, model_folder, capfd):
    time_s = np.arange(48_000) / 16_000
    sharp, song = 2 ** (31 / 1200), songs / "in" / "sharp.wav"
    write_wav(song, sum(0.1 * np.sin(2 * np.pi * hz * sharp * time_s) for hz in (220, 440, 880)))
    arguments = ["--input", str(song), "--output", str(songs / "out"), "--model", str(model_folder)]
    for flags, said, text in (
        ([], ", out of tune by +31 cents, corrected", "tuning: +31 cents"),
        (["--tuning", "auto"], ", out of tune by +31 cents, corrected", "tuning: +31 cents"),
        (["--tuning", "-8.5"], "", "tuning: -8 cents"),
        (["--tuning", "0"], "", "tuning: +0 cents"),
    ):
        assert main([*arguments, *flags]) == 0
        assert re.search(r"notes in 3\.0 s, confidence 0\.\d\d(.*)\n", capfd.readouterr().err)[1] == said
        assert read_midi(songs / "out" / "sharp.mid").texts[2] == text


def test_an_empty_folder_is_nothing_to_do(run_stage, pfs, contents):
    done = run_stage("transcribe", "--input", pfs / "in", "--output", pfs / "out")
    assert done.returncode == 0
    assert "no WAV files" in done.stderr
    assert contents(pfs / "out") == {}


def test_a_missing_folder_and_another_kind_of_model_end_in_one_line(run_stage, songs):
    done = run_stage("transcribe", "--input", songs / "nowhere", "--output", songs / "out")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no such file or folder" in done.stderr
    (songs / "model").mkdir()
    (songs / "model" / "config.json").write_text('{"kind": "music-transformer", "format_version": 1}')
    done = run_stage("transcribe", "--input", songs / "in", "--output", songs / "out", "--model", songs / "model")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "a model of kind 'music-transformer'; expected 'onsets-and-frames'" in done.stderr


@pytest.mark.parametrize(
    "flags", [["--loud"], ["--onset_threshold", "2"], ["--tuning", "flat"], ["--tuning", "200"], []]
)
def test_wrong_usage_is_exit_code_2(run_stage, flags):
    done = run_stage("transcribe", *flags, *(["--input", "a", "--output", "b"] if flags else []))
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_help_imports_no_framework(help_imports):
    assert not {"keras", "tensorflow", "numpy", "pretty_midi"} & help_imports("transcribe")


def test_the_default_is_the_shipped_model_of_onsets_and_frames(monkeypatch):
    parsed = build_parser().parse_args(["--input", "a", "--output", "b"])
    opened = []
    monkeypatch.setattr(transcribe, "_open_onsets_and_frames", lambda *arguments: opened.append(arguments))
    open_transcriber(parsed)
    ((arguments, thresholds),) = opened
    assert (arguments.model, arguments.tuning, arguments.rules) == (None, None, None)
    assert thresholds == {}


@pytest.mark.parametrize(
    ("flags", "evidence", "plain"),
    [
        ([], (0.08, 0.4), (0.6, 0.2)),
        (["--rules", "model", "--onset_threshold", "0.6"], (0.6, 0.4), (0.6, 0.2)),
        (["--rules", "magenta", "--frame_threshold", "0.5"], None, (0.6, 0.5)),
    ],
)
def test_the_shipped_model_hears_notes_that_fade_in_unless_magentas_rules_are_asked_for(flags, evidence, plain):
    opened = open_transcriber(build_parser().parse_args(["--input", "a", "--output", "b", *flags]))
    found = opened.evidence and (opened.evidence.onset_threshold, opened.evidence.frame_threshold)
    assert found == evidence
    assert (opened.decoding.onset_threshold, opened.decoding.frame_threshold) == plain


def test_difficult_recordings_become_valid_midi_without_a_word_too_many(pfs, model_folder, capfd):
    random = np.random.default_rng(0)
    time_s = np.arange(16_000) / 16_000
    loud = np.sin(2 * np.pi * 440 * time_s)
    recordings = {
        "second-of-noise": random.uniform(-1, 1, 16_000),
        "clipped": np.clip(5 * loud, -1, 1),
        "offset": 0.1 * loud + 0.8,
        "constant": np.full(9000, 0.5),
        "almost-silent": 2 / 32767 * loud,
        "one-frame": loud[:512],
        "half-a-frame": loud[:256],
        "nothing": np.zeros(0),
    }
    for name, samples in recordings.items():
        write_wav(pfs / "in" / f"{name}.wav", samples)
    assert main(["--input", str(pfs / "in"), "--output", str(pfs / "out"), "--model", str(model_folder)]) == 0
    said = capfd.readouterr().err.splitlines()
    assert len([line for line in said if line.startswith("[")]) == len(recordings)
    assert all(line.startswith(("[", "warning: ")) for line in said)
    found = {path.stem: read_midi(path) for path in (pfs / "out").iterdir()}
    assert found.keys() == recordings.keys()
    assert found["nothing"].notes == found["half-a-frame"].notes == []
    assert all(note.end_s > note.start_s for piece in found.values() for note in piece.notes)


def test_a_truncated_file_is_transcribed_as_far_as_it_goes_and_says_so(songs, model_folder, capfd):
    song = songs / "in" / "song.wav"
    song.write_bytes(song.read_bytes()[: 44 + 2 * 16_000])
    assert main(["--input", str(song), "--output", str(songs / "out"), "--model", str(model_folder)]) == 0
    said = capfd.readouterr().err
    assert "song.wav: 0.5 s shorter than its header says; transcribed to its end" in said
    assert "notes in 1.0 s" in said
    assert read_midi(songs / "out" / "song.mid").notes


def test_a_full_disk_is_one_line_and_leaves_no_midi(songs, model_folder, contents, monkeypatch, capfd):
    def full(tape, first, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ambient.onsets_and_frames.disk_array.DiskArray.write", full)
    song = str(songs / "in" / "song.wav")
    assert main(["--input", song, "--output", str(songs / "out"), "--model", str(model_folder)]) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert re.match(r"error: .*song\.wav: no space left on device; .*Free space there", said)
    assert contents(songs / "out") == {}


def test_another_transcriber_writes_the_same_kind_of_file(songs, monkeypatch, capfd):
    class Listener:
        name = "basic-pitch 0.4.0"

        def transcribe(self, path, *, scratch=None):
            return Transcription([Note(0.5, 60, 1.0, 90)], self.confidence, 1.5, 0.3, 0.0)

    monkeypatch.setattr("ambient.transcribers.basic_pitch.BasicPitch", lambda rules: Listener())
    arguments = ["--input", str(songs / "in" / "song.wav"), "--output", str(songs / "out")]
    for Listener.confidence, texts in ((0.75, ["confidence: 0.7500"]), (None, [])):
        assert main([*arguments, "--transcriber", "basic-pitch"]) == 0
        piece = read_midi(songs / "out" / "song.mid")
        assert piece.texts == ["transcriber: basic-pitch 0.4.0", *texts]
        assert [(note.pitch, note.velocity) for note in piece.notes] == [(60, 90)]
    assert capfd.readouterr().err.splitlines() == [
        "[1/1] song.wav: 1 notes in 1.5 s, confidence 0.75",
        "[1/1] song.wav: 1 notes in 1.5 s",
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["basic-pitch"], "basic-pitch: not installed; .*pip install --no-deps basic-pitch"),
        (["transkun"], "transkun: not installed .*pip install transkun"),
        (["basic-pitch", "--model", "folder"], "--model: given to basic-pitch"),
        (["basic-pitch", "--tuning", "20"], "--tuning: given to basic-pitch"),
        (["transkun", "--rules", "magenta"], "--rules: given to transkun"),
        (["transkun", "--frame_threshold", "0.5"], "--frame_threshold: given to transkun"),
    ],
)
def test_a_transcriber_that_is_not_installed_or_a_flag_that_is_not_its_own_is_one_line(
    songs, contents, monkeypatch, capfd, flags, said
):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = ["--input", str(songs / "in"), "--output", str(songs / "out")]
    assert main([*arguments, "--transcriber", *flags]) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert re.match(f"error: {said}", error)
    assert contents(songs / "out") == {}
