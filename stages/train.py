"""Tokens to a composer: fine-tunes the shipped model on a corpus, or trains one from scratch."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ambient.music_transformer.config import KIND, OPTIMIZERS, SHIPPED_MODEL, SIZES, TrainingConfig
from ambient.program import files_below, log, number, run_program
from ambient.shipped import SHIPPED_MODELS

if TYPE_CHECKING:
    from ambient.music_transformer.data import Piece, Split
    from ambient.music_transformer.memorisation import TrainingNotes
    from ambient.music_transformer.model import MusicTransformer
    from ambient.music_transformer.records import TokenRecord

DEFAULTS = TrainingConfig()
FROM_SCRATCH_RATE = 1e-3
CHECKPOINT = "checkpoint.npz"


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this stage."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.train", description=__doc__)
    # Files
    parser.add_argument("--input_path", type=Path, required=True, help="folder of TFRecord files from preprocess")
    parser.add_argument("--save_path", type=Path, default=Path("/pfs/out"), help="model folder to write (%(default)s)")
    parser.add_argument("--load_path", type=Path, help="model folder to start from (the shipped model)")
    parser.add_argument("--held_out_path", type=Path, help="TFRecord files to measure by (a part of the input)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="keep a checkpoint here, and go on from it")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="write the course of the training here")
    # Model
    parser.add_argument("--from_scratch", action="store_true", help="start from random weights")
    parser.add_argument("--size", choices=list(SIZES), help="size of a model from scratch (base)")
    parser.add_argument(
        "--num_layers", type=number(int, least=1), help="blocks of a model from scratch (the size's own)"
    )
    parser.add_argument(
        "--dropout",
        type=number(float, least=0, most=0.9),
        help="share of activations dropped in training (the model's own; from scratch none)",
    )
    # Training
    for flag, kind, meaning in (
        ("epochs", number(int, least=1), "ceiling of passes over the corpus"),
        ("batch_size", number(int, least=1), "crops computed at once, on all devices together"),
        ("accumulate", number(int, least=1), "batches a step, for more crops than memory has room for at once"),
        ("max_seq", number(int, least=1), "notes a crop; the model composes at any length"),
        ("warmup_steps", number(int, least=0), "steps in which the learning rate rises"),
        ("patience", number(int, least=1), "evaluations without gain before the end"),
        ("minutes", number(float, least=0), "ceiling of wall-clock time, 0 for none"),
        (
            "schedule_minutes",
            number(float, least=0),
            "time the learning rate takes to fall, 0: it falls with the steps",
        ),
        ("evaluate_every", number(int, least=0), "steps between evaluations, 0 for an epoch, at least 20"),
        ("calm_weight", number(float, above=0), "draw pieces of under six notes a second so much more often"),
        ("transpose", number(int, least=0, most=24), "semitones up and down that crops are transposed by"),
        ("stretch", number(float, least=0, most=1), "change of tempo up and down, as a natural logarithm"),
        ("slow", number(float, least=0, most=1), "share of clean crops that are played up to three times slower"),
        ("hands", number(float, least=0, most=1), "share of crops that get other dynamics, timing and note ends"),
        ("imitation", number(float, least=0, most=1), "share of clean crops that are changed as by the transcriber"),
        (
            "description_dropout",
            number(float, least=0, most=1),
            "chance that a local description is left out of a crop",
        ),
        ("rehearsal", number(float, least=0, most=1), "share of crops of the base model's own music when fine-tuning"),
        ("base_share", number(float, least=0, most=1), "share of the base's weights in the result of fine-tuning"),
        (
            "performed_weight",
            number(float, above=0),
            "draw pieces with the dynamics of a performance so much more often",
        ),
        ("seed", number(int, least=0), "random seed: same data, flags and seed, same weights"),
    ):
        parser.add_argument(f"--{flag}", type=kind, default=getattr(DEFAULTS, flag), help=f"{meaning} (%(default)s)")
    rates = f"{DEFAULTS.learning_rate}; from scratch {FROM_SCRATCH_RATE}"
    parser.add_argument("--l_r", type=number(float, above=0), help=f"peak learning rate ({rates})")
    parser.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        default=DEFAULTS.optimizer,
        help="muon learns more a step from scratch, and each step takes a fifth longer (%(default)s)",
    )
    parser.add_argument(
        "--precision", choices=["float32", "bfloat16"], default="float32", help="of matrix products (%(default)s)"
    )
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Train and write the model folder."""
    from ambient.errors import InputError
    from ambient.framework import start_framework

    check_flags(arguments)
    arguments.save_path.mkdir(parents=True, exist_ok=True)  # a place that cannot be written is known before training
    start_framework()
    import numpy as np

    records = read_records(arguments.input_path)
    split, measured = split_corpus(arguments, records)

    from ambient.model_folder import save_model_folder, weights_of
    from ambient.music_transformer.card import describe_training, model_card
    from ambient.music_transformer.data import Piece, evaluation_batches
    from ambient.music_transformer.descriptions import Percentiles
    from ambient.music_transformer.model import share_batches, use_precision
    from ambient.music_transformer.tensorboard import EventLog
    from ambient.music_transformer.training import Trainer, evaluate

    use_precision(arguments.precision)
    devices = share_batches()
    if arguments.batch_size % devices:
        found = f"{arguments.batch_size} crops a batch for {devices} devices"
        raise InputError("--batch_size", found, "each device needs as many", f"Give a multiple of {devices}")
    model, origin = starting_model(arguments, split.training)
    config = training_config(arguments)
    base = notes_of_base(arguments)
    rehearsed = [Piece(fields, heard=heard) for fields, heard in base.pieces()] if base and config.rehearsal else []
    longest = max(len(piece.fields) for piece in split.training)
    if config.max_seq > min(longest, model.config.window):
        config = replace(config, max_seq=min(longest, model.config.window))
        log(f"crops of {config.max_seq} notes: no song is longer, or the model sees no farther")
    heard = f", {sum(r.heard for r in records)} of them transcribed" if any(r.heard for r in records) else ""
    music = (
        f"{len(records)} songs{heard}, {sum(len(r.fields) for r in records)} notes, {minutes_of(records):.1f} minutes"
    )
    for line in split.duplicates:
        log(line)
    shared = f"; on {devices} devices" if devices > 1 else ""
    log(f"{music}; {origin}; held out: {split.explanation}{shared}")
    checkpoint = arguments.resume / CHECKPOINT if arguments.resume else None
    events = EventLog(arguments.tensorboard) if arguments.tensorboard else None
    percentiles = Percentiles(np.array(model.config.percentiles))
    trainer = Trainer(
        model,
        config,
        split.training,
        split.held_out,
        percentiles,
        rehearsed=rehearsed,
        report=log,
        checkpoint=checkpoint,
        events=events,
    )
    base_weights = model.get_weights()
    trainer.resume()
    result = trainer.run()
    if not arguments.from_scratch and result.best_step:
        share = config.base_share
        pairs = zip(base_weights, model.get_weights(), strict=True)
        model.set_weights([share * before + (1 - share) * learned for before, learned in pairs])
    if result.stopped_by == "minutes" and result.best_step == result.steps:
        log(f"still improving after {config.minutes:g} minutes: a longer --minutes would bring more")
    after = evaluate(model, evaluation_batches(split.held_out, percentiles, config))
    training = describe_training(
        result,
        config,
        split,
        records,
        measured,
        origin=origin,
        held_out=after,
        precision=arguments.precision,
    )
    save_model_folder(
        arguments.save_path,
        kind=KIND,
        config=model.config.to_json(),
        weights=weights_of(model),
        training=training,
        card=model_card(model.config, training),
        float16=True,
    )
    notes_heard(base, records).save(arguments.save_path)
    kept = "" if result.best_step else "; training did not improve on the weights it started from, so they are kept"
    log(
        f"held-out {result.before:.3f} -> {after:.3f} nats per note, {training['held_out']['bits_per_second']} "
        f"bits per second of music; best at step {result.best_step} of {result.steps}, stopped by {result.stopped_by}, "
        f"{result.seconds:.0f} s{kept}"
    )


