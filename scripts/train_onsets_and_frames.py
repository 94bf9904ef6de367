"""Train the transcriber on sound that it renders itself from freely licensed MIDI, and calibrate its confidence.

    python3 scripts/train_onsets_and_frames.py render --midi PATH_TO_MIDI --soundfonts A.sf2 B.sf2 --cache CACHE
    python3 scripts/train_onsets_and_frames.py train --cache CACHE --run RUN --minutes 80
    python3 scripts/train_onsets_and_frames.py export --cache CACHE --run RUN --card CARD.md --save_path FOLDER
    python3 scripts/train_onsets_and_frames.py calibrate --cache CACHE --model FOLDER

`train` may start as soon as `render` has made a few takes, and picks up new ones on the way; with `--resume` it goes on
where it stopped. `KERAS_BACKEND` chooses the framework.
"""

import argparse
import datetime
import hashlib
import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ambient.onsets_and_frames.config import KIND, MODELS, RenderingConfig, TrainingConfig
from ambient.program import log, number, run_program

SETUP = "setup.json"
BEFORE = "before.json"  # in a run that went on from another model: how that one came about


def build_parser() -> argparse.ArgumentParser:
    """Return the command line; every flag has its reason in its help."""
    defaults, rendering = TrainingConfig(), RenderingConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    render = commands.add_parser(
        "render", help="make the training data: spectrograms of rendered pieces with their notes"
    )
    render.add_argument("--midi", type=Path, required=True, help="folder of MIDI files with a manifest.csv")
    render.add_argument("--soundfonts", type=Path, nargs="+", required=True, help="SF2 files; each take draws one")
    render.add_argument(
        "--piano",
        type=Path,
        metavar="FOLDER",
        help="recordings of a piano, named as those of the Salamander Grand Piano, for most of the piano takes",
    )
    render.add_argument("--cache", type=Path, required=True, help="folder for the takes (about 50 MB an hour)")
    render.add_argument("--hours", type=float, default=16.0, help="hours of training takes (default: %(default)s)")
    render.add_argument("--valid_hours", type=float, default=0.16, help="hours of validation (default: %(default)s)")
    render.add_argument(
        "--ambient_share",
        type=float,
        default=rendering.ambient_share,
        help="of the takes, 0-1, on ambient instruments instead of pianos (default: a third)",
    )
    render.add_argument(
        "--degraded_share",
        "--worn_share",  # its name until 0.1
        type=float,
        default=rendering.degraded_share,
        help="of the takes, 0-1, that have wow and flutter, and that go through MP3 or Opus (default: %(default)s)",
    )
    render.add_argument(
        "--key_times",
        action="store_true",
        help="label ambient notes from when their key goes down (default: from when they can be heard)",
    )
    render.add_argument(
        "--programs",
        type=number(int, least=0, most=127),
        nargs="+",
        default=[],
        help="General MIDI numbers (0-127) that ambient takes draw their instruments from, for more of what is heard "
        "worst (default: pads, strings, choirs, organs and what is struck or plucked)",
    )
    render.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    render.add_argument("--seed", type=int, default=0, help="equal seeds make equal takes (default: %(default)s)")

    train = commands.add_parser("train", help="train on the takes of a cache")
    train.add_argument("--cache", type=Path, nargs="+", required=True, help="folders that render filled or fills")
    train.add_argument("--run", type=Path, required=True, help="folder for checkpoints")
    train.add_argument(
        "--from",
        dest="from_model",
        type=Path,
        metavar="FOLDER",
        help="model folder of the same size to go on from, with new data or for longer, or one half as wide whose "
        "heads have a convolution stack each (default: new weights)",
    )
    train.add_argument("--size", choices=sorted(MODELS), default="small", help="of the network (default: %(default)s)")
    train.add_argument("--minutes", type=float, default=80.0, help="planned time (default: %(default)s)")
    train.add_argument(
        "--stop_after",
        type=float,
        default=math.inf,
        metavar="MINUTES",
        help="stop before the plan is over; --resume goes on, here or on another machine (default: do not)",
    )
    train.add_argument(
        "--pack", type=Path, metavar="FOLDER", help="at the end, also write a small checkpoint there, in parts of 15 MB"
    )
    train.add_argument(
        "--precision",
        choices=["float32", "mixed_bfloat16", "mixed_float16"],
        default="float32",
        help="of the layers; mixed for accelerators (default: %(default)s)",
    )
    train.add_argument("--workers", type=int, default=1, help="processes that draw batches (default: %(default)s)")
    train.add_argument("--batch_size", type=int, default=defaults.batch, help="crops a step (default: %(default)s)")
    train.add_argument("--l_r", type=float, default=defaults.learning_rate, help="peak rate (default: %(default)s)")
    train.add_argument("--validate_every_s", type=float, default=420.0, help="seconds (default: %(default)s)")
    train.add_argument("--threads", type=int, default=0, help="of TensorFlow; 0 takes all cores (default)")
    train.add_argument("--seed", type=int, default=0, help="of weights and batches (default: %(default)s)")
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint of --run")

    export = commands.add_parser("export", help="write the best weights of a run as a model folder")
    export.add_argument(
        "--cache", type=Path, nargs="+", required=True, help="those of train; their validation takes set the thresholds"
    )
    export.add_argument("--run", type=Path, required=True, help="folder that train wrote")
    export.add_argument("--card", type=Path, required=True, help="model card, Markdown")
    export.add_argument("--last", action="store_true", help="the weights of the last step, whatever validation says")
    export.add_argument(
        "--from",
        dest="from_model",
        type=Path,
        metavar="FOLDER",
        help="model folder that training went on from, of the same sizes, to mix with (default: do not)",
    )
    export.add_argument(
        "--from_share",
        type=float,
        default=0.5,
        help="of the weights of --from in those that are written, 0-1; the mean of two trainings hears better than "
        "either (Wortsman et al. 2022, arXiv:2203.05482; default: %(default)s)",
    )
    export.add_argument("--save_path", type=Path, required=True, help="model folder to write")

    calibrate = commands.add_parser(
        "calibrate", help="fit anew what makes a note right, and what confidence means; export does it too"
    )
    calibrate.add_argument(
        "--cache", type=Path, nargs="+", required=True, help="whose validation takes tell; another seed than train's"
    )
    calibrate.add_argument("--model", type=Path, required=True, help="model folder; its config.json is written anew")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    commands = {
        "render": render_takes,
        "train": train_network,
        "export": export_model,
        "calibrate": calibrate_model,
    }
    return run_program(build_parser(), lambda arguments: commands[arguments.command](arguments), argv)


