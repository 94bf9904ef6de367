"""Make the shipped composer: free MIDI by its manifest's split, training in phases, the figures of the test split.

    python3 scripts/train_music_transformer.py MIDI_FOLDER --work SCRATCH_FOLDER [--accelerator --minutes 8]

The MIDI folder holds `manifest.csv` with the columns `path` and `split` (train, valid, test). A run that was stopped
goes on where it was when the same command is given again.
"""

import argparse
import csv
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from ambient.music_transformer.config import SIZES
from stages import preprocess, train
from stages.common import SHIPPED_MODELS, log

SPLITS = ("train", "valid", "test")


class Phase(NamedTuple):
    """A part of the training: crops of so many tokens, until a minute of the whole, under one fall of the rate."""

    batch_size: int
    max_seq: int
    calm_weight: int
    minutes: float
    schedule_minutes: float

    def flags(self) -> list[str]:
        """Return what stages.train is given."""
        return [word for name, value in self._asdict().items() for word in (f"--{name}", f"{value:g}")]


# On two processor cores. Short crops first: attention costs less and most of what there is to learn lies within a few
# seconds. Long ones teach what returns. Calm pieces last: they are what the model is for. Held-out music still gained
# when the rate had fallen, so it falls a second time, from where a schedule of 190 minutes stands after 120.
PHASES = (
    Phase(16, 256, 2, minutes=28, schedule_minutes=120),
    Phase(12, 512, 2, minutes=65, schedule_minutes=120),
    Phase(8, 1024, 2, minutes=95, schedule_minutes=120),
    Phase(8, 1024, 5, minutes=120, schedule_minutes=120),
    Phase(8, 1024, 2, minutes=168, schedule_minutes=190),
    Phase(8, 1024, 5, minutes=190, schedule_minutes=190),
)
RECIPE = (
    *("--from_scratch", "--precision", "bfloat16", "--optimizer", "muon", "--l_r", "3e-3", "--warmup_steps", "100"),
    # The corpus is seen a dozen times, each time in another key and tempo: nothing to learn by heart yet.
    *("--dropout", "0", "--performed_weight", "2", "--evaluate_every", "150", "--patience", "1000"),
)
CONTEXTS = (512, 1024)  # tokens that the model sees at once in the figures of the test split
COMMAND = "python3 scripts/train_music_transformer.py MIDI_FOLDER --work SCRATCH_FOLDER"
PROCESSOR = "two shared processor cores"

DATA_CARD = """
## Data

- **piano-midi.de**: performances shaped by hand, by Bernd Krueger, http://www.piano-midi.de, licence
  CC BY-SA 3.0 Germany.
- **Mutopia Project**, http://www.mutopiaproject.org: solo keyboard pieces from LilyPond sources, in the Public Domain,
  CC BY and CC BY-SA (2.5, 3.0, 4.0), each with its typesetter named there.

{counts}.
Pieces with the dynamics of a performance were drawn twice as often; pieces of fewer than six notes a second twice, in
the last minutes five times. The same piece never stands on two sides of the split; the weights kept are those of the
lowest loss on `valid`, and nothing was chosen by `test`. Made with

    {command}

## Figures on the test split

| pieces | source | tokens seen at once | nats per token | bits per second of music |
| --- | --- | --- | --- | --- |
{rows}

## Limits

Western keyboard music of 1700 to 1920; no tempo, metre, pedal or key; form over more than a minute is not learned. The
weights were trained on {where} in {minutes:g} minutes, a small fraction of what published models had.
"""


