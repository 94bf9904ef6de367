"""What a note is, and what the sustain pedal does to it: the common currency of every other module.

Conventions: times are seconds from the start of the piece, pitches are MIDI numbers 0-127, velocities 1-127.
Lists of notes are sorted by start, then pitch, then end, then velocity.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

SUSTAIN_CONTROLLER = 64
SUSTAIN_DOWN = 64  # controller values from here up hold the pedal down (MIDI 1.0)


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One sounding note; `start_s < end_s`, pitch 0-127, velocity 1-127."""

    start_s: float
    pitch: int
    end_s: float
    velocity: int


@dataclass(frozen=True, slots=True, order=True)
class PedalEvent:
    """The sustain pedal goes down or up at `time_s`."""

    time_s: float
    down: bool


def cut_at_restrikes(notes: Iterable[Note], *, shortest_s: float = 1e-6) -> list[Note]:
    """End each note at the latest when its pitch starts again, because a key and a MIDI channel cannot hold both.

    Args:
        notes: Any order.
        shortest_s: Notes that are left shorter are dropped; of several that start together on a pitch, the longest
            stays.

    Returns:
        The notes sorted by start, then pitch.
    """
    next_start_s: dict[int, float] = {}
    kept = []
    for note in sorted(notes, key=lambda note: (-note.start_s, note.pitch, -note.end_s)):
        end_s = min(note.end_s, next_start_s.get(note.pitch, note.end_s))
        if end_s - note.start_s >= shortest_s:
            kept.append(replace(note, end_s=end_s))
            next_start_s[note.pitch] = note.start_s
    return sorted(kept)


def apply_sustain(
    notes: Iterable[Note],
    pedals: Iterable[PedalEvent],
    *,
    piece_end_s: float | None = None,
    silences_s: Iterable[float] = (),
) -> list[Note]:
    """Fold the sustain pedal into note ends.

    A note whose key is released while the pedal is down sounds on until the pedal lifts. Striking a pitch while the
    pedal is down ends what already sounds of that pitch. What the pedal still holds at the end of the piece ends there.
    The rules are those of note-seq's `apply_sustain_control_changes`, with one difference: of two pedal events at the
    same time the lift acts first, as a player changes the pedal; note-seq would leave the pedal up.

    Args:
        notes: Notes with key-release ends, any order.
        pedals: Pedal events, any order.
        piece_end_s: End of the piece; the default is the last note or pedal event given.
        silences_s: When everything that sounds, held by the pedal or not, ends at once; the pedal stays as it is.

    Returns:
        As many notes as were given, sorted by start, then pitch.
    """
    played = sorted(notes)
    pressed = sorted(pedals)
    if not played or not pressed:
        return played
    # Kinds in the order they act at equal times: silence, lift, press, strike, release.
    events = [(time_s, 0, -1) for time_s in silences_s]
    events += [(pedal.time_s, 2 if pedal.down else 1, -1) for pedal in pressed]
    events += [(note.start_s, 3, index) for index, note in enumerate(played)]
    events += [(note.end_s, 4, index) for index, note in enumerate(played)]
    last_s = max(piece_end_s or 0.0, *(time_s for time_s, _, _ in events))
    ends_s = [note.end_s for note in played]
    sounding: dict[int, set[int]] = {}  # pitch -> notes that sound, by key or by pedal
    held: set[int] = set()  # notes that only the pedal keeps sounding
    down = False
    for time_s, kind, index in sorted(events):
        if kind == 0:
            for same_pitch in sounding.values():
                for note in same_pitch:
                    ends_s[note] = time_s
                same_pitch.clear()
            held.clear()
            continue
        if kind <= 2:
            down = kind == 2
            if not down:
                for note in held:
                    ends_s[note] = time_s
                    sounding[played[note].pitch].discard(note)
                held.clear()
            continue
        same_pitch = sounding.setdefault(played[index].pitch, set())
        if kind == 3:
            if down:
                for note in [n for n in same_pitch if played[n].start_s < time_s]:
                    ends_s[note] = time_s
                    same_pitch.discard(note)
                    held.discard(note)
            same_pitch.add(index)
        elif index in same_pitch:  # otherwise a later strike has already ended it
            if down:
                held.add(index)
            else:
                same_pitch.discard(index)
    for note in held:
        ends_s[note] = last_s
    return sorted(replace(note, end_s=end_s) for note, end_s in zip(played, ends_s, strict=True))