def render_takes(arguments: argparse.Namespace) -> None:
    """Fill the cache: validation takes first, as they are few."""
    from ambient.onsets_and_frames.rendering import VALIDATION_S, Sounds, fill_cache, pieces_of

    config = RenderingConfig(
        seed=arguments.seed,
        ambient_share=arguments.ambient_share,
        degraded_share=arguments.degraded_share,
        audible_starts=not arguments.key_times,
        programs=tuple(arguments.programs),
    )
    for split, hours, longest_s in (
        ("valid", arguments.valid_hours, VALIDATION_S),
        ("train", arguments.hours, config.longest_s),
    ):
        fill_cache(
            arguments.cache / split,
            pieces_of(arguments.midi, split),
            Sounds(arguments.soundfonts, arguments.piano),
            replace(config, longest_s=longest_s),
            hours=hours,
            workers=arguments.workers,
            report=log,
        )


def train_network(arguments: argparse.Namespace) -> None:
    """Train until the planned time is over."""
    from ambient.framework import start_framework

    # TensorFlow leaves oneDNN off on processors without AVX-512, where convolutions take twice as long without it.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if arguments.threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(arguments.threads)
    start_framework()
    import keras

    keras.mixed_precision.set_global_policy(arguments.precision)
    from ambient.model_folder import TRAINING, load_config, model_digest
    from ambient.onsets_and_frames.config import ModelConfig
    from ambient.onsets_and_frames.data import TakeCache
    from ambient.onsets_and_frames.judge import load_parts
    from ambient.onsets_and_frames.merging import merged, merged_config
    from ambient.onsets_and_frames.training import Trainer

    config = TrainingConfig(batch=arguments.batch_size, learning_rate=arguments.l_r)
    trainer = Trainer(MODELS[arguments.size], config, arguments.run, minutes=arguments.minutes, seed=arguments.seed)
    arguments.run.mkdir(parents=True, exist_ok=True)
    if arguments.from_model is not None:
        weights, _ = load_parts(arguments.from_model)
        sizes = ModelConfig.from_json(
            load_config(arguments.from_model, kind=KIND)["model"], source=arguments.from_model
        )
        if not sizes.shared and merged_config(sizes) == MODELS[arguments.size]:
            weights = merged(sizes, weights)
        trainer.start_from(weights, source=arguments.from_model)
        before = json.loads((arguments.from_model / TRAINING).read_text())
        (arguments.run / BEFORE).write_text(json.dumps(before | {"digest": model_digest(arguments.from_model)}) + "\n")
    if arguments.resume and trainer.load_checkpoint():
        log(f"resumed at step {trainer.progress.step}")
    setup = {
        "size": arguments.size,
        "minutes": arguments.minutes,
        "batch": config.batch,
        "learning_rate": config.learning_rate,
        "seed": arguments.seed,
        "backend": keras.config.backend(),
        "precision": arguments.precision,
    }
    (arguments.run / SETUP).write_text(json.dumps(setup, indent=1) + "\n")
    validation = TakeCache([cache / "valid" for cache in arguments.cache])
    validation.refresh()
    cache = TakeCache([cache / "train" for cache in arguments.cache], shortest_frames=config.crop_frames)
    cache.refresh()
    trainer.train(
        cache,
        validation.takes,
        validate_every_s=arguments.validate_every_s,
        stop_after_s=arguments.stop_after * 60,
        workers=arguments.workers,
        report=log,
    )
    if arguments.pack is not None:
        trainer.pack_checkpoint(arguments.pack)
        shutil.copy(arguments.run / SETUP, arguments.pack)


