"""Every number that shapes the transcriber, its training and its decoding: defaults live here and nowhere else.

Conventions: sizes follow magenta/magenta's `onsets_frames` configuration as published with MAESTRO (Hawthorne et al.,
ICLR 2019, arXiv 1810.12247); `small` is ours. Pure standard library, so that programs can show defaults quickly.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from ambient.errors import InputError

_Numbers = TypeVar("_Numbers")

KIND = "onsets-and-frames"

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 512
WINDOW_SAMPLES = 2048
MEL_BINS = 229
MEL_LOW_HZ = 30.0
MEL_HIGH_HZ = 8000.0
POWER_FLOOR = 1e-10  # librosa's amin
DYNAMIC_RANGE_DB = 80.0  # librosa's top_db
FRAMES_PER_SECOND = SAMPLE_RATE_HZ / HOP_SAMPLES  # 31.25
FRAME_S = HOP_SAMPLES / SAMPLE_RATE_HZ  # 0.032

LOWEST_PITCH = 21
KEYS = 88
EDGE_LENGTH_S = 0.032  # how much of a note's start, and of what follows its end, the onset and offset rolls mark

NORM_EPSILON = 1e-3  # of the BatchNorm after each convolution
CONTEXT_FRAMES = 3  # three 3x3 convolutions see three frames to each side


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the graph; the wiring is the same for all.

    Attributes:
        filters: Channels of the three convolutions of each stack.
        dense: Width of each stack's dense layer.
        lstm: Units of each direction of each LSTM.
        dropout: Share dropped after each pool and after the dense layer, in training only. Magenta's published
            weights dropped 0.75 and 0.5; short trainings on few cores are short of steps, not of data.
        shared: One convolution stack serves all four heads, which makes it wider for the same time. Magenta's graph
            has one for each.
    """

    filters: tuple[int, int, int] = (48, 48, 96)
    dense: int = 768
    lstm: int = 256
    dropout: tuple[float, float, float] = (0.25, 0.25, 0.5)
    shared: bool = False

    @property
    def scopes(self) -> dict[str, str]:
        """The convolution stack, by its scope, that each head listens to."""
        own = {"onset": "onsets", "offset": "offsets", "frame": "frame", "velocity": "velocity"}
        return dict.fromkeys(own, "shared") if self.shared else own

    def to_json(self) -> dict[str, Any]:
        """Return the sizes as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, source: object) -> "ModelConfig":
        """Rebuild the sizes from a model folder's `config.json`; `to_json` is the inverse.

        Raises:
            InputError: a size is missing or is not a number.
        """
        try:
            filters, dropout = values["filters"], values["dropout"]
            return cls(
                filters=(int(filters[0]), int(filters[1]), int(filters[2])),
                dense=int(values["dense"]),
                lstm=int(values["lstm"]),
                dropout=(float(dropout[0]), float(dropout[1]), float(dropout[2])),
                shared=bool(values.get("shared", False)),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                source,
                f"sizes that cannot be read ({error!r})",
                f"expected {', '.join(field.name for field in fields(cls))}",
                "Copy the whole model folder again",
            ) from error


MODELS = {
    "full": ModelConfig(),
    "small": ModelConfig(filters=(32, 32, 64), dense=512, lstm=128, dropout=(0.0, 0.0, 0.1), shared=True),
    "tiny": ModelConfig(filters=(2, 2, 4), dense=16, lstm=8, dropout=(0.0, 0.0, 0.0)),  # for tests
}


@dataclass(frozen=True, slots=True)
class DecodingConfig:
    """Where probabilities become notes.

    Attributes:
        onset_threshold: 0-1. 0.5 in magenta/magenta.
        frame_threshold: 0-1. 0.5 in magenta/magenta.
        offset_threshold: 0-1; 0 means that offsets are not used, as in magenta/magenta.
    """

    onset_threshold: float = 0.5
    frame_threshold: float = 0.5
    offset_threshold: float = 0.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, source: object) -> "DecodingConfig":
        """Read the thresholds that a model folder names; those it does not name keep their defaults.

        Raises:
            InputError: they are not numbers by the names that we know.
        """
        return _numbers(cls, values, source=source)


@dataclass(frozen=True, slots=True)
class ConfidenceConfig:
    """How sure a note is: the weights of a logistic regression that `calibration` fits to notes known right or wrong.

    As they stand here a note is as sure as the network is of its start.

    Attributes:
        bias: Log-odds to begin with.
        onset: Of the log-odds of the note's start.
        recording: Of the mean of these over the recording: in one that is hard to hear all is less sure.
        below: Of the probability that a note an octave, a twelfth or two octaves below starts with it, of which it may
            be a partial.
    """

    bias: float = 0.0
    onset: float = 1.0
    recording: float = 0.0
    below: float = 0.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, source: object) -> "ConfidenceConfig":
        """Read the weights that a model folder names; those it does not name keep their defaults.

        Raises:
            InputError: they are not numbers by the names that we know.
        """
        return _numbers(cls, values, source=source)


@dataclass(frozen=True, slots=True)
class StruckWeights:
    """What makes a note with an onset right: weights of a logistic regression on `evidence.struck_evidence`.

    Attributes:
        bias: Log-odds to begin with.
        onset: Of the log-odds of its onset.
        echo: Of the probability that a note of which it may be a partial starts with it.
        start: Of the log-odds that it sounds in its first frames.
        sounds: Of the log-odds that it sounds, on average.
        length: Of the logarithm of its frames.
        rise: Of the rise at its harmonics, in tens of dB.
        before: Of the probability that its pitch sounds before it.
        restrike: If its pitch sounds before it.
        restrike_onset: Of the log-odds of its onset, if its pitch sounds before it.
        above_neighbours: Of the level at its harmonics over that of the keys beside it, in tens of dB.
        below_loudest: Of the level at its harmonics over that of the loudest key.
        velocity: Of what the velocity head says.
    """

    bias: float = 0.0
    onset: float = 1.0
    echo: float = 0.0
    start: float = 0.0
    sounds: float = 0.0
    length: float = 0.0
    rise: float = 0.0
    before: float = 0.0
    restrike: float = 0.0
    restrike_onset: float = 0.0
    above_neighbours: float = 0.0
    below_loudest: float = 0.0
    velocity: float = 0.0


@dataclass(frozen=True, slots=True)
class FadedWeights:
    """What makes a note without an onset right: weights of a logistic regression on `evidence.faded_evidence`.

    Attributes:
        bias: Log-odds to begin with.
        onset: Of the sum of the onset probabilities around its start.
        start: Of the log-odds that it sounds in its first frames.
        rise: Of the rise at its harmonics over the second before, in tens of dB.
        above_neighbours: Of the level at its harmonics over that of the keys beside it, in tens of dB.
        below_loudest: Of the level at its harmonics over that of the loudest key.
        below: Of the probability that a note sounds of which it may be a partial.
        above: Of the probability that one of its partials sounds as a note.
        before: Of the probability that its pitch sounded in the second before.
    """

    bias: float = 0.0
    onset: float = 0.0
    start: float = 1.0
    rise: float = 0.0
    above_neighbours: float = 0.0
    below_loudest: float = 0.0
    below: float = 0.0
    above: float = 0.0
    before: float = 0.0


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """How notes are read off the probabilities and the spectrogram (`fading`), in place of Magenta's rules.

    Attributes:
        struck: What makes a note with an onset right.
        faded: What makes a note without one right.
        onset_threshold: From where on an onset is that of a candidate, 0-1.
        frame_threshold: From where on a key counts as sounding, 0-1.
        least_struck: How likely a note with an onset must be, 0-1.
        least_faded: How likely one without must be.
        apart_s: Of starts of one key that lie less than so far apart only the likeliest counts.
        sure_frame: What the frame head must say of a note without an onset, 0-1 ...
        sure_frames: ... in so many frames.
        join_frames: A note goes on over a gap of at most so many frames in the frame head ...
        join_db: ... in which the level at its harmonics falls by no more than this.
        release_db: A note ends where the level at its harmonics falls by so much more within a quarter of a second than
            in the one before, for good ...
        release_frame: ... and the frame head then says less than this of it, on average over the next 0.8 s.
    """

    struck: StruckWeights = StruckWeights()
    faded: FadedWeights = FadedWeights()
    onset_threshold: float = 0.08
    frame_threshold: float = 0.4
    least_struck: float = 0.45
    least_faded: float = 0.2
    apart_s: float = 0.1
    sure_frame: float = 0.7
    sure_frames: float = 8.0
    join_frames: float = 32.0
    join_db: float = 2.0
    release_db: float = 5.0
    release_frame: float = 0.8

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None, *, source: object) -> "EvidenceConfig | None":
        """Read what a model folder names; None if it names nothing: then Magenta's rules hold.

        Raises:
            InputError: they are not numbers by the names that we know.
        """
        if values is None:
            return None
        try:
            struck = _numbers(StruckWeights, values.get("struck", {}), source=source)
            faded = _numbers(FadedWeights, values.get("faded", {}), source=source)
            settings = {name: float(value) for name, value in values.items() if name not in ("struck", "faded")}
            return cls(struck=struck, faded=faded, **settings)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(
                source, f"settings that cannot be read ({error!r})", "expected numbers", "Copy the whole folder again"
            ) from error


@dataclass(frozen=True, slots=True)
class RenderingConfig:
    """How the training data is made.

    Attributes:
        seed: The same seed makes the same takes.
        longest_s: Only so much of each piece is played.
        ambient_share: How many takes, 0-1, are played on ambient instruments instead of pianos.
        degraded_share: How many takes, 0-1, have wow and flutter as on tape, and how many go through MP3 or Opus.
        sampled_share: Where a sampled piano is at hand: how many of the takes on pianos, 0-1, are played on it.
        varied_share: How many instruments, 0-1, are made into others: a sampled piano by `piano_character`, those of a
            soundfont by playing other keys faster or slower.
        audible_starts: Label ambient notes from the moment at which they can be heard; otherwise from their key's.
        programs: General MIDI numbers, 0-127, of the instruments of the ambient takes; by default those of
            `rendering.HELD` and `rendering.STRUCK`.
    """

    seed: int = 0
    longest_s: float = 240.0
    ambient_share: float = 1 / 3
    degraded_share: float = 0.1
    sampled_share: float = 0.6
    varied_share: float = 0.75
    audible_starts: bool = True
    programs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a short training on a few cores goes.

    Attributes:
        batch: Crops a step.
        crop_frames: Frames a crop (192 frames = 6.1 s).
        learning_rate: Peak for Adam; rises over `warmup_steps`, falls to 0 along a cosine over the planned time.
        warmup_steps: Steps until the peak.
        clip_norm: Largest global norm of the gradient, as in magenta/magenta.
        loss_weights: What each loss counts; velocities start far off, and their gradient would drown the others.
        onset_weight: How much more an onset counts than its absence in the onset loss; 1 in magenta/magenta, which
            then predicts nothing at all for thousands of steps.
    """

    batch: int = 8
    crop_frames: int = 192
    learning_rate: float = 2e-3
    warmup_steps: int = 150
    clip_norm: float = 3.0
    loss_weights: tuple[tuple[str, float], ...] = (("onset", 3.0), ("offset", 1.0), ("frame", 1.0), ("velocity", 0.1))
    onset_weight: float = 3.0


def _numbers(kind: type[_Numbers], values: Mapping[str, Any], *, source: object) -> _Numbers:
    """Build a value of this kind from numbers by the names of its attributes."""
    try:
        return kind(**{name: float(value) for name, value in values.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            source, f"settings that cannot be read ({error})", "expected numbers", "Copy the whole folder again"
        ) from error
