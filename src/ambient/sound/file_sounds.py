"""Play a MIDI file on the sounds it asks for itself: programs, volumes, bends and percussion of each channel.

The piece is played in parts of some seconds of starts each, every part from the state that its channels are in at that
moment until its last note has died away. So memory does not grow with the piece, and what stands in the file hours
after the music costs nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ambient.midi import ChannelEvents, sustained
from ambient.notes import Note
from ambient.sound.soundfont import at_rate, render_midi_bytes
from ambient.sound.voices import BLOCK, fitted_pitch, register_of

_PART_S = 12.0
_RELEASE_S = 2.5
_LONGEST_NOTE_S = 120.0
_TICKS_PER_QUARTER = 500  # at 120 BPM a tick is a millisecond
_HEARD = (0, 1, 7, 10, 11, 32, 91, 93)  # banks, modulation, volume, pan, expression, reverb and chorus
_ALL = (0, 1, 2)


def prepared_channels(
    channels: Iterable[ChannelEvents], *, begin_s: float, transpose: int = 0, slower: float = 1.0
) -> list[ChannelEvents]:
    """Return the channels with the pedal folded into their notes, moved and stretched.

    Args:
        channels: As they were read.
        begin_s: What becomes time 0; messages before it act there.
        transpose: Semitones, not for percussion; what would leave 0-127 is moved by octaves.
        slower: Factor of all times.
    """

    def moved(time_s: float) -> float:
        return max(time_s - begin_s, 0.0) * slower

    result = []
    channels = list(channels)
    end_s = max((note.end_s for events in channels for note in events.notes), default=0.0)
    for events in channels:
        played = events.notes if events.is_drums else sustained(events, end_s)
        notes = []
        for note in played:
            pitch = note.pitch if events.is_drums else fitted_pitch(note.pitch + transpose, (0, 127))
            start_s = moved(note.start_s)
            notes.append(Note(start_s, pitch, min(moved(note.end_s), start_s + _LONGEST_NOTE_S), note.velocity))
        result.append(
            replace(
                events,
                notes=sorted(notes),
                controls=[(moved(t), c, v) for t, c, v in events.controls if c in _HEARD],
                programs=[(moved(t), program) for t, program in events.programs],
                bends=[(moved(t), bend) for t, bend in events.bends],
            )
        )
    return result


class FileSoundsPlayer:
    """Plays prepared channels block by block.

    Args:
        channels: As `prepared_channels` gives them; ports are played one after another and added.
        soundfont: An SF2 file.
        rate_hz: Sample rate.
        registers: Which of the three registers play; all of them are played at once, as the middle one.
    """

    def __init__(
        self,
        channels: Sequence[ChannelEvents],
        soundfont: Path,
        *,
        rate_hz: int,
        registers: tuple[int, ...] = _ALL,
    ) -> None:
        self._channels, self._soundfont, self._rate_hz = channels, soundfont, rate_hz
        self._register = 1 if registers == _ALL else registers[0]
        self._notes = sorted(
            (note, index)
            for index, events in enumerate(channels)
            for note in events.notes
            if register_of(note.pitch) in registers
        )
        self._next = 0
        self._parts: list[tuple[int, np.ndarray]] = []  # first sample, [2, samples]
        self.end = int((max((note.end_s for note, _ in self._notes), default=0.0) + _RELEASE_S) * rate_hz)

    def add(self, block: np.ndarray, first: int) -> None:
        """Add what sounds from sample `first` on to [3, 2, BLOCK]; blocks are asked for in order."""
        stop = first + BLOCK
        while self._next < len(self._notes) and self._notes[self._next][0].start_s * self._rate_hz < stop:
            self._play_part()
        for begin, sound in self._parts:
            low, high = max(first, begin), min(stop, begin + sound.shape[1])
            if low < high:
                block[self._register, :, low - first : high - first] += sound[:, low - begin : high - begin]
        self._parts = [(begin, sound) for begin, sound in self._parts if begin + sound.shape[1] > stop]

    def _play_part(self) -> None:
        begin = self._next
        start = round(self._notes[begin][0].start_s * self._rate_hz)
        start_s = start / self._rate_hz
        while self._next < len(self._notes) and self._notes[self._next][0].start_s < start_s + _PART_S:
            self._next += 1
        part = self._notes[begin : self._next]
        for port in sorted({self._channels[index].port for _, index in part}):
            events = [(note, index) for note, index in part if self._channels[index].port == port]
            sound = render_midi_bytes(_midi_file(self._channels, events, start_s), self._soundfont)
            self._parts.append((start, at_rate(sound, self._rate_hz)))


def _midi_file(channels: Sequence[ChannelEvents], notes: list[tuple[Note, int]], start_s: float) -> bytes:
    """Write the notes, and the messages that shape them, as a MIDI file that begins at `start_s`."""
    end_s = max(note.end_s for note, _ in notes) + _RELEASE_S
    messages: list[tuple[int, int, bytes]] = []  # tick, order at one time, bytes

    def add(time_s: float, order: int, message: bytes) -> None:
        messages.append((max(0, round(1000 * (time_s - start_s))), order, message))

    for index in sorted({index for _, index in notes}):
        events, number = channels[index], channels[index].channel
        state = [(t, bytes([0xB0 | number, c, v]), c) for t, c, v in events.controls]
        state += [(t, bytes([0xC0 | number, program]), -1) for t, program in events.programs]
        state += [(t, bytes([0xE0 | number, (bend + 8192) & 127, (bend + 8192) >> 7]), -2) for t, bend in events.bends]
        before = {key: message for t, message, key in sorted(state, key=lambda entry: entry[0]) if t <= start_s}
        for key in sorted(before, key=lambda key: (key == -1, key)):  # the bank counts with the program after it
            add(start_s, 0, before[key])
        for time_s, message, _ in state:
            if start_s < time_s < end_s:
                add(time_s, 1, message)
    for note, index in notes:
        number = channels[index].channel
        add(note.start_s, 3, bytes([0x90 | number, note.pitch, note.velocity]))
        add(note.end_s, 2, bytes([0x80 | number, note.pitch, 64]))
    add(end_s, 4, bytes([0xFF, 0x2F, 0]))
    track, now = bytearray(), 0
    for tick, _, message in sorted(messages, key=lambda entry: entry[:2]):
        track += _variable_length(tick - now) + message
        now = tick
    header = b"MThd" + (6).to_bytes(4, "big") + b"\0\0\0\1" + _TICKS_PER_QUARTER.to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def _variable_length(value: int) -> bytes:
    parts = [value & 127]
    while value := value >> 7:
        parts.append(value & 127 | 128)
    return bytes(reversed(parts))