def notes_of_base(arguments: argparse.Namespace) -> "TrainingNotes | None":
    """Return the music that the model to start from was trained on; None from scratch, or where it is not with it."""
    from ambient.music_transformer.memorisation import TrainingNotes

    return None if arguments.from_scratch else TrainingNotes.load(arguments.load_path or SHIPPED_MODELS / SHIPPED_MODEL)


def notes_heard(base: "TrainingNotes | None", records: "list[TokenRecord]") -> "TrainingNotes":
    """Return the notes that the model has heard by now: to look for copies in, and to rehearse when fine-tuning."""
    from ambient.music_transformer.memorisation import TrainingNotes

    heard = TrainingNotes.of([(record.source, record.fields, record.heard) for record in records])
    return base.joined(heard) if base else heard


def check_flags(arguments: argparse.Namespace) -> None:
    """Refuse flags that contradict each other or the model folder.

    Raises:
        InputError: a shape was asked for that a trained model cannot take on.
    """
    from ambient.errors import InputError

    if not arguments.from_scratch and (arguments.size or arguments.num_layers):
        flag = "--size" if arguments.size else "--num_layers"
        raise InputError(flag, "given", "a trained model has its own shape", "Add --from_scratch, or leave it out")
    if arguments.from_scratch and arguments.load_path:
        raise InputError("--load_path", "given with --from_scratch", "only one of them makes sense", "Leave one out")


