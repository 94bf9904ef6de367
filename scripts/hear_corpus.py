"""Play MIDI on pianos and ambient sounds in rooms, and write what the transcriber hears: the composer trains on it.

    python3 scripts/hear_corpus.py MIDI_FOLDER --split train --soundfonts A.sf2 B.sf2 --hours 3 --save_path OUT
    python3 scripts/hear_corpus.py MIDI_FOLDER --split test --soundfonts C.sf2 --rooms other --hours 3 --save_path OUT

The MIDI folder holds `manifest.csv` with the columns path, split, duplicate_of and calm. `OUT/heard/NAME.mid` is what
was heard, `OUT/played/NAME.mid` what was played, on one clock. What is there already is kept: a run that was stopped
goes on. Sounds and rooms for the test split must be others than for
training: give another soundfont and `--rooms other`.
"""

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import numpy as np

from ambient.midi import read_midi, write_midi
from ambient.midi_set import read_manifest
from ambient.notes import Note
from ambient.onsets_and_frames.augmentation import drawn_room, in_room, recorded, resampled
from ambient.onsets_and_frames.config import SAMPLE_RATE_HZ
from ambient.onsets_and_frames.rendering import HELD, PIANOS, STRUCK
from ambient.program import log, run_program
from ambient.shipped import SHIPPED_MODELS

LONGEST_S = 180.0
AMBIENT_SHARE = 0.5
OTHER_ROOM_S = (2.0, 3.5)  # reverberation of the rooms that training never uses; its own end at 1.6 s


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("midi", type=Path, help="folder with manifest.csv")
    parser.add_argument("--split", required=True, choices=["train", "valid", "test"])
    parser.add_argument("--soundfonts", type=Path, nargs="+", required=True, help="SF2 files; each piece draws one")
    parser.add_argument("--rooms", choices=["training", "other"], default="training", help="(%(default)s)")
    parser.add_argument("--hours", type=float, default=3.0, help="stop after so much music (%(default)s)")
    parser.add_argument("--save_path", type=Path, required=True, help="folder for heard/ and played/")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Play and transcribe until there are so many hours."""
    from ambient.onsets_and_frames.inference import Transcriber
    from ambient.transcribers.transcription import provenance_to_texts

    transcriber = Transcriber.from_folder(SHIPPED_MODELS / "onsets-and-frames")
    for kind in ("heard", "played"):
        (arguments.save_path / kind).mkdir(parents=True, exist_ok=True)
    seconds = 0.0
    for path in pieces_of(arguments.midi, arguments.split, arguments.seed):
        name = f"{path.parent.name}__{path.name}"
        digest = hashlib.sha256(f"{arguments.seed} {name}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        played = excerpt(read_midi(path).notes, rng)
        seconds += max((note.end_s for note in played), default=0.0)
        target = arguments.save_path / "heard" / name
        if played and not target.exists():
            sound = record(played, arguments.soundfonts, rng, other_rooms=arguments.rooms == "other")
            with tempfile.TemporaryDirectory() as folder:
                wav = Path(folder) / "sound.wav"
                write_mono_wav(wav, sound)
                heard = transcriber.transcribe(wav)
            write_midi(arguments.save_path / "played" / name, played)
            write_midi(target, heard.notes, texts=provenance_to_texts(transcriber.name, heard))
            log(f"{seconds / 3600:.2f} h: {name}: {len(played)} played, {len(heard.notes)} heard")
        if seconds >= 3600 * arguments.hours:
            break


def pieces_of(midi: Path, split: str, seed: int) -> list[Path]:
    """Return the pieces of a split without duplicates, shuffled, calm ones (under six notes a second) first."""
    rows = [row for row in read_manifest(midi, split, ("duplicate_of", "calm")) if not row["duplicate_of"]]
    order = np.random.default_rng(seed).permutation(len(rows))
    mixed = [rows[index] for index in order]
    return [midi / row["path"] for row in sorted(mixed, key=lambda row: row["calm"] != "yes")]


def excerpt(notes: list[Note], rng: np.random.Generator) -> list[Note]:
    """Return up to three minutes from somewhere in a piece, from 0 s on, on the keys of a piano."""
    if not notes:
        return []
    first_s = rng.uniform(0.0, max(notes[-1].start_s - LONGEST_S, 0.0))
    return [
        Note(note.start_s - first_s, note.pitch, note.end_s - first_s, note.velocity)
        for note in notes
        if first_s <= note.start_s < first_s + LONGEST_S and 21 <= note.pitch <= 108
    ]


def record(notes: list[Note], soundfonts: list[Path], rng: np.random.Generator, *, other_rooms: bool) -> np.ndarray:
    """Play notes on a piano or an ambient sound in a room; [samples] mono at 16 kHz, its largest sample 0.9."""
    from ambient.sound.soundfont import SAMPLE_RATE_HZ as SYNTH_RATE_HZ
    from ambient.sound.soundfont import render_notes

    ambient = rng.random() < AMBIENT_SHARE
    programs = (HELD if rng.random() < 0.5 else STRUCK) if ambient else PIANOS
    soundfont = soundfonts[int(rng.integers(len(soundfonts)))]
    stereo = render_notes(notes, soundfont, program=int(rng.choice(programs)))
    sound = resampled(stereo.mean(axis=1), rate_hz=SYNTH_RATE_HZ, stretch=1.0)
    if other_rooms:
        response = drawn_room(rng, longest_s=1.6)
        tail_s = rng.uniform(*OTHER_ROOM_S)
        time_s = np.arange(int(tail_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        tail = rng.standard_normal(len(time_s)) * 10 ** (-3.0 * time_s / tail_s)
        response = np.concatenate([response[:1], tail * rng.uniform(0.3, 0.8) / np.sqrt(np.sum(tail**2))])
        sound = in_room(sound, response)
    else:
        sound = recorded(sound, rng, distant=ambient)
    return sound * np.float32(0.9 / (np.max(np.abs(sound)) + 1e-9))


def write_mono_wav(path: Path, sound: np.ndarray) -> None:
    """Write [samples] at 16 kHz as 16-bit WAV."""
    from ambient.audio import write_wav

    write_wav(path, sound[:, None], rate_hz=SAMPLE_RATE_HZ)


if __name__ == "__main__":
    sys.exit(run_program(build_parser(), run))
