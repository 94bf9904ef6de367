"""Make the shipped composer: free MIDI by its manifest's split, what a transcriber hears of it, training in phases.

    python3 scripts/hear_corpus.py MIDI_FOLDER --split train --soundfonts A.sf2 B.sf2 --save_path HEARD/train
    python3 scripts/hear_corpus.py MIDI_FOLDER --split test --soundfonts C.sf2 --rooms other --save_path HEARD/test
    python3 scripts/make_ambient_corpus.py --save_path AMBIENT
    python3 scripts/hear_corpus.py AMBIENT --split train --soundfonts A.sf2 B.sf2 --save_path HEARD/train
    python3 scripts/train_music_transformer.py MIDI_FOLDER --ambient AMBIENT --heard HEARD --work SCRATCH_FOLDER

The MIDI folder holds `manifest.csv` with the columns `path` and `split` (train, valid, test). A run that was stopped
goes on where it was when the same command is given again. With `--accelerator` one phase of long crops is trained.
"""

import argparse
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ambient.midi_set import read_manifest
from ambient.music_transformer.config import SIZES
from ambient.program import log, run_program
from ambient.shipped import SHIPPED_MODELS
from ambient.stages import preprocess, train

SPLITS = ("train", "valid", "test")


class Phase(NamedTuple):
    """A part of the training: crops of so many notes, until a minute of the whole, under one fall of the rate."""

    batch_size: int
    max_seq: int
    calm_weight: int
    minutes: float
    schedule_minutes: float
    precision: str = "float32"

    def flags(self) -> list[str]:
        """Return what stages.train is given."""
        return [word for name, value in self._asdict().items() for word in (f"--{name}", str(value))]


# On two processor cores. Short crops first: most of what there is to learn lies within a few seconds. Long ones teach
# what returns. Calm pieces are what the model is for.
PHASES = (
    Phase(24, 96, 2, minutes=36, schedule_minutes=92),
    Phase(12, 192, 2, minutes=72, schedule_minutes=92),
    Phase(6, 384, 2, minutes=83, schedule_minutes=92),
    Phase(6, 384, 5, minutes=92, schedule_minutes=92),
    Phase(6, 384, 2, minutes=112, schedule_minutes=130),
    Phase(12, 192, 2, minutes=147, schedule_minutes=245),
    Phase(6, 384, 2, minutes=212, schedule_minutes=240),
    Phase(3, 768, 2, minutes=232, schedule_minutes=236),
    Phase(6, 384, 2, minutes=300, schedule_minutes=380),
    Phase(6, 768, 2, minutes=335, schedule_minutes=356),
    Phase(12, 384, 2, minutes=337, schedule_minutes=400),
    Phase(12, 384, 2, minutes=375, schedule_minutes=640),
    Phase(12, 384, 2, minutes=400, schedule_minutes=540),
    Phase(6, 768, 2, minutes=418, schedule_minutes=490),
    Phase(6, 768, 2, minutes=428, schedule_minutes=455),
    Phase(12, 384, 2, minutes=450, schedule_minutes=760, precision="bfloat16"),
    Phase(12, 384, 2, minutes=468, schedule_minutes=690, precision="bfloat16"),
    Phase(8, 768, 2, minutes=490, schedule_minutes=630, precision="bfloat16"),
    Phase(8, 768, 2, minutes=502, schedule_minutes=565, precision="bfloat16"),
    Phase(8, 768, 2, minutes=512, schedule_minutes=532, precision="bfloat16"),
    Phase(12, 384, 2, minutes=544, schedule_minutes=880),
    Phase(12, 384, 2, minutes=566, schedule_minutes=800),
    Phase(6, 768, 2, minutes=584, schedule_minutes=735),
    Phase(6, 768, 2, minutes=595, schedule_minutes=660),
    Phase(6, 768, 2, minutes=602, schedule_minutes=626),
)
RECIPE = (
    *("--from_scratch", "--optimizer", "muon", "--l_r", "8e-3", "--warmup_steps", "100", "--performed_weight", "2"),
    *("--slow", "0.15", "--imitation", "0.4", "--hands", "0.2"),
    *("--epochs", "10000", "--evaluate_every", "150", "--patience", "10000"),
)
COMMAND = "python3 scripts/train_music_transformer.py MIDI_FOLDER --ambient AMBIENT --heard HEARD --work SCRATCH_FOLDER"
PROCESSOR = "two shared processor cores"

