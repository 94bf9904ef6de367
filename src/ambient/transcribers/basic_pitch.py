"""Hear notes with Spotify's Basic Pitch: the one door to the weights in the basic-pitch package.

Conventions: the network listens to 22,050 Hz in windows of 43,844 samples, 36,164 apart, and answers with 172 frames of
256 samples; the 15 frames at each edge of a window are left to its neighbours. The package itself is never imported: it
would start TensorFlow if it finds it. Its Apache-2.0 weights are read from its folder. Bittner et al., ICASSP 2022.
"""

import importlib.util
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.notes import Note, cut_at_restrikes
from ambient.transcribers.basic_pitch_notes import NoteRules, rolls_to_events
from ambient.transcribers.onnx_session import OnnxSession
from ambient.transcribers.recording import Recording
from ambient.transcribers.resampling import Resampled
from ambient.transcribers.transcription import Transcription

RATE_HZ = 22_050
WINDOW_SAMPLES = 43_844
FRAME_SAMPLES = 256
EDGE_FRAMES = 15
FRAMES_A_WINDOW = 172 - 2 * EDGE_FRAMES  # that are kept
WINDOW_HOP_SAMPLES = WINDOW_SAMPLES - 2 * EDGE_FRAMES * FRAME_SAMPLES
LOWEST_PITCH = 21
_WINDOWS_AT_ONCE = 8
_WEIGHTS = Path("saved_models", "icassp_2022", "nmp.onnx")
_INSTALL = "Install it with pip install onnxruntime and pip install --no-deps basic-pitch"


class BasicPitch:
    """Basic Pitch with the weights of the installed package.

    Memory grows by 6 MB a minute, because its rules look at the loudest of the whole recording first.

    Args:
        rules: How notes are read off what the network says.

    Raises:
        InputError: onnxruntime or the basic-pitch package is not installed.
    """

    def __init__(self, rules: NoteRules | None = None) -> None:
        self.rules = rules or NoteRules()
        self._session = OnnxSession(_find_weights())

    @property
    def name(self) -> str:
        """What hears, and which version of it."""
        return f"basic-pitch {metadata.version('basic-pitch')}"

    def transcribe(self, path: Path | str, *, scratch: Path | None = None) -> Transcription:
        """Transcribe a WAV file.

        Args:
            path: 16 kHz.
            scratch: Not used.

        Raises:
            InputError: the file is not a 16 kHz WAV file.
        """
        with Recording(path) as recording:
            level = recording.level
            notes: list[Note] = []
            confidence = 0.0
            if level > 0:
                frame, onset = self._hear(Resampled(recording, RATE_HZ))
                events = rolls_to_events(frame, onset, self.rules)
                notes = cut_at_restrikes(
                    Note(frame_s(e.first), e.key + LOWEST_PITCH, frame_s(e.last), _velocity(e.amplitude))
                    for e in events
                )
                confidence = float(np.mean([event.amplitude for event in events])) if events else 0.0
            return Transcription(notes, confidence, recording.seconds, level, recording.missing_seconds)

    def _hear(self, recording: Resampled) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities that a key sounds and that it starts: each [frames, 88] float32."""
        windows, rest = divmod(len(recording), WINDOW_HOP_SAMPLES)
        frames = windows * FRAMES_A_WINDOW + min(rest // FRAME_SAMPLES, FRAMES_A_WINDOW)
        rolls = np.zeros((2, frames, 88), dtype=np.float32)
        reader = self._session.inputs[0]
        outputs = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]  # of the package's graph: frame, onset
        first = 0
        for samples in _windows(recording):
            answers = self._session.run(outputs, {reader: samples})
            kept = np.stack([answer[:, EDGE_FRAMES:-EDGE_FRAMES].reshape(-1, 88) for answer in answers])
            last = min(first + kept.shape[1], frames)
            rolls[:, first:last] = kept[:, : last - first]
            first = last
        return rolls[0], rolls[1]


def frame_s(frame: int) -> float:
    """Return the time of a frame in seconds; where two windows meet, less than a frame is skipped."""
    window, within = divmod(frame, FRAMES_A_WINDOW)
    return (window * WINDOW_HOP_SAMPLES + within * FRAME_SAMPLES) / RATE_HZ


def _windows(recording: Resampled) -> Iterator[np.ndarray]:
    """Yield the recording as [up to 8, window, 1], the first window beginning in the silence before it."""
    before = EDGE_FRAMES * FRAME_SAMPLES
    starts = range(-before, len(recording), WINDOW_HOP_SAMPLES)
    for begin in range(0, len(starts), _WINDOWS_AT_ONCE):
        group = starts[begin : begin + _WINDOWS_AT_ONCE]
        samples = recording.read(group[0], WINDOW_HOP_SAMPLES * (len(group) - 1) + WINDOW_SAMPLES)
        windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::WINDOW_HOP_SAMPLES]
        yield windows[:, :, None]


def _velocity(amplitude: float) -> int:
    return min(max(round(127 * amplitude), 1), 127)


def _find_weights() -> Path:
    found = importlib.util.find_spec("basic_pitch")
    places = [Path(place) / _WEIGHTS for place in (found.submodule_search_locations or [] if found else [])]
    weights = next((place for place in places if place.is_file()), None)
    if weights is None:
        raise InputError("basic-pitch", "not installed", "expected its package, which holds its weights", _INSTALL)
    return weights