def main() -> int:
    """Prepare, train, judge, and write the model folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("midi", type=Path, help="folder with manifest.csv")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder: token files, checkpoint")
    parser.add_argument("--save_path", type=Path, default=SHIPPED_MODELS / "music-transformer", help="(%(default)s)")
    parser.add_argument("--size", choices=list(SIZES), default="base", help="(%(default)s)")
    parser.add_argument("--accelerator", action="store_true", help="one phase of long crops, for a GPU or TPU")
    parser.add_argument("--minutes", type=float, default=PHASES[-1].minutes, help="of training on it (%(default)s)")
    parser.add_argument("--train_flags", default="", help="more flags of stages.train for that phase, in one word")
    arguments = parser.parse_args()
    if arguments.minutes != PHASES[-1].minutes and not arguments.accelerator:
        parser.error("--minutes is for --accelerator; the phases on a processor have their own")
    records = {split: arguments.work / "records" / split for split in SPLITS}
    for split, folder in records.items():
        if not folder.exists():
            prepare(arguments.midi, split, arguments.work / "midi" / split, folder)
    phases, more = list(PHASES), []
    if arguments.accelerator:  # it sees the corpus many times: one phase of long crops
        phases, more = [Phase(32, 1024, 2, arguments.minutes, arguments.minutes)], arguments.train_flags.split()
    for phase in phases:
        flags = [*RECIPE, "--size", arguments.size, *phase.flags(), *more]
        log(" ".join(flags))
        files = ["--input_path", records["train"], "--held_out_path", records["valid"]]
        places = ["--resume", arguments.work / "run", "--save_path", arguments.save_path]
        code = train.main([*map(str, [*files, *places]), *flags])
        if code:
            return code
    # On an accelerator --train_flags may ask for other crops; the settings of the one phase have them.
    crops = [] if arguments.accelerator else list(dict.fromkeys(f"{p.batch_size} × {p.max_seq}" for p in PHASES))
    where = "an accelerator" if arguments.accelerator else PROCESSOR
    asked = f" --accelerator --minutes {arguments.minutes:g}" if arguments.accelerator else ""
    asked += f" --size {arguments.size}" if arguments.size != "base" else ""
    judge(arguments.save_path, records, command=COMMAND + asked, crops=crops, where=where, minutes=arguments.minutes)
    return 0


def prepare(midi: Path, split: str, links: Path, records: Path) -> None:
    """Tokenise the pieces of one side of the split."""
    links.mkdir(parents=True, exist_ok=True)
    with open(midi / "manifest.csv", newline="") as file:
        for row in csv.DictReader(file):
            link = links / row["path"].replace("/", "__")
            if row["split"] == split and not link.exists():
                os.symlink((midi / row["path"]).resolve(), link)
    preprocess.main([str(links), str(records)])


def judge(
    folder: Path, records: dict[str, Path], *, command: str, crops: list[str], where: str, minutes: float
) -> None:
    """Measure the model on the test split and each source of it, and complete its record and card."""
    from ambient.music_transformer.card import bits_per_second, model_card
    from ambient.music_transformer.config import TrainingConfig
    from ambient.music_transformer.data import evaluation_batches, whole
    from ambient.music_transformer.model import load_model, token_loss, use_precision
    from ambient.music_transformer.training import evaluate

    use_precision("float32")
    songs = {split: train.read_records(path) for split, path in records.items()}
    sources = {"all": songs["test"]}  # the folder of the manifest that a piece comes from heads its name
    for song in songs["test"]:
        sources.setdefault(song.source.split("__")[0], []).append(song)
    model = load_model(folder)
    figures = []
    cases = [("all", context) for context in CONTEXTS] + [(name, CONTEXTS[-1]) for name in list(sources)[1:]]
    for source, context in cases:
        pieces = [whole(song.tokens) for song in sources[source]]
        model.compile(loss=token_loss, jit_compile=False)  # traced for each length on its own
        nats = evaluate(model, evaluation_batches(pieces, TrainingConfig(batch_size=8, max_seq=context)))
        bits = bits_per_second(nats, pieces, sum(song.seconds for song in sources[source]))
        figures.append(
            {
                "pieces": len(pieces),
                "source": source,
                "context": context,
                "nats_per_token": round(nats, 4),
                "bits_per_second": round(bits, 2),
            }
        )
        log(f"test split, {source}, context {context}: {nats:.4f} nats per token, {bits:.2f} bits per second")
    record = json.loads((folder / "training.json").read_text())
    record |= {"test": figures, "command": command, "crops": crops}
    (folder / "training.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    counts = ", ".join(f"{split} {len(songs[split])} pieces" for split in SPLITS)
    rows = "\n".join(f"| {' | '.join(map(str, figure.values()))} |" for figure in figures)
    data = DATA_CARD.format(counts=f"Split: {counts}", command=command, rows=rows, where=where, minutes=minutes)
    card = model_card(model.config, record).split("- Limits:")[0]
    (folder / "README.md").write_text(card.rstrip() + "\n" + data)


if __name__ == "__main__":
    sys.exit(main())
