"""Fit what makes a note right, and make a confidence say what it means: of the notes sure to 0.5, half are right.

Conventions: E pieces of evidence. A note is right if a true note of its pitch starts within 150 ms, one to one. The
weights are those of a logistic regression by Newton's method, in which each take counts the same: takes of piano have
ten times the notes of ambient ones. Only takes that no training has used may calibrate.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.config import (
    FRAME_S,
    LOWEST_PITCH,
    ConfidenceConfig,
    EvidenceConfig,
    FadedWeights,
    StruckWeights,
)
from ambient.onsets_and_frames.decoding import Probabilities
from ambient.onsets_and_frames.evidence import STRUCK, struck_odds, surroundings
from ambient.onsets_and_frames.fading import Candidates, EvidenceReader, stretch_of, struck_candidates
from ambient.onsets_and_frames.inference import Transcriber
from ambient.onsets_and_frames.judge import Judge
from ambient.onsets_and_frames.metrics import right_notes
from ambient.onsets_and_frames.rendering import Take

TOLERANCE_S = 0.15  # slow sounds have no start to the millisecond
FADE_TOLERANCE_S = 0.2  # those that fade in least of all
_ROUNDS = 30
_PENALTY = 1e-6  # a note, on the squares of the weights: for takes that a threshold would part without an error
EARLY_S = 0.013  # labels of recorded pianos come before the sound: their keys move first, and the microphone is away
_EVIDENCE_PENALTY = 1e-3  # of the weights of evidence, which partly says the same
_FEWEST_NOTES = 100
_ANY = 1e-9  # likely enough for every note


@dataclass(frozen=True, slots=True)
class Labelled:
    """The notes heard in a take.

    Attributes:
        evidence: [notes, E], as `decoding.Decoded` has it.
        right: [notes] bool.
    """

    evidence: np.ndarray
    right: np.ndarray


@dataclass(frozen=True, slots=True)
class Judged:
    """The notes that may be in a take, for a judge to learn from.

    Attributes:
        surroundings: [notes, `evidence.SURROUNDINGS`].
        odds: [notes], by the logistic regression.
        after_s: [notes], how long after the beginning of its row each starts; NaN for those that are none.
    """

    surroundings: np.ndarray
    odds: np.ndarray
    after_s: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Which are notes, [notes] bool."""
        return np.isfinite(self.after_s)


def label(transcriber: Transcriber, probabilities: Probabilities, take: Take) -> Labelled:
    """Read the notes of a take off what the network says of it, and mark which are right."""
    decoded = transcriber.decode(probabilities, take.mel.astype(np.float32))
    right = right_notes(_true_notes(take), decoded.notes, tolerance_s=TOLERANCE_S)
    return Labelled(decoded.evidence, np.array(right, dtype=bool))


def fit_evidence(
    heard: Sequence[tuple[Probabilities, Take]],
    config: EvidenceConfig,
    fit_judge: Callable[[Sequence[Judged]], Judge | None] = lambda takes: None,
) -> tuple[EvidenceConfig, Judge | None] | None:
    """Fit what makes a note right: first a struck one, then, beside those, one that fades in.

    Args:
        heard: Takes that no training used, with what the network says of them.
        config: Its settings stay, its weights are fitted anew.
        fit_judge: Fits what looks at struck notes a second time; by default nothing does.

    Returns:
        None if there are fewer than a hundred candidates of a kind.
    """
    seen = [_seen(probabilities, take, config) for probabilities, take in heard]
    struck = _fitted([Labelled(around[:, :STRUCK], np.abs(after_s) <= TOLERANCE_S) for around, after_s in seen])
    if struck is None:
        return None
    config = replace(config, struck=StruckWeights(*struck))
    judge = fit_judge(
        [Judged(around, struck_odds(config, around[:, :STRUCK]), after_s - EARLY_S) for around, after_s in seen]
    )
    faded = _fitted([_faded(probabilities, take, config, judge) for probabilities, take in heard])
    return None if faded is None else (replace(config, faded=FadedWeights(*faded)), judge)


