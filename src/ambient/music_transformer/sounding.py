"""What a new note meets: is there still a bass, and do notes clash? Looks at what sounds on when it starts.

How often a primer strikes a pitch (`balance`) does not say how long it is there. One note in ten may be a bass, and yet
something sounds down there all the time; where its next one comes late, seconds have none. And chords whose notes end
together in the primer are still held in new music while the harmony changes.

Conventions: times are steps of 10 ms. A note *sounds on* if it does not end within 0.2 s after the start of another.
"""

from collections.abc import Sequence

import numpy as np

from ambient.music_transformer.balance import LEAST_NOTES, nearness
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.rows import LOOK_BACK
from ambient.music_transformer.tokens import PITCHES

ENDING_STEPS = 20
SPREAD = 3.0  # semitones, standard deviation: how far a bass speaks for pitches around it
UNHEARD_BASS = 0.002  # added to all shares: what the primer does not have is rare, not forbidden
UNHEARD_CLASH = 0.005
_AWAY = np.abs(np.arange(PITCHES)[:, None] - np.arange(PITCHES))
CLASHES = (_AWAY % 12 == 1).astype(np.float64)  # [128, 128]: minor seconds and ninths, the harshest intervals


class BassWatch:
    """Makes it likelier that a note becomes the lowest that sounds where the primer mostly is as low.

    A pitch below all that sounds is drawn by the model's probability times (share of the primer's time in which the
    lowest that sounds is around it / in which it is around what is lowest now), where that is more than 1.

    Args:
        primer: Its notes.
    """

    def __init__(self, primer: Fields) -> None:
        self._nats: np.ndarray | None = None  # [128], of a pitch as the lowest
        if len(primer) >= LEAST_NOTES:
            steps = time_as_lowest(primer.starts, primer.pitches, primer.ends)
            self._nats = np.log(nearness(PITCHES, SPREAD) @ (steps / steps.sum()) + UNHEARD_BASS)

    def nats(self, sounding: Sequence[int]) -> np.ndarray | None:
        """Return what is to be added to the logits of the pitches, [128]; None without a primer.

        Args:
            sounding: Pitches that sound on when the new note starts.
        """
        if self._nats is None or not sounding:
            return self._nats
        lowest = min(sounding)
        nats = np.zeros(PITCHES)
        nats[:lowest] = np.maximum(self._nats[:lowest] - self._nats[lowest], 0.0)
        return nats


class ClashWatch:
    """Makes notes that clash with what sounds as rare as in the primer.

    Of a primer's pairs of a note that starts and one that sounds on, a share clashes; another share would if every
    pitch met every other. A pitch is drawn by the model's probability times the first over the second, for each
    sounding note that it clashes with; nothing is changed where the first is larger.

    Args:
        primer: Its notes.
    """

    def __init__(self, primer: Fields) -> None:
        self._nats = 0.0  # of each clash
        pitches, ends = primer.pitches.tolist(), primer.ends.tolist()
        met = clashing = 0.0
        for note, (start, pitch) in enumerate(zip(primer.starts.tolist(), pitches, strict=True)):
            before = slice(max(0, note - LOOK_BACK), note)
            sounding = sounding_on(pitches[before], ends[before], start)
            met += len(sounding)
            clashing += float(CLASHES[pitch, sounding].sum())
        if len(primer) < LEAST_NOTES or not met:
            return
        shares = np.bincount(primer.pitches, minlength=PITCHES) / len(primer)
        chance = float(shares @ CLASHES @ shares)
        self._nats = min(float(np.log((clashing / met + UNHEARD_CLASH) / (chance + UNHEARD_CLASH))), 0.0)

    def nats(self, sounding: Sequence[int]) -> np.ndarray | None:
        """Return what is to be added to the logits of the pitches, [128]; None where nothing is.

        Args:
            sounding: Pitches that sound on when the new note starts.
        """
        if not self._nats or not sounding:
            return None
        nats: np.ndarray = self._nats * CLASHES[:, sounding].sum(axis=1)
        return nats


def sounding_on(pitches: Sequence[int], ends: Sequence[int], start: int) -> list[int]:
    """Return which of some pitches sound on when a note starts, by when they end."""
    return [pitch for pitch, end in zip(pitches, ends, strict=True) if end > start + ENDING_STEPS]


def time_as_lowest(starts: np.ndarray, pitches: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return for how long each pitch is the lowest that sounds: [N] each to [128], in the unit of the times."""
    times = np.zeros(PITCHES)
    moments = np.unique(np.concatenate([starts, ends]))
    lasting = np.diff(moments)
    is_taken = np.zeros(len(lasting), dtype=bool)  # by a lower note
    for note in np.argsort(pitches, kind="stable"):
        span = slice(*np.searchsorted(moments, [starts[note], ends[note]]))
        times[pitches[note]] += lasting[span][~is_taken[span]].sum()
        is_taken[span] = True
    return times