def split_corpus(arguments: argparse.Namespace, records: "list[TokenRecord]") -> "tuple[Split, list[TokenRecord]]":
    """Return what to train on and what to measure by, and the songs that the latter come from."""
    from ambient.errors import InputError
    from ambient.music_transformer.data import Split, drop_duplicates_of, piece_of, split_records

    if not arguments.held_out_path:
        return split_records(records, source=arguments.input_path), records
    measured = read_records(arguments.held_out_path)
    explanation = f"{len(measured)} songs in a folder of their own"
    kept, lines = drop_duplicates_of(measured, records)
    if not kept:
        found = "only songs that are nearly the same music as the held-out ones"
        raise InputError(arguments.input_path, found, "expected others too", "Add songs, or hold out others")
    return Split([piece_of(r) for r in kept], [piece_of(r) for r in measured], explanation, tuple(lines)), measured


def training_config(arguments: argparse.Namespace) -> TrainingConfig:
    """Return the settings that the flags ask for."""
    rate = arguments.l_r or (FROM_SCRATCH_RATE if arguments.from_scratch else DEFAULTS.learning_rate)
    given = {name: value for name, value in vars(arguments).items() if name in TrainingConfig.__dataclass_fields__}
    return TrainingConfig(**given, learning_rate=rate)


def starting_model(arguments: argparse.Namespace, pieces: "list[Piece]") -> "tuple[MusicTransformer, str]":
    """Make the model to train, and say where its weights come from; one from scratch is measured out on the corpus."""
    import numpy as np

    from ambient.model_folder import model_digest
    from ambient.music_transformer.descriptions import Percentiles
    from ambient.music_transformer.model import build_model, load_model
    from ambient.music_transformer.variation import change_dynamics, stretch

    if arguments.from_scratch:
        shape = SIZES[arguments.size or "base"]
        if arguments.num_layers:
            shape = replace(shape, layers=arguments.num_layers)
        fields = [piece.fields for piece in pieces]
        # Slower and with other dynamics, as the crops will be: scores have one velocity throughout.
        slowed = [stretch(each, 2.0) for each in fields[::4]] if arguments.slow else []
        rng = np.random.default_rng(arguments.seed)
        struck_otherwise = [change_dynamics(each, rng) for each in fields[::2]] if arguments.hands else []
        edges = Percentiles.of([*fields, *slowed, *struck_otherwise]).edges
        shape = replace(
            shape,
            percentiles=tuple(tuple(float(edge) for edge in row) for row in edges.round(4)),
        )
        if arguments.dropout is not None:
            shape = replace(shape, dropout=arguments.dropout)
        return build_model(shape, seed=arguments.seed), "from scratch"
    folder = arguments.load_path or SHIPPED_MODELS / SHIPPED_MODEL
    model = load_model(folder, dropout=arguments.dropout)
    return model, f"starting from the model {model_digest(folder)}"


def read_records(folder: Path) -> "list[TokenRecord]":
    """Read every token file below a folder.

    Raises:
        InputError: one is damaged or of another vocabulary, or there is none.
    """
    from ambient.errors import InputError
    from ambient.music_transformer.records import SUFFIX, read_record

    records = [read_record(path) for path in files_below(folder, [SUFFIX])]
    if not records:
        raise InputError(folder, "no TFRecord files", "expected the output of preprocess", "Run preprocess first")
    return records


def minutes_of(records: "list[TokenRecord]") -> float:
    """Return how long the music is."""
    return sum(record.seconds for record in records) / 60


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