def export_model(arguments: argparse.Namespace) -> None:
    """Write the best weights with their record."""
    from ambient.framework import start_framework

    start_framework()
    import numpy as np

    from ambient.errors import InputError
    from ambient.model_folder import assign_weights, save_model_folder, weights_of
    from ambient.onsets_and_frames.data import TakeCache
    from ambient.onsets_and_frames.judge import load_parts
    from ambient.onsets_and_frames.merging import mixed
    from ambient.onsets_and_frames.model import OnsetsAndFrames
    from ambient.onsets_and_frames.rendering import take_names
    from ambient.onsets_and_frames.training import BEST, PROGRESS, STATE, best_decoding, join_parts, listen

    try:
        setup = json.loads((arguments.run / SETUP).read_text())
        progress = json.loads((arguments.run / PROGRESS).read_text())
        path, prefix = (arguments.run / STATE, "weights/") if arguments.last else (arguments.run / BEST, "")
        join_parts(path)
        with np.load(path) as stored:
            names = [name for name in stored if name.startswith(prefix)]
            weights = {name.removeprefix(prefix): stored[name].astype(np.float16) for name in names}  # as will be read
        card = arguments.card.read_text()
    except OSError as error:
        raise InputError(error.filename, "cannot be read", "expected a run with a validation", "Train first") from error
    network = OnsetsAndFrames(MODELS[setup["size"]])
    if arguments.from_model is not None:
        others, _ = load_parts(arguments.from_model)
        assign_weights(network.full, others, source=arguments.from_model)
        weights = mixed(weights_of(network.full), weights, share=arguments.from_share)
        weights = {name: array.astype(np.float16) for name, array in weights.items()}
        setup |= {"from_share": arguments.from_share}
    assign_weights(network.full, weights, source=path)
    validation = TakeCache([cache / "valid" for cache in arguments.cache])
    validation.refresh()
    training_takes = [name for cache in arguments.cache for name in take_names(cache / "train")]
    decoding, scores = best_decoding([(listen(network, take), take) for take in validation.takes])
    save_model_folder(
        arguments.save_path,
        kind=KIND,
        config={"size": setup["size"], "model": MODELS[setup["size"]].to_json(), "decoding": asdict(decoding)},
        weights=weights,
        training={
            "command": "scripts/train_onsets_and_frames.py train --cache CACHE --run RUN",
            "setup": setup,
            "date": datetime.date.today().isoformat(),
            "seconds": round(progress["elapsed_s"]),
            "steps": progress["step"],
            "history": progress["history"],
            "validation": {
                "takes": len(validation.takes),
                **{name: round(value, 4) for name, value in asdict(scores).items()},
            },
            "data": {
                "takes": training_takes,
                "digest": hashlib.sha256("\n".join(training_takes).encode()).hexdigest()[:16],
            },
            **({"before": json.loads(before.read_text())} if (before := arguments.run / BEFORE).exists() else {}),
        },
        card=card,
        float16=True,
    )
    log(f"{arguments.save_path}: {decoding}, on {len(validation.takes)} validation takes {scores}")
    if not calibrated(arguments.save_path, arguments.cache):
        log(f"{arguments.save_path}: too few notes to calibrate by; its confidence is that of the network")


