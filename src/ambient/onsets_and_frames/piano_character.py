"""Make many pianos out of one: how a grand's recordings are played so that they sound as another instrument's.

A network that has heard three pianos hears those three best: the same pieces gave an onset F1 of 0.94 on each of them
and of 0.84 on another soundfont's (docs/experiments.md). Pianos differ in what is drawn here: how their strings ring
(recordings of other keys, faster or slower), how bright their hammers are (recordings of other velocities), how they
are tuned, how fast they die away, how even they are, and how much the strings that nobody struck answer.
"""

from dataclasses import dataclass

import numpy as np

from ambient.onsets_and_frames.config import KEYS, LOWEST_PITCH, SAMPLE_RATE_HZ

KEYS_UP = 8  # semitones at most; a sound so far from its own pitch is another instrument's
_PARTIALS = 8
_ANSWER_S = 6.0
_FALL_S = (10.0, 1.5)  # in which the lowest and the highest string fall by 60 dB
_STIFFNESS = 4e-4  # partial n of a stiff string lies at n sqrt(1 + B n^2) times its fundamental
_HIGHEST_HZ = 7600.0
_DETUNED_CENTS = 2.0


@dataclass(frozen=True, slots=True)
class PianoCharacter:
    """How a piano differs from its recordings; as it is by default.

    Attributes:
        keys_up: Each key is played by the recording of a key so many semitones higher, slower (below 0: lower, faster).
        velocities_up: Each velocity is played by the recording of one so many steps of sixteen louder, as loud as it
            was.
        cents: How sharp each key is, [88]; none by default.
        gains: By what each key is multiplied, [88]; 1 by default.
        unison_cents: A second string of each key is so much sharper ...
        unison_share: ... and so loud, of the first, 0-1.
        fall_db: By how many dB a second notes die away faster.
        answer: Impulse response of the strings that were not struck, [samples]; none by default.
    """

    keys_up: int = 0
    velocities_up: int = 0
    cents: np.ndarray | None = None
    gains: np.ndarray | None = None
    unison_cents: float = 0.0
    unison_share: float = 0.0
    fall_db: float = 0.0
    answer: np.ndarray | None = None

    def speed_of(self, pitch: int) -> float:
        """Return how much faster than in equal temperament a key vibrates."""
        return 1.0 if self.cents is None else float(2.0 ** (self.cents[pitch - LOWEST_PITCH] / 1200.0))

    def gain_of(self, pitch: int) -> float:
        """Return by what a key is multiplied."""
        return 1.0 if self.gains is None else float(self.gains[pitch - LOWEST_PITCH])


def drawn_character(random: np.random.Generator) -> PianoCharacter:
    """Draw a piano."""
    from_middle = (np.arange(KEYS) + LOWEST_PITCH - 64.0) / 44.0  # -1 to 1
    stretch = random.uniform(0.0, 15.0) * np.sign(from_middle) * np.abs(from_middle) ** 2
    answers = random.random() < 0.6
    return PianoCharacter(
        keys_up=int(random.integers(-KEYS_UP, KEYS_UP + 1)),
        velocities_up=int(random.integers(-4, 5)),
        cents=stretch + random.normal(0.0, random.uniform(0.0, 5.0), KEYS),
        gains=10.0 ** (random.normal(0.0, random.uniform(0.0, 3.0), KEYS) / 20.0),
        unison_cents=random.uniform(0.5, 7.0),
        unison_share=random.uniform(0.3, 0.9) if random.random() < 0.6 else 0.0,
        fall_db=random.uniform(-1.0, 8.0),
        answer=answer_of_strings(random) * 10.0 ** (random.uniform(-30.0, -10.0) / 20.0) if answers else None,
    )


def answer_of_strings(random: np.random.Generator) -> np.ndarray:
    """Return what all strings of a piano answer to a click while its dampers are up.

    Each string is a sum of partials that die away; what is played sounds on in those whose partials it meets.

    Returns:
        [samples] float32 at 16 kHz, of energy 1.
    """
    time_s = np.arange(int(_ANSWER_S * SAMPLE_RATE_HZ), dtype=np.float32) / SAMPLE_RATE_HZ
    answer = np.zeros(len(time_s), dtype=np.float32)
    for key in range(KEYS):
        fundamental_hz = 440.0 * 2.0 ** ((key + LOWEST_PITCH - 69 + random.normal(0.0, _DETUNED_CENTS) / 100.0) / 12.0)
        falls_s = _FALL_S[0] * (_FALL_S[1] / _FALL_S[0]) ** (key / (KEYS - 1))
        for partial in range(1, _PARTIALS + 1):
            hz = partial * fundamental_hz * np.sqrt(1.0 + _STIFFNESS * partial**2)
            if hz > _HIGHEST_HZ:
                break
            rate = np.float32(-6.9 * np.sqrt(partial) / falls_s)
            phase = np.float32(random.uniform(0.0, 2 * np.pi))
            answer += np.sin(np.float32(2 * np.pi * hz) * time_s + phase) * np.exp(rate * time_s) / partial
    return np.asarray(answer / np.sqrt(np.sum(np.square(answer))), dtype=np.float32)
