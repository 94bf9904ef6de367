"""A recording heard in pieces is heard as in one pass, whatever its length and width."""

import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.errors import InputError
from ambient.model_folder import weights_of
from ambient.onsets_and_frames.config import DecodingConfig
from ambient.onsets_and_frames.inference import Transcriber
from ambient.onsets_and_frames.network import Network
from ambient.onsets_and_frames.spectrogram import log_mel
from ambient.transcribers.recording import Recording

LOOSE = DecodingConfig(onset_threshold=0.52, frame_threshold=0.5)  # random weights answer about one half


@pytest.fixture(scope="module")
def loaded(network):
    """The weights of the tiny network as onnxruntime runs them."""
    return Network(network.config, weights_of(network.full))


@pytest.fixture
def transcriber(loaded):
    return Transcriber(loaded, LOOSE)


def test_pieces_give_the_probabilities_of_one_pass_over_keras_whole_graph(network, loaded, sound):
    spectrogram = log_mel(sound)
    whole = {
        name: np.asarray(answer)[0]
        for name, answer in network.full.predict_on_batch(spectrogram[None, ..., None]).items()
    }
    pieces = Transcriber(loaded, LOOSE, piece_frames=23).hear_samples(sound)
    for name, expected in whole.items():
        np.testing.assert_allclose(getattr(pieces, name), expected, atol=1e-4 if name == "velocity" else 1e-5)


def test_the_size_of_the_pieces_does_not_change_the_notes(loaded, sound, write_wav):
    path = write_wav(sound)
    heard = [Transcriber(loaded, LOOSE, piece_frames=frames).transcribe(path) for frames in (11, 40, 512)]
    assert len(heard[0].notes) > 20
    assert heard[0].notes == heard[1].notes == heard[2].notes


@pytest.fixture(scope="module")
def hear(loaded, tmp_path_factory):
    """Transcribe the first seconds of one noisy recording, so many frames at a time."""
    transcriber = Transcriber(loaded, LOOSE)
    noise = np.random.default_rng(2).normal(0, 0.1, 30_000)

    def run(samples, piece_frames):
        path = tmp_path_factory.mktemp("hear") / "song.wav"
        with wave.open(str(path), "wb") as writer:
            writer.setparams((1, 2, 16_000, 0, "NONE", ""))
            writer.writeframes((noise[:samples] * 32767).astype("<i2").tobytes())
        transcriber.piece_frames = piece_frames
        return transcriber.transcribe(path)

    return run


@settings(deadline=None, max_examples=15, derandomize=True)
@given(piece_frames=st.integers(1, 60), samples=st.integers(512, 30_000))
def test_windows_of_any_length_give_the_notes_of_one_pass(hear, piece_frames, samples):
    whole, windows = hear(samples, 10_000), hear(samples, piece_frames)
    assert windows.notes == whole.notes
    assert windows.confidence == pytest.approx(whole.confidence, abs=1e-5)


def test_recordings_heard_at_the_same_time_are_heard_as_one_by_one(transcriber, sound, write_wav):
    paths = [write_wav(sound[start:], name=f"{start}.wav") for start in (0, 9000, 20_000)]
    alone = [transcriber.transcribe(path) for path in paths]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(transcriber.transcribe, paths)) == alone


def test_nothing_is_left_in_the_scratch_folder_even_when_it_fails(transcriber, sound, write_wav, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    transcriber.transcribe(write_wav(sound), scratch=scratch)
    monkeypatch.setattr(transcriber.network, "step", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        transcriber.transcribe(write_wav(sound), scratch=scratch)
    assert list(scratch.iterdir()) == []


def test_a_file_gives_what_its_samples_give(transcriber, sound, write_wav):
    transcriber.tuning_cents = 0  # samples are heard as they are
    from ambient.onsets_and_frames.decoding import probabilities_to_notes

    quantised = (np.round(sound.astype(np.float64) * 32767) / 32767).astype(np.float32)
    expected = probabilities_to_notes(transcriber.hear_samples(quantised), LOOSE)
    assert transcriber.transcribe(write_wav(sound)).notes == expected.notes


def test_a_file_that_is_sharp_is_heard_as_with_its_tuning_given(transcriber, write_wav):
    time_s = np.arange(48_000) / 16_000
    path = write_wav(sum(0.1 * np.sin(2 * np.pi * hz * 2 ** (37 / 1200) * time_s) for hz in (220, 440, 880, 1760)))
    estimated = transcriber.transcribe(path)
    assert estimated.tuning.cents == (37.0, 37.0)
    transcriber.tuning_cents = 37
    assert transcriber.transcribe(path).notes == estimated.notes
    transcriber.tuning_cents = 0
    assert transcriber.transcribe(path).notes != estimated.notes


def test_silence_and_almost_no_sound_are_no_notes(transcriber, write_wav):
    for samples in (np.zeros(20_000), np.zeros(0), np.full(100, 0.5)):
        heard = transcriber.transcribe(write_wav(samples))
        assert (heard.notes, heard.confidence) == ([], 0.0)


def test_a_second_of_noise_and_a_single_frame_do_not_fail(transcriber, write_wav):
    noise = np.random.default_rng(0).uniform(-1, 1, 16_000)
    for samples in (noise, noise[:512]):
        assert transcriber.transcribe(write_wav(samples)).seconds == len(samples) / 16_000


@pytest.mark.parametrize(("width", "tolerance"), [(1, 0.01), (2, 1e-4), (3, 1e-6), (4, 1e-6)])
def test_every_pcm_width_is_read(sound, write_wav, width, tolerance):
    with Recording(write_wav(sound, width=width)) as recording:
        np.testing.assert_allclose(recording.read(0, len(recording)), sound, atol=tolerance)
        np.testing.assert_allclose(recording.read(1000, 50), sound[1000:1050], atol=tolerance)
        assert recording.level == pytest.approx(float(np.abs(sound).max()), abs=tolerance)


def test_two_channels_are_averaged(sound, write_wav):
    with Recording(write_wav(np.stack([sound, np.zeros_like(sound)], axis=1))) as recording:
        np.testing.assert_allclose(recording.read(0, len(recording)), sound / 2, atol=1e-4)


def test_a_truncated_file_is_read_as_far_as_it_goes(transcriber, sound, write_wav):
    path = write_wav(sound)
    content = path.read_bytes()
    path.write_bytes(content[: 44 + 2 * 16_000 + 1])
    heard = transcriber.transcribe(path)
    assert heard.seconds == 1.0
    assert heard.missing_seconds == pytest.approx((len(sound) - 16_000) / 16_000)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wav file at all" * 10, b"ID3\x03" + bytes(500)])
def test_what_is_not_a_wav_file_is_refused_in_one_line(transcriber, tmp_path, content):
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"song\.wav: not a WAV file .*to_wav"):
        transcriber.transcribe(path)


def test_another_rate_is_refused_with_the_remedy(transcriber, sound, write_wav):
    with pytest.raises(InputError, match=r"44100 Hz, 16 bits; expected 16 kHz WAV\. Convert it"):
        transcriber.transcribe(write_wav(sound, rate_hz=44_100))


def test_a_folder_of_another_kind_of_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a model folder"):
        Transcriber.from_folder(tmp_path)
