"""Score notes against the true ones: the one door to mir_eval.

Conventions: mir_eval's note metrics (onsets within 50 ms by default, pitch right, one to one; offsets within
the larger of 50 ms and 20 % of the note; velocities within 0.1 of the reference's range after a linear fit), and frame
F1 on rolls of 31.25 frames a second drawn from the notes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import mir_eval
import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.labels import notes_to_rolls


@dataclass(frozen=True, slots=True)
class Scores:
    """F1 measures, 0-1, and how long notes are.

    Attributes:
        onset: Onset within 50 ms.
        onset_150: Onset within 150 ms.
        onset_offset: Onset within 50 ms and offset right too.
        frame: Sounding keys, frame by frame.
        velocity: Onset within 50 ms and velocity right too.
        precision: Of `onset`.
        recall: Of `onset`.
        audible: Onset within 50 ms of when the note can be heard.
        audible_150: Onset within 150 ms of it.
        length: Median over the notes that were heard (150 ms) of how long each is, over how long it is played; 0 if
            none was heard.
    """

    onset: float
    onset_150: float
    onset_offset: float
    frame: float
    velocity: float
    precision: float
    recall: float
    audible: float
    audible_150: float
    length: float


def score(ref_notes: Sequence[Note], est_notes: Sequence[Note], *, audible_s: Sequence[float] | None = None) -> Scores:
    """Score estimated notes; with no note on one side every figure is 0.

    Args:
        ref_notes: The true ones.
        est_notes: The estimated ones.
        audible_s: When each true note can be heard; by default when it starts.
    """
    if not ref_notes or not est_notes:
        return Scores(*(0.0 for _ in fields(Scores)))
    if audible_s is None:
        audible_s = [note.start_s for note in ref_notes]
    heard = [replace(note, start_s=start_s) for note, start_s in zip(ref_notes, audible_s, strict=True)]
    ref, est = _arrays(ref_notes), _arrays(est_notes)
    measure = mir_eval.transcription.precision_recall_f1_overlap
    precision, recall, onset, _ = measure(*ref, *est, offset_ratio=None)
    return Scores(
        onset=onset,
        onset_150=measure(*ref, *est, offset_ratio=None, onset_tolerance=0.15)[2],
        onset_offset=measure(*ref, *est)[2],
        frame=frame_f1(ref_notes, est_notes),
        velocity=_velocity_f1(ref_notes, est_notes),
        precision=precision,
        recall=recall,
        audible=measure(*_arrays(heard), *est, offset_ratio=None)[2],
        audible_150=measure(*_arrays(heard), *est, offset_ratio=None, onset_tolerance=0.15)[2],
        length=length_ratio(ref_notes, est_notes),
    )


def length_ratio(ref_notes: Sequence[Note], est_notes: Sequence[Note]) -> float:
    """Return the median of how long notes are heard over how long they are played; 0 if none was heard."""
    (ref, ref_hz), (est, est_hz) = _arrays(ref_notes), _arrays(est_notes)
    pairs = mir_eval.transcription.match_notes(ref, ref_hz, est, est_hz, onset_tolerance=0.15, offset_ratio=None)
    lengths = [np.ptp(est[j]) / np.ptp(ref[i]) for i, j in pairs]
    return float(np.median(lengths)) if lengths else 0.0


def right_notes(ref_notes: Sequence[Note], est_notes: Sequence[Note], *, tolerance_s: float) -> list[bool]:
    """Tell for each estimated note whether a true note of its pitch starts within `tolerance_s`, one to one."""
    if not ref_notes or not est_notes:
        return [False] * len(est_notes)
    (ref, ref_hz), (est, est_hz) = _arrays(ref_notes), _arrays(est_notes)
    pairs = mir_eval.transcription.match_notes(ref, ref_hz, est, est_hz, onset_tolerance=tolerance_s, offset_ratio=None)
    matched = {index for _, index in pairs}
    return [index in matched for index in range(len(est_notes))]


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Average over recordings, each counting the same."""
    if not scores:
        raise ValueError("no scores to average")
    return Scores(*(float(np.mean([getattr(each, name) for each in scores])) for name in Scores.__dataclass_fields__))


def frame_f1(ref_notes: Sequence[Note], est_notes: Sequence[Note]) -> float:
    """Return the F1 of sounding keys over all frames."""
    frames = int(max(note.end_s for note in (*ref_notes, *est_notes)) * 31.25) + 2
    ref = notes_to_rolls(ref_notes, frames).frame > 0
    est = notes_to_rolls(est_notes, frames).frame > 0
    total = int(ref.sum() + est.sum())
    return 2.0 * int((ref & est).sum()) / total if total else 0.0


def _velocity_f1(ref_notes: Sequence[Note], est_notes: Sequence[Note]) -> float:
    ref, est = (
        (*_arrays(notes), np.array([float(note.velocity) for note in notes])) for notes in (ref_notes, est_notes)
    )
    return float(mir_eval.transcription_velocity.precision_recall_f1_overlap(*ref, *est, offset_ratio=None)[2])


def _arrays(notes: Sequence[Note]) -> tuple[np.ndarray, np.ndarray]:
    """Return mir_eval's intervals [notes, 2] in seconds and pitches [notes] in Hz."""
    intervals = np.array([[note.start_s, max(note.end_s, note.start_s + 1e-3)] for note in notes])
    return intervals, mir_eval.util.midi_to_hz(np.array([note.pitch for note in notes], dtype=float))
