"""How many damaged MIDI files are read, beside pretty_midi?

    python3 benchmarks/midi_salvage.py --midi FOLDER --files 3000

Each file is a real one with something done to it: bytes changed, put in, taken out or repeated, or the end cut off. A
file counts as *in full* if it gives as many notes as before the damage, else as *salvaged* if it gives at least one,
*empty* if it gives none, *refused* with one clear line. Anything else that is raised is a crash.
"""

import argparse
import io
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pretty_midi

from ambient.errors import InputError
from ambient.midi import smf_to_piece

LARGEST_BYTES = 20_000  # so that thousands of files are read in minutes by the slower reader


def main() -> None:
    """Damage, read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midi", type=Path, required=True, help="folder of MIDI files, searched to any depth")
    parser.add_argument("--files", type=int, default=3_000, help="damaged files to make (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    arguments = parser.parse_args()
    whole = [path.read_bytes() for path in sorted(arguments.midi.rglob("*.mid"))]
    whole = [data for data in whole if len(data) <= LARGEST_BYTES]
    notes = {data: our_notes(data) for data in whole}
    chooser = random.Random(arguments.seed)
    damaged = [(data, damage(data, chooser)) for data in (chooser.choice(whole) for _ in range(arguments.files))]
    print(f"{len(damaged)} damaged files made of {len(whole)} of at most {LARGEST_BYTES} bytes, seed {arguments.seed}")
    for name, read in (("ours", our_notes), ("baseline: pretty_midi", their_notes)):
        found: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        begin_s = time.perf_counter()
        for data, broken in damaged:
            result, reason = outcome(read, broken, notes[data])
            found[result] += 1
            if reason:
                reasons[reason] += 1
        shares = ", ".join(f"{result} {found[result] / len(damaged):.1%}" for result in OUTCOMES)
        print(f"{name}: {shares}; {time.perf_counter() - begin_s:.0f} s")
        for reason, count in reasons.most_common(8):
            print(f"  {count:>6}  {reason}")


OUTCOMES = ("in full", "salvaged", "empty", "refused", "crashed")


def outcome(read: Callable[[bytes], int], data: bytes, before: int) -> tuple[str, str]:
    """Read a file; return how it went, and why where it gave nothing."""
    try:
        found = read(data)
    except InputError as error:
        return "refused", error.found
    except Exception as error:  # whatever is raised on a damaged file is what is measured
        return ("refused" if read is their_notes else "crashed"), f"{type(error).__name__}: {str(error)[:60]}"
    return ("in full" if found == before else "salvaged" if found else "empty"), ""


def our_notes(data: bytes) -> int:
    """Count the notes that we read, percussion and those of no length too."""
    piece = smf_to_piece(data, source="a damaged file")
    return len(piece.notes) + piece.drum_notes + piece.zero_length_notes


def their_notes(data: bytes) -> int:
    """Count the notes that pretty_midi reads; those of no length are left out by it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        midi = pretty_midi.PrettyMIDI(io.BytesIO(data))
    return sum(len(instrument.notes) for instrument in midi.instruments)


def damage(data: bytes, chooser: random.Random) -> bytes:
    """Do one to eight things to a file."""
    broken = bytearray(data)
    for _ in range(chooser.choice((1, 1, 2, 4, 8))):
        if not broken:
            break
        at = chooser.randrange(len(broken))
        kind = chooser.randrange(6)
        if kind == 0:
            broken[at] = chooser.randrange(256)
        elif kind == 1:
            broken[at] ^= 1 << chooser.randrange(8)
        elif kind == 2:
            broken[at:at] = chooser.randbytes(chooser.randint(1, 8))
        elif kind == 3:
            del broken[at : at + chooser.randint(1, 8)]
        elif kind == 4:
            broken[at:at] = broken[at : at + chooser.randint(1, 64)]
        else:
            del broken[max(at, 1) :]
    return bytes(broken)


if __name__ == "__main__":
    main()