def calibrate_model(arguments: argparse.Namespace) -> None:
    """Calibrate a model that is there."""
    from ambient.errors import InputError
    from ambient.framework import start_framework

    start_framework()
    if not calibrated(arguments.model, arguments.cache):
        raise InputError(
            arguments.cache[0], "too few notes to calibrate by", "expected a hundred, right and wrong", "Render more"
        )


def calibrated(folder: Path, caches: Sequence[Path]) -> bool:
    """Fit what makes a note right, and what confidence means, on the validation takes of caches; write it into a model.

    Returns:
        False if there are too few notes to tell.
    """
    import numpy as np

    from ambient.model_folder import load_config, save_config, save_weights
    from ambient.onsets_and_frames.calibration import fit_confidence, fit_evidence, label
    from ambient.onsets_and_frames.config import EvidenceConfig
    from ambient.onsets_and_frames.inference import Transcriber
    from ambient.onsets_and_frames.judge import load_parts
    from ambient.onsets_and_frames.judge_training import fit_judge
    from ambient.onsets_and_frames.rendering import load_take, take_names

    transcriber = Transcriber.from_folder(folder)
    takes = [load_take(cache / "valid", name) for cache in caches for name in take_names(cache / "valid")]
    heard = [(transcriber.hear_spectrogram(take.mel.astype(np.float32)), take) for take in takes]
    fitted = fit_evidence(heard, transcriber.evidence or EvidenceConfig(), fit_judge)
    transcriber.evidence, transcriber.judge = fitted or (None, None)
    labelled = [label(transcriber, probabilities, take) for probabilities, take in heard]
    confidence = fit_confidence(labelled)
    if confidence is None:
        return False
    # Nothing is written before all is known: with too few notes the model stays as it is.
    network, _ = load_parts(folder)
    with np.errstate(over="ignore"):
        halved = all(np.array_equal(array, array.astype(np.float16)) for array in network.values())
    judge = transcriber.judge.to_weights() if transcriber.judge else {}
    save_weights(folder, network | judge, float16=halved)  # as exactly as they were stored
    config = load_config(folder, kind=KIND) | {"confidence": asdict(confidence)}
    config.pop("evidence", None)
    if transcriber.evidence is not None:
        config["evidence"] = asdict(transcriber.evidence)
    save_config(folder, kind=KIND, config=config)
    notes = sum(len(take.right) for take in labelled)
    right = sum(int(take.right.sum()) for take in labelled)
    judged = "with a judge" if transcriber.judge else "without a judge"
    log(f"{folder}: {transcriber.evidence}, {judged}, {confidence}")
    log(f"{folder}: from {notes} notes in {len(labelled)} takes, {right} of them right")
    return True


if __name__ == "__main__":
    sys.exit(main())
