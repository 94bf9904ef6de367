"""Compose and render the samples: six short songs to put in, and seven primers to start new pieces from.

Nothing is taken from anyone: each piece follows the rules in this file, and its seed and settings stand in the tables
`SONGS` and `PRIMERS`. The same settings give the same notes everywhere, and the same bytes with the same ffmpeg.

Conventions: positions and lengths are in beats, pitches are MIDI numbers. A *degree* counts the steps of the piece's
seven-note scale from its tonic, 0 being the tonic and 7 its octave; a chord is named by the degree of its root.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ambient.audio import write_mp3
from ambient.midi import write_midi
from ambient.notes import Note
from ambient.sound.plain_room import add_reverb, fade_out, normalise, without_silent_end
from ambient.sound.soundfont import SAMPLE_RATE_HZ, find_soundfont, render_notes

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
BITRATE = "112k"
PIANO, MUSIC_BOX, VIBRAPHONE = 0, 10, 11  # General MIDI programs

MAJOR = (0, 2, 4, 5, 7, 9, 11)
LYDIAN = (0, 2, 4, 6, 7, 9, 11)
MIXOLYDIAN = (0, 2, 4, 5, 7, 9, 10)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
AEOLIAN = (0, 2, 3, 5, 7, 8, 10)


@dataclass(frozen=True, slots=True)
class Tune:
    """What makes one piece different from the others."""

    name: str
    texture: "Texture"
    tonic: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]  # one a bar, as degrees
    beats_per_minute: float
    seed: int
    beats_per_bar: int = 4
    program: int = PIANO
    ends: bool = True  # a primer stays open, for the piece goes on from there

    @property
    def beats(self) -> int:
        """Length up to the last chord."""
        return len(self.chords) * self.beats_per_bar

    def pitch(self, degree: int) -> int:
        """Return the pitch of a scale degree."""
        octave, step = divmod(degree, len(self.scale))
        return self.tonic + 12 * octave + self.scale[step]

    def chord_pitches(self, root: int, low: int, high: int, *, size: int = 3) -> list[int]:
        """Return the pitches of the chord of stacked thirds on a root, rising; no two are a semitone apart."""
        classes = {self.pitch(root + 2 * third) % 12 for third in range(size)}
        pitches: list[int] = []
        for pitch in range(low, high + 1):
            if pitch % 12 in classes and pitch - 1 not in pitches[-1:]:
                pitches.append(pitch)
        return pitches

    def scale_pitches(self, low: int, high: int) -> list[int]:
        """Return all pitches from low to high that belong to the scale, rising."""
        classes = {(self.tonic + step) % 12 for step in self.scale}
        return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]


@dataclass(slots=True)
class Score:
    """Notes in beats, while a piece is being written."""

    tune: Tune
    notes: list[tuple[float, float, int, float]] = field(default_factory=list)  # beat, length, pitch, loudness 0-1

    def add(self, beat: float, length: float, pitch: int, loudness: float) -> None:
        """Write one note."""
        self.notes.append((beat, length, pitch, loudness))

    def played(self) -> list[Note]:
        """Play the score as a person might: not quite even, swelling over eight bars, slower at the end."""
        chance = random.Random(self.tune.seed + 1)
        second = 60.0 / self.tune.beats_per_minute
        notes = []
        for beat, length, pitch, loudness in sorted(self.notes):
            start_s = 0.3 + self._slowed(beat) * second + 0.008 * (chance.random() - 0.5)
            end_s = 0.3 + self._slowed(beat + length) * second
            position = beat / self.tune.beats_per_bar % 8 / 8
            swell = 0.85 + 0.6 * position * (1 - position)
            velocity = round(127 * loudness * swell + 6 * (chance.random() - 0.5))
            start_ms, end_ms = round(start_s * 1000), round(end_s * 1000)
            notes.append(Note(start_ms / 1000, pitch, max(end_ms, start_ms + 60) / 1000, min(max(velocity, 12), 110)))
        return _one_at_a_time(notes)

    def _slowed(self, beat: float) -> float:
        """Stretch the last two bars of a piece that ends more and more."""
        if not self.tune.ends:
            return beat
        late = max(0.0, beat - (self.tune.beats - 2 * self.tune.beats_per_bar))
        return beat + 0.02 * late * late


Choice = TypeVar("Choice")
Texture = Callable[[Tune], Score]


def arpeggios(tune: Tune) -> Score:
    """Chords broken upwards and down again in eighths over a held bass, a slow melody above."""
    score, chance = Score(tune), random.Random(tune.seed)
    for bar, root in enumerate(tune.chords):
        start = bar * tune.beats_per_bar
        _bass(score, start, root, 0.44)
        tones = tune.chord_pitches(root, tune.tonic - 2, tune.tonic + 22, size=4)[:6]
        wave = [*tones, *tones[-2:0:-1]]
        for step in range(2 * tune.beats_per_bar):
            beat = start + step / 2
            score.add(beat, start + tune.beats_per_bar - beat, wave[step % len(wave)], 0.36 + 0.05 * chance.random())
    _melody(score, chance, low=tune.tonic + 16, high=tune.tonic + 31, lengths=((4.0,), (2.0, 2.0), (3.0, 1.0)))
    return _closed(score)


def slow_chords(tune: Tune) -> Score:
    """Wide chords, rolled from below and left to ring, with a melody that takes its time."""
    score, chance = Score(tune), random.Random(tune.seed)
    for bar, root in enumerate(tune.chords):
        start = bar * tune.beats_per_bar
        _bass(score, start, root, 0.46)
        inner = tune.chord_pitches(root, tune.tonic - 5, tune.tonic + 12, size=4)
        for place, pitch in enumerate(inner[bar % 2 : 5 : 2] + inner[-1:]):
            score.add(start + 0.09 * (place + 1), tune.beats_per_bar - 0.3, pitch, 0.34)
        if chance.random() < 0.5:
            score.add(start + 2, tune.beats_per_bar - 2.3, inner[1], 0.3)
    _melody(score, chance, low=tune.tonic + 9, high=tune.tonic + 24, lengths=((2.0, 2.0), (3.0, 1.0), (1.0, 1.0, 2.0)))
    return _closed(score)


def lullaby(tune: Tune) -> Score:
    """A turning figure of three beats and a small melody, both high up."""
    score, chance = Score(tune), random.Random(tune.seed)
    for bar, root in enumerate(tune.chords):
        start = bar * tune.beats_per_bar
        tones = tune.chord_pitches(root, tune.tonic - 1, tune.tonic + 14)
        for beat, tone in enumerate((0, 2, 1)[: tune.beats_per_bar]):
            score.add(start + beat, 1.4, tones[tone], 0.4 if beat == 0 else 0.32)
    _melody(score, chance, low=tune.tonic + 12, high=tune.tonic + 26, lengths=((2.0, 1.0), (1.0, 1.0, 1.0), (3.0,)))
    return _closed(score)


def raindrops(tune: Tune) -> Score:
    """Single drops that fall on sixteenths, seldom two at once, over a bass on every second bar."""
    score, chance = Score(tune), random.Random(tune.seed)
    tones: list[int] = []
    for bar, root in enumerate(tune.chords):
        start = bar * tune.beats_per_bar
        if bar % 2 == 0:
            _bass(score, start, root, 0.42, bars=2)
        tones = tune.chord_pitches(root, tune.tonic + 5, tune.tonic + 29, size=5)
        place = _pick(chance, range(len(tones)))
        for step in range(4 * tune.beats_per_bar):
            if chance.random() > (0.62 if step % 2 == 0 else 0.22):
                continue
            place = (place + _pick(chance, (-3, -2, -1, 1, 2, 4))) % len(tones)
            score.add(start + step / 4, 2.5, tones[place], 0.3 + 0.18 * chance.random())
    return _closed(score)


def canon(tune: Tune) -> Score:
    """A melody, answered by itself an octave lower two bars later, over quiet open fifths."""
    score, chance = Score(tune), random.Random(tune.seed)
    delay = 2 * tune.beats_per_bar
    leader = Score(tune)
    _melody(
        leader, chance, low=tune.tonic + 9, high=tune.tonic + 22, lengths=((1.0, 1.0, 2.0), (2.0, 2.0), (1.5, 0.5, 2.0))
    )
    for beat, length, pitch, loudness in leader.notes:
        score.add(beat, length, pitch, loudness)
        if beat + delay < tune.beats:
            score.add(beat + delay, length, pitch - 12, 0.8 * loudness)
    for bar, root in enumerate(tune.chords):
        start = bar * tune.beats_per_bar
        _bass(score, start, root, 0.38)
        score.add(start + 1, tune.beats_per_bar - 1.2, _near(tune.pitch(root + 4), tune.tonic - 8), 0.3)
    return _closed(score)


def swaying(tune: Tune) -> Score:
    """Two soft chords a bar off the beat, and short answers above them."""
    score, chance = Score(tune), random.Random(tune.seed)
    for bar, root in enumerate(tune.chords):
        start = bar * tune.beats_per_bar
        _bass(score, start, root, 0.42)
        tones = tune.chord_pitches(root, tune.tonic - 1, tune.tonic + 13, size=4)[1:4]
        for beat, length in ((1.0, 1.4), (2.5, 1.4)):
            for pitch in tones:
                score.add(start + beat, length, pitch, 0.33)
    _melody(score, chance, low=tune.tonic + 12, high=tune.tonic + 26, lengths=((0.5, 0.5, 3.0), (1.5, 2.5), (4.0,)))
    return _closed(score)


def _bass(score: Score, beat: float, root: int, loudness: float, *, bars: int = 1) -> None:
    pitch = _near(score.tune.pitch(root), score.tune.tonic - 17)
    score.add(beat, bars * score.tune.beats_per_bar - 0.1, pitch, loudness)


def _melody(score: Score, chance: random.Random, *, low: int, high: int, lengths: Sequence[tuple[float, ...]]) -> None:
    """Sing over the chords: four bars of rhythm that come back, chord tones on the first beat, small steps between."""
    tune = score.tune
    rhythm = [_pick(chance, lengths) for _ in range(3)]
    rhythm = [rhythm[0], rhythm[1], rhythm[0], rhythm[2]]
    turns = [[_pick(chance, (-2, -1, -1, 1, 1, 2)) for _ in bar] for bar in rhythm]
    scale = tune.scale_pitches(low, high)
    pitch = scale[len(scale) // 2]
    for bar, root in enumerate(tune.chords):
        beat = float(bar * tune.beats_per_bar)
        if bar % 8 == 7:  # a breath at the end of a phrase
            continue
        for place, length in enumerate(rhythm[bar % 4]):
            if place == 0:
                pitch = min(tune.chord_pitches(root, low, high), key=lambda tone: (abs(tone - pitch), tone))
            else:
                pitch = _stepped(scale, pitch, turns[bar % 4][place])
            score.add(beat, length * 1.05, pitch, 0.56 - 0.05 * place)
            beat += length
        pitch = _stepped(scale, pitch, turns[bar % 4][0])


def _closed(score: Score) -> Score:
    """End on a rolled chord of the tonic, if the piece is to end."""
    tune = score.tune
    if not tune.ends:
        return score
    for place, degree in enumerate((-7, -3, 0, 4, 9)):
        score.add(tune.beats + 0.12 * place, 6.0 - 0.12 * place, tune.pitch(degree), 0.4)
    return score


def _stepped(scale: Sequence[int], pitch: int, steps: int) -> int:
    """Move along a scale; at its ends turn back."""
    place = min(range(len(scale)), key=lambda i: abs(scale[i] - pitch)) + steps
    if not 0 <= place < len(scale):
        place -= 2 * steps
    return scale[place]


def _near(pitch: int, target: int) -> int:
    """Move a pitch by octaves to at most six semitones from a target."""
    return pitch + 12 * round((target - pitch) / 12)


def _pick(chance: random.Random, choices: Sequence[Choice]) -> Choice:
    # From `random()` alone, whose sequence Python promises to keep.
    return choices[int(chance.random() * len(choices))]


def _one_at_a_time(notes: list[Note]) -> list[Note]:
    """Shorten notes that would sound into the next one of their pitch, and drop doubled ones."""
    following: dict[int, int] = {}
    kept: list[Note] = []
    for note in sorted(notes, reverse=True):
        start_ms, end_ms = round(note.start_s * 1000), round(note.end_s * 1000)
        limit_ms = following.get(note.pitch, end_ms)
        if start_ms + 60 <= limit_ms:
            kept.append(Note(note.start_s, note.pitch, min(end_ms, limit_ms - 10) / 1000, note.velocity))
            following[note.pitch] = start_ms
    return sorted(kept)


SONGS = (
    Tune("First Light.mp3", arpeggios, 62, LYDIAN, (0, 0, 1, 1, 5, 4, 0, 0, 3, 1, 5, 4, 0, 0), 66, 11),
    Tune("slow-tide.mp3", slow_chords, 57, AEOLIAN, (0, 5, 2, 6, 0, 3, 5, 4, 0, 5, 2, 0), 52, 23),
    Tune(
        "Paper Lanterns.mp3",
        lullaby,
        67,
        MAJOR,
        (0, 5, 3, 4, 0, 5, 1, 4, 3, 4, 2, 5, 3, 4, 0, 0) * 2,
        108,
        37,
        3,
        MUSIC_BOX,
    ),
    Tune("rain-on-glass.mp3", raindrops, 64, DORIAN, (0, 0, 3, 3, 0, 0, 6, 6, 2, 2, 3, 3, 0, 0), 63, 41),
    Tune("winter_garden.mp3", canon, 65, MAJOR, (0, 4, 5, 2, 3, 0, 3, 4, 0, 4, 5, 2, 3, 0), 60, 59),
    Tune(
        "Night Ferry.mp3",
        swaying,
        60,
        MIXOLYDIAN,
        (0, 6, 3, 0, 0, 6, 4, 0, 3, 3, 6, 6, 0, 6, 3, 0),
        76,
        67,
        4,
        VIBRAPHONE,
    ),
)
PRIMERS = (
    Tune("1.mid", arpeggios, 60, MAJOR, (0, 5, 3, 4), 60, 101, ends=False),
    Tune("2.mid", slow_chords, 62, DORIAN, (0, 3, 0, 6), 54, 102, ends=False),
    Tune("3.mid", lullaby, 65, LYDIAN, (0, 1, 5, 1, 0, 4), 96, 103, 3, ends=False),
    Tune("4.mid", raindrops, 58, MAJOR, (0, 0, 5, 3), 60, 104, ends=False),
    Tune("5.mid", canon, 63, MAJOR, (0, 4, 5, 3, 0), 66, 105, ends=False),
    Tune("6.mid", swaying, 57, AEOLIAN, (0, 5, 3, 0, 6), 72, 106, ends=False),
    Tune("7.mid", arpeggios, 54, MIXOLYDIAN, (0, 6, 3, 0), 72, 107, ends=False),
)


def write_song(tune: Tune, folder: Path) -> Path:
    """Render one song as MP3, in a small room; returns the file."""
    sound = render_notes(tune.texture(tune).played(), find_soundfont(), program=tune.program)
    sound = normalise(add_reverb(sound, rate_hz=SAMPLE_RATE_HZ, amount=0.15, room_s=2.0), rate_hz=SAMPLE_RATE_HZ)
    sound = fade_out(without_silent_end(sound, rate_hz=SAMPLE_RATE_HZ), rate_hz=SAMPLE_RATE_HZ, seconds=1.0)
    path = folder / tune.name
    write_mp3(path, sound, rate_hz=SAMPLE_RATE_HZ, bitrate=BITRATE)
    return path


def write_primer(tune: Tune, folder: Path) -> Path:
    """Write one primer as MIDI; returns the file."""
    path = folder / tune.name
    write_midi(path, tune.texture(tune).played(), program=tune.program)
    return path


def main() -> None:
    """Write all samples anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=SAMPLES, metavar="DIR", help="default: samples/ of this checkout"
    )
    folder = parser.parse_args().output
    for kind, tunes, write in (("midi", PRIMERS, write_primer), ("songs", SONGS, write_song)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for tune in tunes:
            print(write(tune, folder / kind))


if __name__ == "__main__":
    main()
