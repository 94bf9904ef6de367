"""A piece as a score: bars, two staves, MusicXML, for music in which a beat can be found. The one door to music21.

Notes go to the nearest quarter of a beat, from middle C on into the upper staff. A staff has two voices at most: a note
that would need a third shortens the one that has sounded longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ambient.beat import STEPS, Beat, find_beat
from ambient.errors import InputError
from ambient.notes import Note

SPLIT = 60  # the lowest pitch of the upper staff
_VOICES = 2
_LONGEST_BEATS = 16


@dataclass(slots=True)
class Sounding:
    """Notes of one staff that begin and end together, in steps."""

    begin: int
    end: int
    pitches: list[int]


def write_score(notes: Sequence[Note], target: Path, title: str, source: object) -> Beat:
    """Write a piece as MusicXML.

    Args:
        notes: The piece.
        target: The file to write.
        title: What stands above it.
        source: What the piece is called in an error.

    Raises:
        InputError: it has no beat.
    """
    beat = find_beat(notes)
    if beat is None:
        raise InputError(
            source, "no steady beat", "expected one, to write bars", "Take the MIDI, which has exact times"
        )
    staves = [staff_voices(part, beat) for part in _hands(notes)]
    _engrave(staves, beat, title, target)
    return beat


def _hands(notes: Sequence[Note]) -> tuple[list[Note], list[Note]]:
    return [n for n in notes if n.pitch >= SPLIT], [n for n in notes if n.pitch < SPLIT]


def staff_voices(notes: Sequence[Note], beat: Beat) -> list[list[Sounding]]:
    """Bring the notes of one staff into voices, in each of which one thing ends before the next begins."""
    struck: dict[tuple[int, int], set[int]] = {}
    for note in notes:
        begin = beat.step(note.start_s)
        end = min(max(begin + 1, beat.step(note.end_s)), begin + _LONGEST_BEATS * STEPS)
        struck.setdefault((begin, end), set()).add(note.pitch)
    voices: list[list[Sounding]] = [[] for _ in range(_VOICES)]
    for (begin, end), pitches in sorted(struck.items()):
        free = next((voice for voice in voices if not voice or voice[-1].end <= begin), None)
        if free is None:
            free = min(voices, key=lambda voice: voice[-1].begin)
            if free[-1].begin == begin:  # all of them have just begun: one chord
                free[-1].pitches = sorted({*free[-1].pitches, *pitches})
                continue
            free[-1].end = begin
        free.append(Sounding(begin, end, sorted(pitches)))
    for voice in voices:
        for each, after in pairwise(voice):
            if after.begin - each.end == 1:  # let go a moment before the next is struck: a rest there is not meant
                each.end = after.begin
    return [voice for voice in voices if voice]


def bars_of(voice: Sequence[Sounding], bar: int, count: int) -> list[list[tuple[int, int, list[int], str]]]:
    """Cut a voice at the bar lines: (first step in the bar, steps, pitches, tie) of each bar; no pitches for a rest.

    Args:
        voice: What sounds, in order.
        bar: Steps in a bar.
        count: Bars.
    """
    bars: list[list[tuple[int, int, list[int], str]]] = [[] for _ in range(count)]
    at = 0
    for each in [*voice, Sounding(count * bar, count * bar, [])]:
        for begin, end, pitches in ((at, each.begin, list[int]()), (each.begin, each.end, each.pitches)):
            cut = begin
            while cut < end:
                last = min(end, (cut // bar + 1) * bar)
                tie = {(True, True): "", (True, False): "start", (False, True): "stop", (False, False): "continue"}
                bars[cut // bar].append((cut % bar, last - cut, pitches, tie[cut == begin, last == end]))
                cut = last
        at = each.end
    return bars


def _engrave(staves: Sequence[list[list[Sounding]]], beat: Beat, title: str, target: Path) -> None:
    from music21 import clef, key, layout, metadata, meter, stream, tempo

    steps = beat.bar * STEPS
    last = max((each.end for staff in staves for voice in staff for each in voice), default=1)
    count = -(-last // steps)
    score = stream.Score()
    score.metadata = metadata.Metadata(title=title, composer="Ambient music generation")
    tonality = _key([p for staff in staves for voice in staff for each in voice for p in each.pitches])
    parts: list[Any] = []
    for staff, sign in zip(staves, (clef.TrebleClef, clef.BassClef), strict=True):
        part = stream.PartStaff()
        cut = [bars_of(voice, steps, count) for voice in staff or [[]]]
        for number in range(count):
            measure = stream.Measure(number=number + 1)
            if number == 0:
                measure.append([sign(), key.KeySignature(tonality), meter.TimeSignature(f"{beat.bar}/4")])
                if not parts:
                    measure.insert(0, tempo.MetronomeMark(number=round(beat.per_minute)))
            heard = [bars[number] for bars in cut if any(pitches for _, _, pitches, _ in bars[number])] or [
                cut[0][number]
            ]
            for index, voice in enumerate(heard, 1):
                holder = stream.Voice(id=str(index)) if len(heard) > 1 else measure
                for begin, length, pitches, tie in voice:
                    holder.insert(begin / STEPS, _element(pitches, length / STEPS, tie, tonality))
                if holder is not measure:
                    measure.insert(0, holder)
            part.append(measure)
        parts.append(part)
        score.insert(0, part)
    score.insert(0, layout.StaffGroup(parts, symbol="brace"))
    score.write("musicxml", fp=str(target))


def _element(pitches: Sequence[int], beats: float, tie: str, sharps: int) -> Any:
    from music21 import chord, note
    from music21 import tie as ties

    if not pitches:
        return note.Rest(quarterLength=beats)
    spelled = [_spelled(each, sharps) for each in pitches]
    element = note.Note(spelled[0]) if len(spelled) == 1 else chord.Chord(spelled)
    element.quarterLength = beats
    if tie:
        element.tie = ties.Tie(tie)
    return element


def _spelled(number: int, sharps: int) -> Any:
    from music21 import pitch

    spelled = pitch.Pitch(midi=number)
    if sharps < 0 and spelled.accidental is not None and spelled.accidental.alter == 1:
        return spelled.getEnharmonic()
    return spelled


def _key(pitches: Sequence[int]) -> int:
    """Return the sharps (flats below 0) of the major scale that holds most of the notes."""
    scale = (0, 2, 4, 5, 7, 9, 11)
    fits = {sharps: sum((p - 7 * sharps) % 12 in scale for p in pitches) for sharps in range(-6, 6)}
    return max(fits, key=lambda sharps: (fits[sharps], -abs(sharps)))
