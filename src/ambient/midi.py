"""Read MIDI files as the notes that are heard, and write notes as MIDI: what every stage that touches MIDI uses.

Conventions: a MIDI receiver knows channels, not tracks, so whatever a channel message does (pedal, program, volume, all
notes off) it does to its channel in every track; ports (meta event 0x21) have sixteen channels each. Of messages at
one time, those that end notes act before those that start them. Channel 10 is percussion.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from ambient.errors import InputError
from ambient.notes import SUSTAIN_CONTROLLER, SUSTAIN_DOWN, Note, PedalEvent, apply_sustain
from ambient.smf import Message, parse_smf, tracks_to_smf
from ambient.smf_track import (
    CONTROL_CHANGE,
    NOTE_OFF,
    NOTE_ON,
    PITCH_BEND,
    PROGRAM_CHANGE,
    tempo_event,
    text_event,
    track_to_bytes,
)

TEMPO_US = 500_000  # microseconds a quarter note, 120 BPM
TICKS_PER_QUARTER = 480  # about 1 ms at 120 BPM, ten times finer than the 10 ms token grid

LONGEST_GAP_S = 12 * 3600.0  # notes after a longer one are no part of the music
LONGEST_RELEASE_S = 60.0  # a pedal that lifts later than this after the last note holds nothing: no string sounds on
STRAY_S = 600.0  # an event so long after the music is named
SHORTEST_HIT_S = 0.1  # percussion of no length sounds all the same

FAMILIES = (  # of eight General MIDI programs each
    *("Piano", "Chromatic percussion", "Organ", "Guitar", "Bass", "Strings", "Ensemble", "Brass", "Reed", "Pipe"),
    *("Synth lead", "Synth pad", "Synth effects", "Ethnic", "Percussive", "Sound effects"),
)

_DRUM_CHANNEL = 9  # counted from 0
_ALL_SOUND_OFF, _RESET_CONTROLLERS, _ALL_NOTES_OFF = 120, 121, 123  # 124 to 127 change the mode and end all notes too


@dataclass(frozen=True, slots=True)
class ChannelEvents:
    """What one channel of one port plays, for a renderer that plays the file's own sounds.

    Attributes:
        port: 0 unless the file says otherwise.
        channel: 0-15; 9 is percussion.
        notes: As the keys are held, without the pedal, sorted; those of no length are left out, but not of percussion.
        controls: Control changes `(time_s, controller, value)` in order, up to the end of the music; the pedal too.
        programs: Program changes `(time_s, program)`, likewise.
        bends: Pitch bends `(time_s, value)`, likewise, -8192 to 8191.
    """

    port: int
    channel: int
    notes: list[Note] = field(default_factory=list)
    controls: list[tuple[float, int, int]] = field(default_factory=list)
    programs: list[tuple[float, int]] = field(default_factory=list)
    bends: list[tuple[float, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it plays: the family of its first General MIDI program."""
        return "Drums" if self.is_drums else FAMILIES[self.programs[0][1] // 8 if self.programs else 0]

    @property
    def is_drums(self) -> bool:
        """Whether it is General MIDI's percussion channel."""
        return self.channel == _DRUM_CHANNEL


@dataclass(frozen=True, slots=True)
class MidiPiece:
    """What a MIDI file holds that we use.

    Attributes:
        notes: Notes with the pedal folded in, drums left out, sorted by start, then pitch.
        drum_notes: How many percussion notes were left out.
        texts: Text events, in time order.
        zero_length_notes: How many notes were left out because they end where they start.
        hanging_notes: How many of the notes have no end in the file; they end with the music.
        stray_notes: How many notes were left out because they start hours after the music.
        channels: What each channel plays, percussion too, in the order of ports and channels.
        seconds: Length of the music: the last end of a note, percussion too, whatever other events stand after it.
        warnings: What was odd in the file, in a few words each.
    """

    notes: list[Note]
    drum_notes: int
    texts: list[str]
    zero_length_notes: int = 0
    hanging_notes: int = 0
    stray_notes: int = 0
    channels: list[ChannelEvents] = field(default_factory=list)
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Keys:
    """Which keys are down, and what was counted on the way."""

    channels: dict[int, ChannelEvents] = field(default_factory=dict)
    down: dict[int, dict[int, list[tuple[float, int]]]] = field(default_factory=dict)  # channel, pitch: start, velocity
    first_s: float = 0.0
    end_s: float = 0.0  # the last note event so far
    struck: int = 0
    zero_length: int = 0
    hanging: int = 0
    stray: int = 0


def read_midi(path: Path | str) -> MidiPiece:
    """Read a MIDI file: its notes with the pedal of their channel folded in, and what each channel plays.

    Raises:
        InputError: the file cannot be read, is no MIDI, or holds several songs.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(path, error.strerror or "unreadable", "expected a MIDI file", "Check the path") from error
    return smf_to_piece(data, source=path)


def smf_to_piece(data: bytes, *, source: object) -> MidiPiece:
    """Read the bytes of a MIDI file; `source` names it in messages.

    Raises:
        InputError: it is no MIDI, or holds several songs.
    """
    smf = parse_smf(data, source=source)
    keys = _press_keys(smf.messages)
    _release_hanging(keys)
    channels = [keys.channels[number] for number in sorted(keys.channels)]
    notes: list[Note] = []
    for events in channels:
        events.notes.sort()
        if not events.is_drums:
            notes += sustained(events, keys.end_s)
    notes.sort()
    drums = [note for events in channels if events.is_drums for note in events.notes]
    seconds = max((note.end_s for part in (notes, drums) for note in part), default=0.0)
    for events in channels:
        for timed in (events.controls, events.programs, events.bends):
            del timed[bisect_right(timed, seconds, key=itemgetter(0)) :]
    return MidiPiece(
        notes,
        len(drums),
        smf.texts,
        keys.zero_length,
        keys.hanging,
        keys.stray,
        channels,
        seconds,
        [*smf.warnings, *_absurd_times(keys, seconds, smf.end_s)],
    )


def write_midi(
    path: Path | str,
    notes: Iterable[Note],
    *,
    program: int = 0,
    texts: Sequence[str] = (),
    controls: Sequence[tuple[float, int, int]] = (),
) -> None:
    """Write notes as a one-instrument MIDI file at 120 BPM; the same notes give the same bytes.

    Args:
        path: The file to write.
        notes: Any order; an empty list gives a valid file without notes.
        program: General MIDI program 0-127 (0 is the acoustic grand piano, 89 the warm pad).
        texts: Text events at time 0, for instance how the piece was made.
        controls: Control changes `(time_s, controller, value)`.
    """
    events = ChannelEvents(0, 0, sorted(notes), list(controls), [(0.0, program)])
    Path(path).write_bytes(channels_to_smf([events], texts=texts))


def channels_to_smf(channels: Iterable[ChannelEvents], *, texts: Sequence[str] = ()) -> bytes:
    """Return a MIDI file at 120 BPM that plays these channels of one port, each in a track with a name.

    Args:
        channels: As `read_midi` gives them; the port is not written.
        texts: Text events at time 0.
    """
    about = track_to_bytes("", [(0, tempo_event(TEMPO_US)), *((0, text_event(text)) for text in texts)])
    tracks = [track_to_bytes(events.name, _ticks(events)) for events in channels]
    return tracks_to_smf([about, *tracks], division=TICKS_PER_QUARTER)


def _ticks(events: ChannelEvents) -> list[tuple[int, bytes]]:
    """Return the events of a channel by tick; of one tick, ends of notes come first, starts last."""
    ordered: list[tuple[int, int, bytes]] = []
    for note in events.notes:
        start = _tick(note.start_s)
        ordered.append((start, 3, bytes((NOTE_ON | events.channel, note.pitch, note.velocity))))
        ordered.append((max(start + 1, _tick(note.end_s)), 0, bytes((NOTE_OFF | events.channel, note.pitch, 64))))
    for time_s, controller, value in events.controls:
        ordered.append((_tick(time_s), 1, bytes((CONTROL_CHANGE | events.channel, controller, value))))
    for time_s, program in events.programs:  # after the controls, among which may be that of the bank
        ordered.append((_tick(time_s), 2, bytes((PROGRAM_CHANGE | events.channel, program))))
    for time_s, value in events.bends:
        ordered.append((_tick(time_s), 2, bytes((PITCH_BEND | events.channel, value + 8192 & 127, value + 8192 >> 7))))
    ordered.sort(key=itemgetter(0, 1))
    return [(tick, event) for tick, _, event in ordered]


def _tick(time_s: float) -> int:
    return round(time_s * TICKS_PER_QUARTER * 1e6 / TEMPO_US)


def _press_keys(messages: Iterable[Message]) -> _Keys:
    """Follow the keys of every channel; of one pitch, the key that went down first comes up first."""
    keys = _Keys()
    events, down = ChannelEvents(0, 0), {}
    current = -1
    for time_s, number, kind, first, second in messages:
        if number != current:
            current = number
            events = keys.channels.setdefault(number, ChannelEvents(*divmod(number, 16)))
            down = keys.down.setdefault(number, {})
        if kind == NOTE_ON and second:
            if time_s - keys.end_s > LONGEST_GAP_S and keys.struck:
                keys.stray += 1
                continue
            if not keys.struck:
                keys.first_s = time_s
            keys.end_s = time_s
            keys.struck += 1
            down.setdefault(first, []).append((time_s, second))
        elif kind in (NOTE_ON, NOTE_OFF):
            if down.get(first) and time_s - keys.end_s <= LONGEST_GAP_S:
                keys.end_s = time_s
                _release(keys, events, first, *down[first].pop(0), time_s)
        elif kind == CONTROL_CHANGE:
            events.controls.append((time_s, first, second))
            if first == _ALL_SOUND_OFF or first >= _ALL_NOTES_OFF:
                for pitch, struck in down.items():
                    while struck and struck[0][0] < time_s:
                        _release(keys, events, pitch, *struck.pop(0), time_s)
        elif kind == PROGRAM_CHANGE:
            events.programs.append((time_s, first))
        elif kind == PITCH_BEND:
            events.bends.append((time_s, (second << 7 | first) - 8192))
    return keys


def _release(keys: _Keys, events: ChannelEvents, pitch: int, start_s: float, velocity: int, end_s: float) -> None:
    if end_s > start_s:
        events.notes.append(Note(start_s, pitch, end_s, velocity))
    elif events.is_drums:
        events.notes.append(Note(start_s, pitch, start_s + SHORTEST_HIT_S, velocity))
    else:
        keys.zero_length += 1


def _release_hanging(keys: _Keys) -> None:
    """Let the keys that never came up come up with the last note event."""
    for number, down in keys.down.items():
        events = keys.channels[number]
        for pitch, struck in down.items():
            for start_s, velocity in struck:
                keys.hanging += keys.end_s > start_s and not events.is_drums
                _release(keys, events, pitch, start_s, velocity, keys.end_s)


def sustained(events: ChannelEvents, music_end_s: float) -> list[Note]:
    """Return the notes of a channel with its pedal folded in.

    Args:
        events: What the channel plays.
        music_end_s: Where what the pedal still holds ends: the last end of a note of any channel.
    """
    pedals, silences_s = [], []
    for time_s, controller, value in events.controls:
        if time_s > music_end_s + LONGEST_RELEASE_S:
            break
        if controller == SUSTAIN_CONTROLLER:
            pedals.append(PedalEvent(time_s, value >= SUSTAIN_DOWN))
        elif controller == _RESET_CONTROLLERS:
            pedals.append(PedalEvent(time_s, False))
        elif controller == _ALL_SOUND_OFF:
            silences_s.append(time_s)
    return apply_sustain(events.notes, pedals, piece_end_s=music_end_s, silences_s=silences_s)


def _absurd_times(keys: _Keys, music_end_s: float, file_end_s: float) -> list[str]:
    """Name what stands so far from the music that it can hardly be meant."""
    found = []
    if keys.first_s > LONGEST_GAP_S:
        found.append(f"its first note stands {_duration(keys.first_s)} after its beginning")
    if keys.stray:
        found.append(f"notes more than {_duration(LONGEST_GAP_S)} after the music, left out ({keys.stray})")
    elif keys.struck and file_end_s > music_end_s + STRAY_S:
        found.append(f"an event {_duration(file_end_s - music_end_s)} after the music, left out of its length")
    return found


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 2 * 3600 else f"{seconds / 60:.0f} minutes"
