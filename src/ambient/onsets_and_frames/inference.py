"""Transcribe recordings of any length: the picture in pieces, the LSTMs carried from piece to piece.

Legend: F frames, M mel bins, D dense width, U units, K keys.

A recording is read three times: for its largest sample, for its loudest bin, and for the picture itself. The
convolution stacks see 3 frames to each side, so they run over pieces that overlap by 3 frames, exactly; beyond the true
ends they see zeros, as in one pass. The LSTMs run over pieces too, forward from the start and backward from the end,
and take their state along. So the answer is that of one pass over the whole recording, and memory grows only by what
is kept for each frame: 2 D + 2 K + U numbers, for `small` 5 MB a minute (the whole program was measured at 13).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from ambient.model_folder import assign_weights, load_config, load_weights, model_digest
from ambient.notes import Note
from ambient.onsets_and_frames.config import CONTEXT_FRAMES, KIND, SAMPLE_RATE_HZ, DecodingConfig, ModelConfig
from ambient.onsets_and_frames.decoding import Probabilities, probabilities_to_notes
from ambient.onsets_and_frames.model import OnsetsAndFrames
from ambient.onsets_and_frames.recording import Recording
from ambient.onsets_and_frames.spectrogram import floored, frame_count, log_mel, mel_db_between, normalised

PIECE_FRAMES = 512  # 16 s; memory of the convolutions grows with it


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was heard in a recording.

    Attributes:
        notes: Sorted by start, then pitch.
        confidence: Mean onset probability of the notes; 0 without notes.
        seconds: Length of what was read.
        peak: Largest absolute sample, 0-1; 0 is digital silence.
        missing_seconds: How much shorter the file is than its header says.
    """

    notes: list[Note]
    confidence: float
    seconds: float
    peak: float
    missing_seconds: float