def _seen(probabilities: Probabilities, take: Take, config: EvidenceConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return what is around each struck candidate of a take, and how long after its row begins its note starts.

    Matched wider than what counts as right, as the judge says when a note starts, too. Nearest first, so the matches
    within the narrower tolerance are among them.
    """
    heard = stretch_of(probabilities, take.mel.astype(np.float32))
    found = struck_candidates(heard, 0, len(heard.onset), config)
    return surroundings(heard, found.rows, found.keys, found.lasts), _after_s(found, take, FADE_TOLERANCE_S)


def _after_s(found: Candidates, take: Take, tolerance_s: float) -> np.ndarray:
    """Match candidates with the true notes of a take, nearest first, one to one.

    Returns:
        How long after the beginning of each candidate's row its note starts, [N] s; NaN for those that are none.
    """
    true_s: dict[int, list[tuple[int, float]]] = {}
    for number, note in enumerate(take.notes):
        true_s.setdefault(note.pitch - LOWEST_PITCH, []).append((number, note.start_s))
    pairs = sorted(
        (abs(start_s - row * FRAME_S), place, number, start_s - row * FRAME_S)
        for place, (row, key) in enumerate(zip(found.rows.tolist(), found.keys.tolist(), strict=True))
        for number, start_s in true_s.get(key, [])
        if abs(start_s - row * FRAME_S) <= tolerance_s
    )
    after_s, taken = np.full(len(found.rows), np.nan), set()
    for _, place, number, off_s in pairs:
        if np.isnan(after_s[place]) and number not in taken:
            after_s[place] = off_s
            taken.add(number)
    return after_s


def _faded(probabilities: Probabilities, take: Take, config: EvidenceConfig, judge: Judge | None) -> Labelled:
    reader = EvidenceReader(replace(config, faded=FadedWeights(), least_faded=_ANY), judge)
    reader.feed(probabilities, take.mel.astype(np.float32))
    found = reader.finish_with_begins()
    right = right_notes(_true_notes(take), [note for note, _ in found], tolerance_s=FADE_TOLERANCE_S)
    labelled = [(begin.faded, is_right) for (_, begin), is_right in zip(found, right, strict=True) if begin.faded]
    return Labelled(
        np.array([evidence for evidence, _ in labelled]), np.array([is_right for _, is_right in labelled], dtype=bool)
    )


def _true_notes(take: Take) -> list[Note]:
    return [note for note in take.notes if note.start_s < len(take.mel) * FRAME_S]


def _fitted(takes: Sequence[Labelled]) -> list[float] | None:
    takes = [take for take in takes if len(take.right)]
    if sum(len(take.right) for take in takes) < _FEWEST_NOTES:
        return None
    evidence, right = (np.concatenate([getattr(take, name) for take in takes]) for name in ("evidence", "right"))
    share = np.concatenate([np.full(len(take.right), len(take.right) ** -0.5) for take in takes])
    return [round(weight, 4) for weight in _logistic(evidence, right, share / share.mean(), penalty=_EVIDENCE_PENALTY)]


def fit_confidence(takes: Iterable[Labelled]) -> ConfidenceConfig | None:
    """Fit what makes a note sure.

    Args:
        takes: Notes that were heard in them.

    Returns:
        None if there are fewer than a hundred notes, or none that is right or none that is wrong.
    """
    labelled = [take for take in takes if len(take.right)]
    right = np.concatenate([np.zeros(0, dtype=bool), *(take.right for take in labelled)])
    if len(right) < _FEWEST_NOTES or right.all() or not right.any():
        return None
    evidence = np.concatenate([take.evidence for take in labelled])
    share = np.concatenate([np.full(len(take.right), 1 / len(take.right)) for take in labelled])
    bias, onset, recording, below = _logistic(evidence, right, share / share.mean())
    return ConfidenceConfig(round(bias, 4), round(onset, 4), round(recording, 4), round(below, 4))


def calibration_error(confidences: Sequence[float], right: Sequence[bool] | np.ndarray) -> float:
    """Return by how much confidence and share of right notes differ, on average over tenths of confidence."""
    sure, is_right = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    tenth = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(float((sure - is_right)[tenth == each].sum())) for each in range(10)]
    return sum(gaps) / len(sure) if len(sure) else 0.0


def _logistic(evidence: np.ndarray, right: np.ndarray, share: np.ndarray, *, penalty: float = _PENALTY) -> list[float]:
    """Return the bias and a weight for each piece of evidence."""
    columns = np.column_stack([np.ones(len(evidence)), evidence])
    costs = penalty * len(evidence) * np.eye(columns.shape[1])
    weights = np.zeros(columns.shape[1])
    for _ in range(_ROUNDS):
        likely = 0.5 + 0.5 * np.tanh(0.5 * columns @ weights)
        slope = columns.T @ (share * (right - likely)) - costs @ weights
        curvature = (columns * (share * likely * (1 - likely))[:, None]).T @ columns + costs
        weights += np.linalg.solve(curvature, slope)
    return [float(weight) for weight in weights]
