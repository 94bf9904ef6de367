"""Listen with measurements: what each preset makes of the same two pieces, for the table in docs/sound.md.

    python3 benchmarks/listening.py FOLDER [--midi A.mid B.mid] [--preset NAME]

Renders the first 20 seconds of both with every preset into FOLDER, with their pictures, and prints for each: spectral
centroid (median over time, and its 10th and 90th percentile), share of energy under 120 Hz, crest factor, correlation
of left and right (of all, and under 120 Hz), and the attack: how long a single middle C without room takes from 10 to
90 % of its level.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ambient.audio import find_ffmpeg
from ambient.midi import read_midi
from ambient.notes import Note
from ambient.sound.pictures import write_picture
from ambient.sound.preset import find_preset, preset_names
from ambient.sound.rendering import Layer, Settings, prepared, render_piece

ROOT = Path(__file__).resolve().parent.parent
PIECES = (ROOT / "samples" / "midi" / "2.mid", ROOT / "samples" / "midi" / "6.mid")  # slow chords; a calm melody
RATE_HZ = 48_000
CLIP_S = 20.0  # of each piece
FRAME = 8192
LOW_HZ = 120.0
_FLOOR = 1e-12


def main(argv: list[str] | None = None) -> int:
    """Render, measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for sound and pictures; made if missing")
    parser.add_argument("--midi", type=Path, nargs="+", default=PIECES, help="the pieces (default: two primers)")
    parser.add_argument("--preset", action="append", help="only these (default: all)")
    arguments = parser.parse_args(argv)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| preset | piece | centroid (10–90 %) Hz | under 120 Hz | crest | correlation, bass | attack |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in arguments.preset or preset_names():
        for piece in arguments.midi:
            print(
                f"| {name} | {piece.parent.name}/{piece.stem} | {measured(name, piece, arguments.folder)} |", flush=True
            )
    return 0


def measured(name: str, piece: Path, folder: Path) -> str:
    """Render a piece with a preset, draw it, and return its row of the table."""
    preset = find_preset(name)
    notes = [note for note in prepared(read_midi(piece).notes) if note.start_s < CLIP_S]
    target = folder / f"{name.replace(' ', '-')}-{piece.parent.name}-{piece.stem}.flac"
    rendered = render_piece([Layer(preset, tuple(notes))], target, Settings(audio_format="flac", picture=True), {})
    assert rendered.spectrogram is not None
    write_picture(
        target.with_suffix(".png"),
        title=f"{piece.stem} · {name}",
        notes=notes,
        seconds=rendered.seconds,
        spectrogram=rendered.spectrogram,
        rate_hz=RATE_HZ,
    )
    sound = decoded(target)
    centroid = centroids_hz(sound)
    low, middle, high = np.percentile(centroid, [10, 50, 90])
    crest_db = 20 * np.log10(np.abs(sound).max() / np.sqrt(np.mean(sound**2)))
    bass = below(sound, LOW_HZ)
    dry = replace(preset, space=replace(preset.space, amount=0.0))
    single = folder / "single.flac"
    render_piece([Layer(dry, (Note(0.0, 60, 6.0, 70),))], single, Settings(audio_format="flac"), {})
    return (
        f"{middle:.0f} ({low:.0f}–{high:.0f}) | {100 * np.sum(bass**2) / np.sum(sound**2):.1f} % | {crest_db:.1f} dB | "
        f"{correlation(sound):.2f}, {correlation(bass):.2f} | {1000 * attack_s(decoded(single)):.0f} ms"
    )


def decoded(path: Path) -> np.ndarray:
    """Return a file's samples: [samples, 2]."""
    command = [
        find_ffmpeg(),
        "-loglevel",
        "error",
        "-i",
        str(path),
        "-f",
        "f32le",
        "-ac",
        "2",
        "-ar",
        str(RATE_HZ),
        "-",
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return np.frombuffer(done.stdout, np.float32).reshape(-1, 2).astype(np.float64)


def centroids_hz(sound: np.ndarray) -> np.ndarray:
    """Return the centre of gravity of the power spectrum of each frame that sounds."""
    mono = sound.mean(axis=1)
    frames = np.lib.stride_tricks.sliding_window_view(mono, FRAME)[:: FRAME // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    total = power.sum(axis=1)
    frequency_hz = np.fft.rfftfreq(FRAME, 1 / RATE_HZ)
    sounding = total > total.max() * 1e-5
    return np.asarray((power @ frequency_hz)[sounding] / total[sounding])


def below(sound: np.ndarray, corner_hz: float) -> np.ndarray:
    """Return what lies under a frequency."""
    spectrum = np.fft.rfft(sound, axis=0)
    spectrum[np.fft.rfftfreq(len(sound), 1 / RATE_HZ) > corner_hz] = 0.0
    return np.fft.irfft(spectrum, len(sound), axis=0)


def correlation(sound: np.ndarray) -> float:
    """Return the correlation of left and right; 1 for mono."""
    left, right = sound[:, 0], sound[:, 1]
    return float(np.sum(left * right) / (np.sqrt(np.sum(left**2) * np.sum(right**2)) + _FLOOR))


def attack_s(sound: np.ndarray) -> float:
    """Return how long the level takes from 10 to 90 % of the loudest of the first three seconds."""
    window = RATE_HZ // 1000
    power = np.convolve(np.mean(sound[: 3 * RATE_HZ] ** 2, axis=1), np.full(8 * window, 1 / (8 * window)), mode="same")
    level = np.sqrt(power)[::window]
    peak = int(np.argmax(level > 0.9 * level.max()))
    start = int(np.argmax(level > 0.1 * level.max()))
    return (peak - start) / 1000


if __name__ == "__main__":
    sys.exit(main())
