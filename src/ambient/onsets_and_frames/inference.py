"""Transcribe recordings of any length: the spectrogram in pieces, the LSTMs carried from piece to piece.

Legend: F frames, M mel bins, D dense width, U units, K keys.

A recording is read three times: for its level, for its tuning, and for the spectrogram, which waits for its
loudest bin before it is heard. The convolution stacks see 3 frames to each side, so they run over pieces that overlap
by 3 frames, exactly; beyond the true ends they see zeros, as in one pass. The LSTMs run over pieces too, forward from
the start and backward from the end, and take their state along. So the answer is that of one pass over the whole
recording. What must be kept between the passes, M + 2 D + 8 K numbers a frame, lies in disk-backed arrays; memory
does not grow with length.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import numpy as np

from ambient.model_folder import load_config, model_digest
from ambient.onsets_and_frames.checkpoint import is_checkpoint, load_checkpoint
from ambient.onsets_and_frames.config import (
    CONTEXT_FRAMES,
    KEYS,
    KIND,
    MEL_BINS,
    ConfidenceConfig,
    DecodingConfig,
    EvidenceConfig,
    ModelConfig,
)
from ambient.onsets_and_frames.decoding import Decoded, NoteReader, Probabilities
from ambient.onsets_and_frames.disk_array import DiskArray
from ambient.onsets_and_frames.fading import EvidenceReader
from ambient.onsets_and_frames.judge import Judge, load_parts
from ambient.onsets_and_frames.network import Network
from ambient.onsets_and_frames.spectrogram import floored, frame_count, log_mel, mel_db_between, normalised
from ambient.transcribers.recording import Recording
from ambient.transcribers.transcription import Transcription
from ambient.transcribers.tuning import Tuning, constant_tuning, estimate_tuning

PIECE_FRAMES = 256  # 8 s; memory of the convolutions grows with it


class Transcriber:
    """A trained network and how to run it over whole recordings; several threads may use one.

    Many recordings are transcribed quickest with one thread for the network and as many recordings at a time as there
    are cores, each in a thread of its own.

    Args:
        network: With its weights.
        decoding: Thresholds of Magenta's rules.
        evidence: What makes a candidate a note; without it notes are read by Magenta's rules.
        judge: Looks at candidates a second time.
        confidence: What makes a note sure; by default its start alone.
        digest: Names the weights.
        piece_frames: Frames at a time; any number gives the same notes.
        tuning_cents: How sharp the recordings are, where that is known; by default it is estimated for each.
    """

    def __init__(
        self,
        network: Network,
        decoding: DecodingConfig,
        *,
        evidence: EvidenceConfig | None = None,
        judge: Judge | None = None,
        confidence: ConfidenceConfig | None = None,
        digest: str = "",
        piece_frames: int = PIECE_FRAMES,
        tuning_cents: float | None = None,
    ) -> None:
        self.decoding = decoding
        self.evidence, self.judge = evidence, judge
        self.confidence = confidence or ConfidenceConfig()
        self.digest = digest
        self.piece_frames = piece_frames
        self.tuning_cents = tuning_cents
        self.network = network

    @property
    def name(self) -> str:
        """What hears, and with which weights."""
        return f"{KIND} {self.digest}"

    @classmethod
    def from_model(
        cls, model: Path | str, *, decoding: DecodingConfig | None = None, threads: int | None = None
    ) -> "Transcriber":
        """Load a model folder of ours, or a TF1 checkpoint of Magenta's as it comes out of the official zip.

        Args:
            model: Folder, zip, or prefix of a checkpoint's files.
            decoding: Thresholds instead of those that the model comes with.
            threads: How many threads share a convolution; by default as many as this process may run on.

        Raises:
            InputError: no such model, another kind, or damaged weights.
        """
        if not is_checkpoint(model):
            return cls.from_folder(model, decoding=decoding, threads=threads)
        checkpoint = load_checkpoint(model)
        network = Network(checkpoint.config, checkpoint.weights, threads=threads, source=model)
        return cls(network, decoding or DecodingConfig(), digest=checkpoint.digest)

    @classmethod
    def from_folder(
        cls, folder: Path | str, *, decoding: DecodingConfig | None = None, threads: int | None = None
    ) -> "Transcriber":
        """Load a model folder.

        Args:
            folder: Of kind onsets-and-frames.
            decoding: Thresholds instead of those that the folder names.
            threads: How many threads share a convolution; by default as many as this process may run on.

        Raises:
            InputError: no such model, another kind, or damaged weights.
        """
        config = load_config(folder, kind=KIND)
        sizes = ModelConfig.from_json(config.get("model", {}), source=folder)
        weights, judge = load_parts(folder)
        return cls(
            Network(sizes, weights, threads=threads, source=folder),
            decoding or DecodingConfig.from_json(config.get("decoding", {}), source=folder),
            evidence=EvidenceConfig.from_json(config.get("evidence"), source=folder),
            judge=judge,
            confidence=ConfidenceConfig.from_json(config.get("confidence", {}), source=folder),
            digest=model_digest(folder),
        )

    def transcribe(self, path: Path | str, *, scratch: Path | None = None) -> Transcription:
        """Transcribe a WAV file.

        Args:
            path: 16 kHz.
            scratch: Folder for temporary files, about 10 MB a minute; the system's own by default.

        Raises:
            InputError: the file is not a 16 kHz WAV file.
            OSError: the disk of the scratch folder is full.
        """
        with Recording(path) as recording:
            level = recording.level
            reader = self._reader()
            tuning = None
            if level > 0:  # a constant spectrogram would only show what the network makes of nothing
                tuning = estimate_tuning(recording) if self.tuning_cents is None else constant_tuning(self.tuning_cents)
                for piece in self._hear(recording, level, tuning, scratch):
                    reader.feed(*piece)
            decoded = reader.finish()
            confidences = decoded.confidences(self.confidence)
            return Transcription(
                decoded.notes,
                sum(confidences) / len(confidences) if confidences else 0.0,
                seconds=recording.seconds,
                level=level,
                missing_seconds=recording.missing_seconds,
                tuning=tuning,
                confidences=tuple(confidences),
            )

    def decode(self, probabilities: Probabilities, spectrogram: np.ndarray) -> Decoded:
        """Read the notes off the probabilities of a whole recording, [F, K] each, and its spectrogram, [F, M] dB."""
        reader = self._reader()
        reader.feed(probabilities, spectrogram)
        return reader.finish()

    def _reader(self) -> NoteReader | EvidenceReader:
        return NoteReader(self.decoding) if self.evidence is None else EvidenceReader(self.evidence, self.judge)

    def _hear(
        self, recording: Recording, level: float, tuning: Tuning | None, scratch: Path | None
    ) -> Iterator[tuple[Probabilities, np.ndarray]]:
        """Yield the network's answers with their stretches of the spectrogram."""
        frames = frame_count(len(recording))

        def read(first: int, count: int) -> np.ndarray:
            return normalised(recording.read_clean(first, count), level)

        loudest_db = -np.inf
        with DiskArray(MEL_BINS, folder=scratch) as unfloored:
            for first, last in _spans(frames, self.piece_frames):
                piece = mel_db_between(read, first, last, len(recording), tuning)
                loudest_db = max(loudest_db, float(piece.max()))
                unfloored.write(first, piece)

            def spectrogram(first: int, last: int) -> np.ndarray:
                return floored(unfloored.read(first, last), loudest_db)

            begin = 0
            for heard in self.pieces(spectrogram, frames, scratch=scratch):
                end = begin + len(heard.onset)
                yield heard, spectrogram(begin, end)
                begin = end

    def hear_samples(self, samples: np.ndarray) -> Probabilities:
        """Return the probabilities for [samples] mono at 16 kHz, held in memory, as it is tuned; at least one frame."""
        return self.hear_spectrogram(log_mel(samples))

    def hear_spectrogram(self, spectrogram: np.ndarray) -> Probabilities:
        """Return the probabilities for a spectrogram [F, M] float32, dB; at least one frame."""
        pieces = list(self.pieces(lambda first, last: spectrogram[first:last], len(spectrogram)))
        return Probabilities(
            **{
                field.name: np.concatenate([getattr(piece, field.name) for piece in pieces])
                for field in fields(Probabilities)
            }
        )

    def pieces(
        self, spectrogram: Callable[[int, int], np.ndarray], frames: int, *, scratch: Path | None = None
    ) -> Iterator[Probabilities]:
        """Run the network over a spectrogram that is made as needed.

        Args:
            spectrogram: Called with a first frame and one past the last; returns [F, M] float32, dB.
            frames: Of the whole recording.
            scratch: Folder for temporary files.

        Yields:
            The answers piece by piece, in order: arrays of [up to `piece_frames`, K].
        """
        with ExitStack() as arrays:

            def array(columns: int) -> DiskArray:
                return arrays.enter_context(DiskArray(columns, folder=scratch))

            heard = {name: array(columns) for name, columns in self.network.columns.items()}
            for first, last in _spans(frames, self.piece_frames):
                left, right = max(first - CONTEXT_FRAMES, 0), min(last + CONTEXT_FRAMES, frames)
                for name, answer in self.network.acoustic(spectrogram(left, right)).items():
                    heard[name].write(first, answer[first - left : last - left])

            onset = self._run_head("onset", heard["onset"].read, frames, array)
            heard["onset"].close()
            offset = self._run_head("offset", heard["offset"].read, frames, array)
            heard["offset"].close()

            def evidence(first: int, last: int) -> np.ndarray:
                parts = [onset(first, last), heard["activation"].read(first, last), offset(first, last)]
                return np.concatenate(parts, axis=-1)  # [F, 3 K]

            frame = self._run_head("frame", evidence, frames, array)
            for span in _spans(frames, self.piece_frames):
                yield Probabilities(
                    onset=onset(*span), offset=offset(*span), frame=frame(*span), velocity=heard["velocity"].read(*span)
                )

    def _run_head(
        self, name: str, evidence: Callable[[int, int], np.ndarray], frames: int, array: Callable[[int], DiskArray]
    ) -> Callable[[int, int], np.ndarray]:
        """Run an LSTM in both directions and its dense layer: stretches of [F, D] to stretches of [F, K].

        Both directions go piece by piece, each piece beginning in the state in which the one before ended; for the
        second direction time runs the other way, so it starts at the end and its pieces are turned round.
        """
        ahead, behind = array(KEYS), array(KEYS)  # what each direction adds to the logits
        state = self.network.start()
        for first, last in _spans(frames, self.piece_frames):
            step = self.network.step(name, evidence(first, last), evidence(frames - last, frames - first)[::-1], state)
            ahead.write(first, step.ahead)
            behind.write(frames - last, step.behind[::-1])
            state = step.state

        def probabilities(first: int, last: int) -> np.ndarray:
            logits = ahead.read(first, last) + behind.read(first, last) + self.network.biases[name]
            return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), dtype=np.float32)  # the sigmoid, without overflow

        return probabilities


def _spans(frames: int, piece: int) -> Iterator[tuple[int, int]]:
    for first in range(0, frames, piece):
        yield first, min(first + piece, frames)
