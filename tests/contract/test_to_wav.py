import os
import signal
import wave

import numpy as np
import pytest

from ambient.audio import write_mp3, write_wav

HEAVY = {"numpy", "tensorflow", "keras", "ffmpeg", "pretty_midi"}


@pytest.fixture
def recordings(pfs, tone):
    """Two recordings that differ, one as MP3 and one as WAV."""
    write_mp3(pfs / "in" / "low.mp3", tone, rate_hz=44_100)
    write_wav(pfs / "in" / "high.wav", tone, rate_hz=88_200)
    return pfs / "in"


def to_wav(run_stage, pfs, *flags, **options):
    return run_stage("to_wav", "--input", pfs / "in", "--output", pfs / "out", *flags, **options)


def test_each_recording_becomes_one_wav_of_the_transcribers_format(run_stage, pfs, recordings, contents):
    before = contents(recordings)
    done = to_wav(run_stage, pfs)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(done.stderr.splitlines()) == 2
    assert sorted(path.name for path in (pfs / "out").iterdir()) == ["high.wav", "low.wav"]
    for name, seconds in (("low.wav", 1.0), ("high.wav", 0.5)):
        with wave.open(str(pfs / "out" / name)) as reader:
            assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (16_000, 1, 2)
            assert reader.getnframes() / 16_000 == pytest.approx(seconds, abs=0.06)
    assert contents(recordings) == before


def test_one_recording_becomes_the_file_that_is_named_or_one_of_its_name_in_a_folder(
    run_stage, pfs, recordings, contents
):
    for output in ("new/heard.wav", "folder"):
        done = run_stage("to_wav", "--input", recordings / "low.mp3", "--output", pfs / "out" / output)
        assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    made = contents(pfs / "out")
    assert sorted(made) == ["folder/low.wav", "new/heard.wav"]
    assert len(set(made.values())) == 1


def test_a_recording_is_never_overwritten(run_stage, recordings, contents):
    before = contents(recordings)
    done = run_stage("to_wav", "--input", recordings, "--output", recordings)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {recordings / 'high.wav'}: would be overwritten")
    after = contents(recordings)
    assert sorted(after) == ["high.wav", "low.mp3", "low.wav"]
    assert before.items() <= after.items()


def test_second_run_gives_the_same_bytes(run_stage, pfs, recordings, contents):
    to_wav(run_stage, pfs)
    first = contents(pfs / "out")
    assert to_wav(run_stage, pfs).returncode == 0
    assert contents(pfs / "out") == first


def test_empty_folder_is_fine(run_stage, pfs):
    assert to_wav(run_stage, pfs).returncode == 0
    assert not list((pfs / "out").iterdir())


def test_silence_is_audio(run_stage, pfs):
    write_mp3(pfs / "in" / "silence.mp3", np.zeros((44_100, 2), np.float32), rate_hz=44_100)
    assert to_wav(run_stage, pfs).returncode == 0
    assert (pfs / "out" / "silence.wav").is_file()


def test_bad_recordings_are_named_and_the_others_are_done(run_stage, pfs, recordings):
    (recordings / "empty.flac").touch()
    (recordings / "text.mp3").write_text("this is no music\n" * 50)
    done = to_wav(run_stage, pfs)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert "empty.flac: empty file" in errors[0]
    assert "text.mp3: no sound in it (a text)" in errors[1]
    assert errors[2].startswith("error: 2 of 4 files failed")
    assert sorted(path.name for path in (pfs / "out").iterdir()) == ["high.wav", "low.wav"]


def test_a_single_bad_recording_is_one_line(run_stage, pfs):
    (pfs / "in" / "text.mp3").write_text("this is no music\n" * 50)
    done = to_wav(run_stage, pfs)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: {pfs / 'in' / 'text.mp3'}: no sound in it (a text)")
    assert not list((pfs / "out").iterdir())


def test_damaged_recording_is_kept_with_a_warning(run_stage, pfs, tone):
    path = pfs / "in" / "a.mp3"
    write_mp3(path, np.tile(tone, (3, 1)), rate_hz=44_100)
    content = path.read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
    path.write_bytes(content[:9000] + noise + content[12000:])
    done = to_wav(run_stage, pfs)
    assert done.returncode == 0
    assert "warning: " in done.stderr
    assert (pfs / "out" / "a.wav").is_file()


def test_a_truncated_recording_is_kept_and_its_missing_end_is_told(run_stage, pfs, tone):
    path = pfs / "in" / "a.wav"
    write_wav(path, tone, rate_hz=44_100)
    path.write_bytes(path.read_bytes()[:100_000])
    done = to_wav(run_stage, pfs)
    assert done.returncode == 0
    assert "a.wav: damaged, what could be decoded is kept (it ends 76444 bytes before its header says)" in done.stderr
    assert (pfs / "out" / "a.wav").is_file()


def test_recordings_that_would_overwrite_each_other_are_refused(run_stage, pfs, recordings, tone):
    write_wav(recordings / "low.wav", tone, rate_hz=44_100)
    done = to_wav(run_stage, pfs)
    assert done.returncode == 1
    assert "low.mp3: would be written to the same low.wav as low.wav" in done.stderr
    assert [path.name for path in (pfs / "out").iterdir()] == ["high.wav"]


def test_recordings_in_folders_stay_in_folders(run_stage, pfs, tone):
    (pfs / "in" / "album").mkdir()
    write_wav(pfs / "in" / "album" / "a.wav", tone, rate_hz=44_100)
    assert to_wav(run_stage, pfs).returncode == 0
    assert (pfs / "out" / "album" / "a.wav").is_file()


def test_beside_a_name_that_is_no_utf8_and_links_in_a_circle_every_song_is_done_once(run_stage, pfs, tone):
    write_wav(pfs / "in" / ".45.wav", tone, rate_hz=44_100)
    with open(os.fsencode(pfs / "in") + b"/caf\xe9.wav", "wb") as file:
        file.write((pfs / "in" / ".45.wav").read_bytes())
    (pfs / "in" / "up").symlink_to(pfs / "in")
    (pfs / "in" / "above").symlink_to(pfs)
    write_wav(pfs / "in" / "zz\nafter.wav", tone, rate_hz=44_100)
    done = to_wav(run_stage, pfs)
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if r"caf\xe9.wav" in line]) == 1
    assert r"[3/3] zz\nafter.wav: 1.0 s" in done.stderr.splitlines()
    written = {os.fsencode(path.name) for path in (pfs / "out").iterdir()}
    assert written - {b"caf\xe9.wav"} == {b".45.wav", b"zz\nafter.wav"}


def test_unknown_flag_is_wrong_usage(run_stage, pfs):
    assert to_wav(run_stage, pfs, "--what").returncode == 2


def test_help_imports_nothing_heavy(help_imports):
    assert not HEAVY & help_imports("to_wav")


def test_killed_stage_leaves_no_half_file(run_stage, pfs, recordings, deadly_ffmpeg):
    assert to_wav(run_stage, pfs, env=deadly_ffmpeg).returncode == -signal.SIGKILL
    left = [path.name for path in (pfs / "out").iterdir()]
    assert left
    assert all(name.startswith(".partial-") for name in left)


def test_output_that_cannot_be_written_is_one_line(run_stage, pfs, tone, tmp_path):
    write_wav(pfs / "in" / "song.wav", tone, rate_hz=44_100)
    (tmp_path / "file").touch()
    done = run_stage("to_wav", "--input", pfs / "in", "--output", tmp_path / "file" / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "not a directory" in done.stderr
