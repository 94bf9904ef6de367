"""What does transcribing do to notes? Figures for `variation.imitate_transcriber`, from pairs of played and heard MIDI.

    python3 scripts/measure_transcriber.py FOLDER_THAT_HEAR_CORPUS_WROTE

A heard note belongs to the played one of its pitch that starts nearest, within 100 ms.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

from ambient.midi import read_midi
from ambient.notes import Note
from ambient.program import files_below

NEAR_S = 0.1
LENGTHS_S = (0.0, 0.15, 0.4, 1.0, 2.5, 1e9)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds played/ and heard/")
    arguments = parser.parse_args()
    pairs: list[tuple[Note, Note]] = []
    played_count = heard_count = 0
    lost_by_length = np.zeros((len(LENGTHS_S) - 1, 2))
    for path in files_below(arguments.folder / "played", [".mid"]):
        played, heard = read_midi(path).notes, read_midi(arguments.folder / "heard" / path.name).notes
        matched = match(played, heard)
        pairs += [(played[i], heard[j]) for i, j in matched.items()]
        played_count, heard_count = played_count + len(played), heard_count + len(heard)
        for index, note in enumerate(played):
            lost_by_length[_length_class(note), int(index not in matched)] += 1
    print(f"{played_count} played, {heard_count} heard, {len(pairs)} belong together")
    lost, invented = 1 - len(pairs) / played_count, 1 - len(pairs) / heard_count
    print(f"lost {lost:.3f} of the played, invented {invented:.3f} of the heard")
    late = np.array([heard.start_s - played.start_s for played, heard in pairs])
    print(f"starts late by {np.median(late) * 1000:.0f} ms, spread (half of p16 to p84) {spread(late) * 1000:.0f} ms")
    print("length played    share lost   heard / played: p10 p25 p50 p75 p90")
    for index, (low, high) in enumerate(itertools.pairwise(LENGTHS_S)):
        ratios = [
            (heard.end_s - heard.start_s) / (played.end_s - played.start_s)
            for played, heard in pairs
            if low <= played.end_s - played.start_s < high
        ]
        lost = lost_by_length[index, 1] / max(lost_by_length[index].sum(), 1)
        percentiles = " ".join(f"{value:.2f}" for value in np.percentile(ratios or [0.0], (10, 25, 50, 75, 90)))
        print(f"{low:>5.2f} to {high:<8.4g}{lost:>10.3f}   {percentiles}")
    velocities = np.array([(played.velocity, heard.velocity) for played, heard in pairs], dtype=float)
    slope, offset = np.polyfit(velocities[:, 0], velocities[:, 1], 1)
    rest = velocities[:, 1] - slope * velocities[:, 0] - offset
    print(f"velocity heard = {slope:.2f} x played + {offset:.1f}, spread {rest.std():.1f}")
    return 0


def match(played: list[Note], heard: list[Note]) -> dict[int, int]:
    """Return for each played note that was heard the index of the heard one; each heard note belongs to one at most."""
    by_pitch: dict[int, list[int]] = {}
    for index, note in enumerate(heard):
        by_pitch.setdefault(note.pitch, []).append(index)
    near = sorted(
        (abs(heard[j].start_s - note.start_s), i, j)
        for i, note in enumerate(played)
        for j in by_pitch.get(note.pitch, [])
        if abs(heard[j].start_s - note.start_s) <= NEAR_S
    )
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in near:
        if i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def spread(values: np.ndarray) -> float:
    """Return half of the distance from the 16th to the 84th percentile."""
    low, high = np.percentile(values, (16, 84))
    return float(high - low) / 2


def _length_class(note: Note) -> int:
    return int(np.searchsorted(LENGTHS_S, note.end_s - note.start_s, side="right")) - 1


if __name__ == "__main__":
    sys.exit(main())
