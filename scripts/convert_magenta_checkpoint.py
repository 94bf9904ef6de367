"""Turn a TF1 checkpoint of Magenta's Onsets and Frames into a model folder, which loads faster.

    python3 scripts/convert_magenta_checkpoint.py CHECKPOINT FOLDER [--float16]

CHECKPOINT is the zip as Magenta publishes it, the folder `train/` inside it, or the prefix `train/model.ckpt-N`.
"""

import argparse
import sys
from pathlib import Path

from ambient.program import log, run_program

CARD = """---
kind: onsets-and-frames
license: other
---

# Onsets and Frames, converted from {name}

Made by `scripts/convert_magenta_checkpoint.py` from a TF1 checkpoint of Magenta's that its user brought. It is not part
of this project and not under its licence. Magenta's published checkpoint was trained on MAESTRO, which is licensed for
non-commercial use only (CC BY-NC-SA 4.0), and no licence is stated for the weights: treat them, and do not pass them
on, as non-commercial.

- source: `{name}`, digest {digest}
- network: `full`, the sizes of Magenta's MAESTRO configuration
- stored in {precision} precision
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="zip, folder or prefix of the TF1 checkpoint")
    parser.add_argument("folder", type=Path, help="the model folder to write")
    parser.add_argument("--float16", action="store_true", help="store half precision: half the size, 45 MB")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the conversion; returns the exit code."""
    return run_program(build_parser(), run, argv)


def run(arguments: argparse.Namespace) -> None:
    """Read the checkpoint and write the folder."""
    from ambient.model_folder import save_model_folder
    from ambient.onsets_and_frames.checkpoint import load_checkpoint
    from ambient.onsets_and_frames.config import KIND

    checkpoint = load_checkpoint(arguments.checkpoint)
    precision = "half" if arguments.float16 else "single"
    save_model_folder(
        arguments.folder,
        kind=KIND,
        config={"model": checkpoint.config.to_json(), "size": "full", "decoding": {}},
        weights=checkpoint.weights,
        training={"converted_from": checkpoint.name, "checkpoint_digest": checkpoint.digest},
        card=CARD.format(name=checkpoint.name, digest=checkpoint.digest, precision=precision),
        float16=arguments.float16,
    )
    log(f"{arguments.folder}: converted from {checkpoint.name}, {precision} precision")


if __name__ == "__main__":
    sys.exit(main())