DATA_CARD = """
## Data

- **piano-midi.de**: performances shaped by hand, by Bernd Krueger, http://www.piano-midi.de, licence
  CC BY-SA 3.0 Germany.
- **Mutopia Project**, http://www.mutopiaproject.org: solo keyboard pieces from LilyPond sources, in the Public Domain,
  CC BY and CC BY-SA (2.5, 3.0, 4.0), each with its typesetter named there.

- **Ambient and minimal pieces**, composed by `scripts/make_ambient_corpus.py`; under this project's licence.

{counts}. Half of the crops are as the shipped transcriber would write the music: {heard} pieces were played
on pianos and ambient sounds and transcribed, the others are changed by an imitation of it; a mark says which.
Up to a quarter of the crops of clean music are played up to three times slower.
Pieces with the dynamics of a performance were drawn twice as often; pieces of fewer than six notes a second twice.
The same piece never stands on two sides of the split; the weights kept
are those of the lowest loss on `valid`, and nothing was chosen by `test`. What was added while the shipped weights
were trained, and when, stands in docs/experiments.md. `training-notes.npz` holds the
training pieces on the grid of the composer, under the licences above: fine-tuning rehearses them, and
composing looks for copies there. Made with

    {command}

## Figures on the test split

| pieces | bits per second of music | nats a note: gap | pitch | length | velocity | place within bins |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

`clean` is the music as it is, `heard` what the shipped transcriber makes of it, played with sounds and in rooms that
training never used.

## Limits

Western keyboard music of 1700 to 1920 and ambient patterns; no tempo, metre, pedal or key; form over more than two
minutes is not learned.
The weights were trained on {where} in {minutes:g} minutes, a small fraction of what published models had.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("midi", type=Path, help="folder with manifest.csv")
    parser.add_argument("--ambient", type=Path, help="folder that make_ambient_corpus.py wrote, for training")
    parser.add_argument("--heard", type=Path, help="folder with train/ and test/ that hear_corpus.py wrote")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder: token files, checkpoint")
    parser.add_argument("--save_path", type=Path, default=SHIPPED_MODELS / "music-transformer", help="(%(default)s)")
    parser.add_argument("--size", choices=list(SIZES), default="base", help="(%(default)s)")
    parser.add_argument("--accelerator", action="store_true", help="one phase of long crops, for a GPU or TPU")
    parser.add_argument("--minutes", type=float, default=PHASES[-1].minutes, help="of training on it (%(default)s)")
    parser.add_argument("--train_flags", default="", help="more flags of stages.train for that phase, as one argument")
    return parser


def flags_that_clash(arguments: argparse.Namespace) -> str | None:
    """Say which flags do not go together."""
    if arguments.minutes != PHASES[-1].minutes and not arguments.accelerator:
        return "--minutes is for --accelerator; the phases on a processor have their own"
    return None


def run(arguments: argparse.Namespace) -> None:
    """Prepare, train, measure, and write the model folder."""
    records = {split: arguments.work / "records" / split for split in SPLITS}
    for split, folder in records.items():
        if not folder.exists():
            prepare(arguments, split, arguments.work / "midi" / split, folder)
    phases, more = list(PHASES), []
    if arguments.accelerator:  # it sees the corpus many times: one phase of long crops
        phases, more = [Phase(64, 384, 2, arguments.minutes, arguments.minutes)], arguments.train_flags.split()
    done_minutes = minutes_done(arguments.work / "run" / train.CHECKPOINT)
    for phase in [phase for phase in phases if phase.minutes > done_minutes] or phases[-1:]:
        flags = [
            *RECIPE,
            "--size",
            arguments.size,
            *phase.flags(),
            *more,
        ]
        log(" ".join(flags))
        files = ["--input_path", records["train"], "--held_out_path", records["valid"]]
        places = ["--resume", arguments.work / "run", "--save_path", arguments.save_path]
        if code := train.main([*map(str, [*files, *places]), *flags]):
            raise SystemExit(code)
    # On an accelerator --train_flags may ask for other crops; the settings of the one phase have them.
    crops = [] if arguments.accelerator else list(dict.fromkeys(f"{p.batch_size} × {p.max_seq}" for p in PHASES))
    where = "an accelerator" if arguments.accelerator else PROCESSOR
    asked = f" --accelerator --minutes {arguments.minutes:g}" if arguments.accelerator else ""
    asked += f" --size {arguments.size}" if arguments.size != "base" else ""
    finish(arguments.save_path, records, arguments.heard, COMMAND + asked, crops, where, arguments.minutes)


def minutes_done(checkpoint: Path) -> float:
    """Return how long an earlier run trained; 0 if there was none."""
    if not checkpoint.exists():
        return 0.0
    with np.load(checkpoint, allow_pickle=False) as file:
        return float(json.loads(str(file["progress"]))["seconds"]) / 60


def prepare(arguments: argparse.Namespace, split: str, links: Path, records: Path) -> None:
    """Tokenise the pieces of one side of the split; for training also what the transcriber heard of them."""
    links.mkdir(parents=True, exist_ok=True)
    names = {row["path"]: arguments.midi / row["path"] for row in read_manifest(arguments.midi, split)}
    if split == "train" and arguments.ambient:
        names |= {f"ambient/{path.name}": path for path in sorted(arguments.ambient.glob("*.mid"))}
    if split == "train" and arguments.heard:
        names |= {f"heard/{path.name}": path for path in sorted((arguments.heard / split / "heard").glob("*.mid"))}
    for name, path in names.items():
        link = links / name.replace("/", "__")
        if not link.exists():
            os.symlink(path.resolve(), link)
    preprocess.main([str(links), str(records)])


def finish(
    folder: Path,
    records: dict[str, Path],
    heard: Path | None,
    command: str,
    crops: list[str],
    where: str,
    minutes: float,
) -> None:
    """Measure the model on the test split, clean and heard, and complete its record and card."""
    from ambient.midi import read_midi
    from ambient.model_folder import load_config
    from ambient.music_transformer.card import model_card
    from ambient.music_transformer.config import KIND, ModelConfig
    from ambient.music_transformer.decoder import load_decoder
    from ambient.music_transformer.evaluation import Cost, piece_cost
    from ambient.music_transformer.fields import notes_to_fields
    from ambient.music_transformer.rows import CLEAN, HEARD

    songs = {split: train.read_records(path) for split, path in records.items()}
    decoder = load_decoder(folder)
    sets: dict[str, list[Cost]] = {"clean, all": []}
    for song in songs["test"]:  # the folder of the manifest that a piece comes from heads its name
        cost = piece_cost(decoder, song.fields, CLEAN)
        for name in ("clean, all", f"clean, {song.source.split('__')[0]}"):
            sets.setdefault(name, []).append(cost)
    if heard:
        pieces = [notes_to_fields(read_midi(path).notes) for path in sorted((heard / "test" / "heard").glob("*.mid"))]
        sets["heard, all"] = [piece_cost(decoder, fields, HEARD) for fields in pieces if len(fields)]
    figures = []
    for name, costs in sets.items():
        total = Cost.total(costs)
        parts = [round(float(part), 3) for part in total.nats_per_note]
        figures.append([f"{name}, {len(costs)} pieces", round(total.bits_per_second, 2), *parts])
        log(f"test split, {name}: {total.bits_per_second:.2f} bits per second")
    record = json.loads((folder / "training.json").read_text())
    record |= {"test": figures, "command": command, "crops": crops}
    (folder / "training.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    counts = ", ".join(f"{split} {sum(not song.heard for song in songs[split])} pieces" for split in SPLITS)
    rows = "\n".join(f"| {' | '.join(map(str, figure))} |" for figure in figures)
    heard_count = sum(song.heard for song in songs["train"])
    data = DATA_CARD.format(
        counts=f"Split: {counts}", heard=heard_count, command=command, rows=rows, where=where, minutes=minutes
    )
    data = "\n".join(wrapped(line) for line in data.splitlines())
    config = ModelConfig.from_json(load_config(folder, kind=KIND), source=folder)
    card = model_card(config, record).split("- Limits:")[0]
    (folder / "README.md").write_text(card.rstrip() + "\n" + data)


def wrapped(line: str) -> str:
    """Break a line of prose that filling in made too long."""
    return line if line.startswith(("|", " ", "-")) else textwrap.fill(line, 118, break_long_words=False)


if __name__ == "__main__":
    sys.exit(run_program(build_parser(), run, check=flags_that_clash))
