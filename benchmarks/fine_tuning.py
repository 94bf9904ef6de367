"""Is fine-tuning the shipped model on a person's music better than training from scratch for the same time?

    python3 benchmarks/fine_tuning.py PIECES [--minutes 2.5] [--sizes small base]

PIECES is a folder of token files (what `stages.preprocess` writes) that the shipped model has not heard. Every fourth
is held out, the others are the music of a person. The baseline is training from scratch, at its best size; the figure
is what a second of the held-out music costs, in bits.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ambient.shipped import SHIPPED_MODELS


def trained(name: str, folder: Path, minutes: float, flags: list[str]) -> dict[str, float]:
    """Train in a program of its own, print its figures, and return them."""
    paths = ["--input_path", folder / "train", "--held_out_path", folder / "held_out", "--save_path", folder / name]
    command = [sys.executable, "-m", "stages.train", *map(str, paths), "--minutes", str(minutes), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    record = json.loads((folder / name / "training.json").read_text())
    held_out: dict[str, float] = record["held_out"]
    print(
        f"{name}: {held_out['nats_per_note_before']:.3f} -> {held_out['nats_per_note']:.3f} nats per note, "
        f"{held_out['bits_per_second']:.1f} bits per second; best at step {record['best_step']} of {record['steps']}, "
        f"stopped by {record['stopped_by']}",
        flush=True,
    )
    return held_out


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pieces", type=Path, help="folder of token files")
    parser.add_argument("--minutes", type=float, default=2.5, help="of each training (%(default)s)")
    parser.add_argument(
        "--sizes", nargs="+", default=["small", "base"], help="of the models from scratch (%(default)s)"
    )
    parser.add_argument("--load_path", type=Path, default=SHIPPED_MODELS / "music-transformer", help="(%(default)s)")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pieces = sorted(arguments.pieces.glob("*.tfrecord"))
        for index, piece in enumerate(pieces):
            side = folder / ("held_out" if index % 4 == 3 else "train")
            side.mkdir(exist_ok=True)
            (side / piece.name).symlink_to(piece.resolve())
        print(f"{len(pieces) - len(pieces) // 4} pieces to learn from, {len(pieces) // 4} held out", flush=True)
        tuned = trained("fine-tuned", folder, arguments.minutes, ["--load_path", str(arguments.load_path)])
        scratch_runs = [
            trained(f"from-scratch-{size}", folder, arguments.minutes, ["--from_scratch", "--size", size])
            for size in arguments.sizes
        ]
    baseline = min(scratch_runs, key=lambda held_out: held_out["nats_per_note"])
    print(f"ratio to the baseline, bits per second: {tuned['bits_per_second'] / baseline['bits_per_second']:.2f}")


if __name__ == "__main__":
    main()
