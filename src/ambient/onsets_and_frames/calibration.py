"""Make a confidence say what it means: of the notes that are sure to 0.5, half are right.

Conventions: E pieces of evidence. A note is right if a true note of its pitch starts within 150 ms, one to one. The
weights are those of a logistic regression by Newton's method, in which each take counts the same: takes of piano have
ten times the notes of ambient ones. Only takes that no training has used may calibrate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ambient.onsets_and_frames.config import FRAME_S, ConfidenceConfig
from ambient.onsets_and_frames.decoding import probabilities_to_notes
from ambient.onsets_and_frames.inference import Transcriber
from ambient.onsets_and_frames.metrics import right_notes
from ambient.onsets_and_frames.rendering import Take

TOLERANCE_S = 0.15  # slow sounds have no start to the millisecond
_ROUNDS = 30
_PENALTY = 1e-6  # a note, on the squares of the weights: for takes that a threshold would part without an error
_FEWEST_NOTES = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """The notes heard in a take.

    Attributes:
        evidence: [notes, E], as `decoding.Decoded` has it.
        right: [notes] bool.
    """

    evidence: np.ndarray
    right: np.ndarray


def judge(transcriber: Transcriber, take: Take) -> Judged:
    """Transcribe a take and mark which notes are right."""
    spectrogram = take.mel.astype(np.float32)
    heard = transcriber.hear_spectrogram(spectrogram)
    decoded = probabilities_to_notes(heard, transcriber.decoding)
    true_notes = [note for note in take.notes if note.start_s < len(spectrogram) * FRAME_S]
    right = right_notes(true_notes, decoded.notes, tolerance_s=TOLERANCE_S)
    return Judged(decoded.evidence, np.array(right, dtype=bool))


def fit_confidence(takes: Iterable[Judged]) -> ConfidenceConfig | None:
    """Fit what makes a note sure.

    Args:
        takes: Notes that were heard in them.

    Returns:
        None if there are fewer than a hundred notes, or none that is right or none that is wrong.
    """
    judged = [take for take in takes if len(take.right)]
    right = np.concatenate([np.zeros(0, dtype=bool), *(take.right for take in judged)])
    if len(right) < _FEWEST_NOTES or right.all() or not right.any():
        return None
    evidence = np.concatenate([take.evidence for take in judged])
    share = np.concatenate([np.full(len(take.right), 1 / len(take.right)) for take in judged])
    bias, onset, recording, below = _logistic(evidence, right, share / share.mean())
    return ConfidenceConfig(round(bias, 4), round(onset, 4), round(recording, 4), round(below, 4))


def calibration_error(confidences: Sequence[float], right: Sequence[bool] | np.ndarray) -> float:
    """Return by how much confidence and share of right notes differ, on average over tenths of confidence."""
    sure, is_right = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    tenth = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(float((sure - is_right)[tenth == each].sum())) for each in range(10)]
    return sum(gaps) / len(sure) if len(sure) else 0.0


def _logistic(evidence: np.ndarray, right: np.ndarray, share: np.ndarray) -> list[float]:
    """Return the bias and a weight for each piece of evidence."""
    columns = np.column_stack([np.ones(len(evidence)), evidence])
    penalty = _PENALTY * len(evidence) * np.eye(columns.shape[1])
    weights = np.zeros(columns.shape[1])
    for _ in range(_ROUNDS):
        likely = 0.5 + 0.5 * np.tanh(0.5 * columns @ weights)
        slope = columns.T @ (share * (right - likely)) - penalty @ weights
        curvature = (columns * (share * likely * (1 - likely))[:, None]).T @ columns + penalty
        weights += np.linalg.solve(curvature, slope)
    return [float(weight) for weight in weights]