class Transcriber:
    """A trained network and how to run it over whole recordings.

    Args:
        network: With its weights.
        decoding: Thresholds.
        digest: Names the weights.
        piece_frames: Frames at a time; any number gives the same notes.
    """

    def __init__(
        self, network: OnsetsAndFrames, decoding: DecodingConfig, *, digest: str = "", piece_frames: int = PIECE_FRAMES
    ) -> None:
        self.decoding = decoding
        self.digest = digest
        self.piece_frames = piece_frames
        self._acoustic = network.acoustic
        self._lstms = {name: _stepping(lstm) for name, lstm in network.lstms.items()}
        self._probabilities = {name: _dense_sigmoid(layer) for name, layer in network.probabilities.items()}

    @classmethod
    def from_folder(cls, folder: Path | str, *, decoding: DecodingConfig | None = None) -> "Transcriber":
        """Load a model folder.

        Args:
            folder: Of kind onsets-and-frames.
            decoding: Thresholds instead of those that the folder names.

        Raises:
            InputError: no such model, another kind, or damaged weights.
        """
        config = load_config(folder, kind=KIND)
        network = OnsetsAndFrames(ModelConfig.from_json(config.get("model", {}), source=folder))
        assign_weights(network.full, load_weights(folder), source=folder)
        return cls(
            network,
            decoding or DecodingConfig.from_json(config.get("decoding", {}), source=folder),
            digest=model_digest(folder),
        )

    def transcribe(self, path: Path | str) -> Transcription:
        """Transcribe a WAV file.

        Raises:
            InputError: the file is not a 16 kHz PCM WAV file.
        """
        with Recording(path) as recording:
            peak = recording.peak()
            frames = frame_count(len(recording))
            if peak > 0 and frames > 0:
                decoded = probabilities_to_notes(self._hear(recording, frames, peak), self.decoding)
                notes, confidence = decoded.notes, decoded.confidence
            else:  # a constant picture would only show what the network makes of nothing
                notes, confidence = [], 0.0
            seconds = len(recording) / SAMPLE_RATE_HZ
            return Transcription(notes, confidence, seconds, peak, recording.missing_samples / SAMPLE_RATE_HZ)

    def _hear(self, recording: Recording, frames: int, peak: float) -> Probabilities:
        def read(first: int, count: int) -> np.ndarray:
            return normalised(recording.read(first, count), peak)

        def picture(first: int, last: int) -> np.ndarray:
            return mel_db_between(read, first, last, len(recording))

        loudest_db = max(float(picture(first, last).max()) for first, last in _spans(frames, self.piece_frames))
        return self.probabilities(lambda first, last: floored(picture(first, last), loudest_db), frames)

    def hear_samples(self, samples: np.ndarray) -> Probabilities:
        """Return the probabilities for [samples] mono at 16 kHz, held in memory."""
        picture = log_mel(samples)
        return self.probabilities(lambda first, last: picture[first:last], len(picture))

    def probabilities(self, picture: Callable[[int, int], np.ndarray], frames: int) -> Probabilities:
        """Run the network over a picture that is made as needed.

        Args:
            picture: Called with a first frame and one past the last; returns [F, M] float32, dB.
            frames: Of the whole recording, at least 1.

        Returns:
            Arrays of [frames, K].
        """
        heard = self._run_stacks(picture, frames)
        onset = self._run_head("onset", heard.pop("onset"))
        offset = self._run_head("offset", heard.pop("offset"))
        frame = self._run_head("frame", np.concatenate([onset, heard.pop("activation"), offset], axis=-1))
        return Probabilities(onset=onset, offset=offset, frame=frame, velocity=heard["velocity"])

    def _run_stacks(self, picture: Callable[[int, int], np.ndarray], frames: int) -> dict[str, np.ndarray]:
        """Run the convolution stacks piece by piece; returns arrays of [frames, D or K]."""
        heard: dict[str, np.ndarray] = {}
        for first, last in _spans(frames, self.piece_frames):
            left, right = max(first - CONTEXT_FRAMES, 0), min(last + CONTEXT_FRAMES, frames)
            answers = self._acoustic.predict_on_batch(picture(left, right)[None, :, :, None])
            for name, answer in answers.items():
                if name not in heard:  # made whole at once: pieces joined in the end would need twice the memory
                    heard[name] = np.empty((frames, answer.shape[-1]), dtype=np.float32)
                heard[name][first:last] = np.asarray(answer)[0, first - left : last - left]
        return heard

    def _run_head(self, name: str, evidence: np.ndarray) -> np.ndarray:
        """Run an LSTM in both directions and its dense layer: [F, D] to [F, K].

        Both directions take their pieces from the front, each beginning in the state in which the piece before ended;
        for the second one time runs the other way, so the recording is turned round, and so is the answer.
        """
        model, turned = self._lstms[name], evidence[::-1]
        state = [np.zeros((1, part.shape[-1]), dtype=np.float32) for part in model.inputs[2:]]
        ahead, behind = [], []
        longest = min(self.piece_frames, len(evidence))
        for first, last in _spans(len(evidence), self.piece_frames):
            # A shorter last piece is filled up, so that the framework sees one shape; its state is not needed any more.
            missing = ((0, longest - (last - first)), (0, 0))
            pieces = [np.pad(order[first:last], missing)[None] for order in (evidence, turned)]
            answers = [np.asarray(part) for part in model.predict_on_batch([*pieces, *state])]
            ahead.append(answers[0][0, : last - first])
            behind.append(answers[1][0, : last - first])
            state = answers[2:]
        return self._probabilities[name](np.concatenate(ahead), np.concatenate(behind)[::-1])


def _spans(frames: int, piece: int) -> Iterator[tuple[int, int]]:
    for first in range(0, frames, piece):
        yield first, min(first + piece, frames)


def _stepping(lstm: keras.layers.Bidirectional) -> keras.Model:
    """Return both directions as a model: two pieces [1, F, D], four states [1, U] to two [1, F, U], four states."""
    pieces, states, answers, ends = [], [], [], []
    for layer in (lstm.forward_layer, lstm.backward_layer):
        piece = keras.Input((None, layer.cell.kernel.shape[0]))
        state = [keras.Input((layer.units,)), keras.Input((layer.units,))]
        stepping = keras.layers.RNN(layer.cell, return_sequences=True, return_state=True)
        answer, *end = stepping(piece, initial_state=state)
        pieces.append(piece)
        states.extend(state)
        answers.append(answer)
        ends.extend(end)
    return keras.Model([*pieces, *states], [*answers, *ends])


def _dense_sigmoid(layer: keras.layers.Dense) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the dense layer of a head as a function of the two directions: [F, U] twice to [F, K]."""
    kernel, bias = (np.asarray(weight) for weight in layer.get_weights())

    def apply(ahead: np.ndarray, behind: np.ndarray) -> np.ndarray:
        logits = np.concatenate([ahead, behind], axis=-1) @ kernel + bias
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), dtype=np.float32)  # the sigmoid, without overflow

    return apply
