"""Make ambient recordings whose notes are known: test pieces played on ambient instruments in a hall.

    python3 benchmarks/ambient_recordings.py FOLDER --midi PATH_TO_MIDI --soundfonts A.sf2 B.sf2

Writes `NAME.wav` (16 kHz, mono) and `NAME.tsv`, as `transcription.py` reads them, into `FOLDER/held` (sounds that last:
pads, strings, choirs, organ) and `FOLDER/struck` (struck and plucked ones). The last column of the TSV is when the note
can be heard: when its own sound has reached a tenth of its largest energy. Only pieces of the manifest's `test` split
are played, which no training renders, and of those the calm ones (fewer than 6 notes a second), in the order of
their content's hash: which pieces are measured is nobody's choice. `--split valid` makes a set to choose settings by.
Everything is fixed, so two runs make the same set.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.midi_set import MANIFEST, read_manifest
from ambient.notes import Note
from ambient.program import run_program

CLIP_S = 30.0
REVERB = 0.3  # share of the hall
HELD_S = 0.8  # slow sounds hold each note at least so long
BEHIND = 0.5  # a second sound stands 6 dB behind the first
HELD, STRUCK = "held", "struck"
# name -> General MIDI programs, and kind
INSTRUMENTS = {
    "warm pad": ((89,), HELD),
    "choir pad": ((91,), HELD),
    "sweep pad": ((95,), HELD),
    "strings": ((48,), HELD),
    "choir": ((52,), HELD),
    "organ": ((19,), HELD),
    "strings and choir": ((48, 52), HELD),
    "piano and pad": ((0, 89), STRUCK),
    "electric piano": ((4,), STRUCK),
    "vibraphone": ((11,), STRUCK),
    "music box": ((10,), STRUCK),
    "harp": ((46,), STRUCK),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="made if missing")
    parser.add_argument("--midi", type=Path, required=True, help="MIDI set with its manifest")
    parser.add_argument("--soundfonts", type=Path, nargs="+", required=True, help="SF2 files that no training heard")
    parser.add_argument(
        "--split", choices=("test", "valid"), default="test", help="of the pieces; valid is to choose settings by"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Make the recordings; returns the exit code."""
    return run_program(
        build_parser(),
        lambda arguments: make_recordings(
            arguments.folder, arguments.midi, arguments.soundfonts, split=arguments.split
        ),
        argv,
    )


def make_recordings(folder: Path, midi: Path, soundfonts: Sequence[Path], *, split: str = "test") -> None:
    """Write one recording for each instrument and soundfont.

    Raises:
        InputError: the manifest is missing or holds no calm piece of the split.
    """
    from ambient.audio import TRANSCRIPTION_RATE_HZ, decode_to_wav, write_wav
    from ambient.onsets_and_frames.audible import audible_starts_s
    from ambient.sound.plain_room import add_reverb, normalise
    from ambient.sound.soundfont import SAMPLE_RATE_HZ, render_notes
    from ambient.sound.voices import held_notes

    pieces = calm_pieces(midi, split)
    for index, (soundfont, name) in enumerate((font, name) for font in soundfonts for name in INSTRUMENTS):
        programs, kind = INSTRUMENTS[name]
        notes = first_notes(pieces[index % len(pieces)])
        if kind == HELD:
            notes = [replace(note, end_s=min(note.end_s, CLIP_S)) for note in held_notes(notes, HELD_S)]
        dry = layered(notes, soundfont, programs)
        sound = normalise(
            add_reverb(dry, rate_hz=SAMPLE_RATE_HZ, amount=REVERB, seed=index)[: int(CLIP_S * SAMPLE_RATE_HZ)],
            rate_hz=SAMPLE_RATE_HZ,
        )
        path = folder / kind / f"{name.replace(' ', '-')}_{soundfont.stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        full = path.with_suffix(".full-rate")
        write_wav(full, sound, rate_hz=SAMPLE_RATE_HZ)
        decode_to_wav(full, path, rate_hz=TRANSCRIPTION_RATE_HZ)
        full.unlink()
        play = partial(render_notes, soundfont=soundfont, program=programs[0])
        rows = [
            f"{note.start_s:.4f}\t{note.end_s:.4f}\t{note.pitch}\t{note.velocity}\t{audible_s:.4f}"
            for note, audible_s in zip(notes, audible_starts_s(notes, play, SAMPLE_RATE_HZ), strict=True)
        ]
        path.with_suffix(".tsv").write_text("\n".join(["onset\toffset\tnote\tvelocity\taudible", *rows]) + "\n")


def layered(notes: Sequence[Note], soundfont: Path, programs: Sequence[int]) -> np.ndarray:
    """Play notes on several programs at once, the first in front, the others equally loud 6 dB behind it."""
    from ambient.sound.soundfont import render_notes

    def rms(sound: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))

    mixed = render_notes(notes, soundfont, program=programs[0])
    front_rms = rms(mixed)
    for program in programs[1:]:
        layer = render_notes(notes, soundfont, program=program)
        mixed += layer * np.float32(BEHIND * front_rms / rms(layer))
    return mixed


def calm_pieces(midi: Path, split: str) -> list[Path]:
    """List the calm pieces of a split in the order of their content's hash, each work once."""
    rows = read_manifest(midi, split, ("calm", "duplicate_of"))
    paths = [midi / row["path"] for row in rows if row["calm"] == "yes" and not row["duplicate_of"]]
    if not paths:
        raise InputError(midi / MANIFEST, f"no calm piece of split {split}", "expected at least one", "Check --midi")
    return sorted(paths, key=lambda path: hashlib.sha256(path.read_bytes()).hexdigest())


def first_notes(path: Path) -> list[Note]:
    """Return what a clip of the piece holds, from half a second before the first note."""
    from ambient.midi import read_midi

    notes = read_midi(path).notes
    begins_s = min(note.start_s for note in notes) - 0.5
    moved = [replace(note, start_s=note.start_s - begins_s, end_s=note.end_s - begins_s) for note in notes]
    return [replace(n, end_s=min(n.end_s, CLIP_S)) for n in moved if n.start_s < CLIP_S - 0.2]


if __name__ == "__main__":
    sys.exit(main())
