"""Every number of the composer that a person may want to change, with its default; no heavy import."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from ambient.errors import InputError

KIND = "music-transformer"
SHIPPED_MODEL = "music-transformer"  # folder below trained-models/
VOCABULARY = "performance-388+3"  # version of the token table of `tokens.py`, which TFRecords hold
NOTE_FIELDS = "notes-2"  # version of the rows of `rows.py` and the bins of `fields.py`


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of the network; stored in the model folder, so that nothing has to be typed again.

    Attributes:
        layers: Transformer blocks.
        width: Model width E.
        heads: Attention heads H; they divide the width.
        feed_forward: Width of the hidden layer of a block.
        window: How many notes back a note can see, itself included; composing keeps no more than that.
        dropout: Share of activations dropped in training.
        vocabulary: Version of the fields of a note that the weights were trained on.
        percentiles: For each local description the values between its bins, percentiles of the base model's training
            music (`descriptions.py`); empty before training.
    """

    layers: int = 4
    width: int = 256
    heads: int = 4
    feed_forward: int = 1024
    window: int = 768
    dropout: float = 0.0
    vocabulary: str = NOTE_FIELDS
    percentiles: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "feed_forward", "window"):
            size = getattr(self, name)
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} must be a whole number from 1 up. Received: {size!r}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide width. Received: width={self.width}, heads={self.heads}")

    @property
    def head_width(self) -> int:
        """Width D of one head."""
        return self.width // self.heads

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any], *, source: object) -> "ModelConfig":
        """Rebuild a configuration that `to_json` wrote.

        Raises:
            InputError: a field is missing, unknown, or impossible.
        """
        # Folders have it that were written before places within bins were learned from each piece.
        values = {name: value for name, value in values.items() if name != "alignment"}
        remedy = "Use the release that wrote this model, or retrain it"
        names = {field.name for field in fields(cls)}
        for fault, odd in (("unexpected", set(values) - names), ("missing", names - set(values))):
            if odd:
                found = f"configuration with {fault} fields ({', '.join(sorted(odd))})"
                raise InputError(source, found, "expected ours", remedy)
        if values["vocabulary"] != NOTE_FIELDS:
            raise InputError(source, f"vocabulary {values['vocabulary']!r}", f"expected {NOTE_FIELDS!r}", remedy)
        try:
            percentiles = tuple(tuple(float(edge) for edge in edges) for edges in values["percentiles"])
            return cls(**{**values, "percentiles": percentiles})
        except (TypeError, ValueError) as error:
            raise InputError(source, f"impossible configuration ({error})", "expected ours", remedy) from error


SIZES = {
    "tiny": ModelConfig(layers=2, width=64, heads=2, feed_forward=128, window=256),
    "small": ModelConfig(layers=4, width=128, heads=4, feed_forward=512),
    "base": ModelConfig(),
    "large": ModelConfig(layers=6, width=384, heads=6, feed_forward=1536),
}


OPTIMIZERS = ("adamw", "muon")
# What a person can ask of the music, and what the words mean (`descriptions.py`).
DESCRIPTIONS = {
    "density": "how many notes start in a second",
    "register": "how high the notes are",
    "polyphony": "how many notes sound together",
    "loudness": "how hard the notes are struck",
    "note_length": "how long the notes sound",
}


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a model is trained.

    Attributes:
        epochs: Ceiling; early stopping usually ends before it. An epoch shows about as many notes as the corpus has.
        batch_size: Crops that are computed at once.
        accumulate: Batches a step; their gradients are averaged, which takes the memory of one.
        max_seq: Notes a crop.
        optimizer: `adamw` or `muon`.
        learning_rate: Peak, after the warm-up.
        warmup_steps: Steps of linear rise.
        weight_decay: Decoupled decay of matrices.
        clip_norm: Ceiling of the norm of all gradients together.
        patience: Evaluations without improvement before training stops.
        minutes: Ceiling of wall-clock time; 0 means none.
        schedule_minutes: Time that the learning rate takes to fall, which makes a run depend on the clock; 0 lets it
            fall with the steps alone.
        evaluate_every: Steps between two evaluations; 0 means once an epoch, but not more often than every 20 steps.
        transpose: Semitones up and down that crops are transposed by.
        stretch: Largest change of tempo, as a natural logarithm: 0.1 is about a tenth slower or faster.
        slow: Share of crops that are played up to three times slower instead, where no transcriber wrote the piece.
        hands: Share of crops that are given other dynamics; half as many another timing, a third other note ends.
        imitation: Share of crops of clean pieces that are changed as the transcriber would, and marked as heard.
        description_dropout: Chance that a description is left out of a crop, and that all of them are.
        rehearsal: Share of crops that come from the base model's own music when fine-tuning.
        base_share: Share of the base model's weights in those that fine-tuning ends with (Wortsman et al. 2022,
            arXiv:2109.01903): most of what was learned stays, and much less of the base is forgotten.
        calm_weight: How much more often crops of pieces with fewer than six notes a second are drawn.
        performed_weight: How much more often crops of pieces with the dynamics of a performance are drawn.
        seed: Random seed: same data, flags and seed give the same weights on the same machine.
    """

    epochs: int = 100
    batch_size: int = 8
    accumulate: int = 1
    max_seq: int = 256
    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    warmup_steps: int = 10
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    patience: int = 3
    minutes: float = 30.0
    schedule_minutes: float = 0.0
    evaluate_every: int = 0
    transpose: int = 5
    stretch: float = 0.1
    slow: float = 0.0
    hands: float = 0.3
    imitation: float = 0.4
    description_dropout: float = 0.3
    rehearsal: float = 0.5
    base_share: float = 0.3
    calm_weight: float = 1.0
    performed_weight: float = 1.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How the fields of the next note are drawn; the order is creativity, temperature, offset, top-k, min-p, top-p.

    Attributes:
        temperature: Logits are divided by it; 0 takes the likeliest choice.
        timing_temperature: The same for gaps and lengths alone; None takes `temperature`.
        top_k: Keep the k likeliest choices of a field; 0 keeps all.
        timing_top_k: The same for gaps and lengths alone; None takes `top_k`.
        top_k_offset: Leave out so many of the likeliest pitches first: away from the obvious.
        top_p: Keep the likeliest choices of a field that together hold this probability; 1 keeps all.
        min_p: Keep choices at least this fraction as likely as the likeliest; 0 keeps all.
        creativity: Nats taken from a gap each time it doubles beyond 100 ms: above 0 more happens, below 0 there are
            more rests.
        notes_per_second: At most so many notes start within a second; 0 sets no bound.
        modulation: How far the pitch classes of half a minute may be from the primer's, 1 - cosine, before pitches
            that lead farther become less likely (`harmony.py`); 1 lets the music go anywhere.
        recall: How much goes on as the primer did after a moment like it, 0-1 (`recall.py`), unless a description is
            turned.
        break_loops: Forbid the note that would carry on a loop, and let as many figures return as in real music
            (`loops.py`).
    """

    temperature: float = 1.0
    timing_temperature: float | None = None
    top_k: int = 0
    timing_top_k: int | None = None
    top_k_offset: int = 0
    top_p: float = 0.95
    min_p: float = 0.0
    creativity: float = 0.0
    notes_per_second: int = 0
    modulation: float = 0.04
    recall: float = 0.3
    break_loops: bool = True
