"""Read and write the events of one track of a Standard MIDI File.

Conventions: times are in ticks from the start, and channels are numbered across ports: port 1 has the channels 16 to
31. Of what breaks the format (MIDI Association, RP-001), what is there is read and counted under a few words.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

NOTE_OFF, NOTE_ON, CONTROL_CHANGE, PITCH_BEND = 0x80, 0x90, 0xB0, 0xE0
PROGRAM_CHANGE, CHANNEL_PRESSURE = 0xC0, 0xD0  # the two with one data byte
BREAKS_OFF = "a track breaks off"

_META, _TEXT, _NAME, _PORT, _END_OF_TRACK, _TEMPO = 0xFF, 0x01, 0x03, 0x21, 0x2F, 0x51
_TIME_SIGNATURE, _KEY_SIGNATURE, _SEQUENCER_SPECIFIC = 0x58, 0x59, 0x7F
_NO_EVENT = "bytes that belong to no event"
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # system messages, which no file should hold; the others have none
_LONGEST_DELTA = 0x0FFFFFFF  # four bytes of seven bits

# Time in ticks, channel with its port, kind of message, first and second data byte (or 0).
Event = tuple[int, int, int, int, int]


@dataclass(slots=True)
class Track:
    """What one track says, or several together.

    Attributes:
        events: Channel messages.
        tempos: Ticks, and microseconds a quarter note from there on.
        texts: Ticks and text events.
        odd: What was odd, and how often.
        last_tick: Of the last event of any kind.
        port: Of the events that follow.
        stopped_at: Where in the file the last whole event ends.
        ended: Whether that is an end-of-track event.
    """

    events: list[Event] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    odd: Counter[str] = field(default_factory=Counter)
    last_tick: int = 0
    port: int = 0
    stopped_at: int = 0
    ended: bool = False

    def add(self, track: "Track") -> None:
        """Take in what another track says."""
        self.events += track.events
        self.tempos += track.tempos
        self.texts += track.texts
        self.odd += track.odd
        self.last_tick = max(self.last_tick, track.last_tick)


def read_track(data: bytes, start: int, end: int) -> Track:
    """Read the events between two places of a file, or up to an end-of-track event."""
    track = Track()
    part = data[start:end]
    at = done = tick = status = kind = channel = 0
    append = track.events.append
    try:
        while at < len(part):
            delta, at = (part[at], at + 1) if part[at] < 0x80 else _variable_length(part, at)
            tick += delta
            byte = part[at]
            if byte >= 0xF0:  # the running status outlives these, as in most players
                at = _system_event(part, at, tick, track)
                channel = track.port * 16 + (status & 15)
                done = at
                if track.ended:
                    break
                continue
            if byte >= 0x80:
                status, kind, channel = byte, byte & 0xF0, track.port * 16 + (byte & 15)
                at += 1
            elif not status:
                track.odd[_NO_EVENT] += 1
                at += 1
                continue
            first = part[at]
            at += 1
            second = 0
            if kind != PROGRAM_CHANGE and kind != CHANNEL_PRESSURE:
                second = part[at]
                at += 1
            if (first | second) & 0x80:  # a value that is too large means the largest; a number has no larger one
                track.odd["data bytes above 127"] += 1
                first, second = first & 127, min(second, 127)
            append((tick, channel, kind, first, second))
            done = at
    except IndexError:
        track.odd[BREAKS_OFF] += 1
    timed = (track.events, track.tempos, track.texts)
    track.last_tick = tick if track.ended else max(items[-1][0] if items else 0 for items in timed)
    track.stopped_at = start + done
    return track


def _system_event(part: bytes, at: int, tick: int, track: Track) -> int:
    """Read a meta event, a system exclusive or another system message; return where it ends."""
    status = part[at]
    at += 1
    if status not in (_META, 0xF0, 0xF7):
        track.odd[_NO_EVENT] += 1
        return at + _SYSTEM_DATA_BYTES.get(status, 0)
    kind = -1
    if status == _META:
        kind = part[at]
        at += 1
    length, at = _variable_length(part, at)
    content = part[at : at + length]
    if len(content) < length:
        raise IndexError
    if kind == _TEXT:
        track.texts.append((tick, _decoded(content)))
    elif kind == _TEMPO:
        tempo = int.from_bytes(content[:3], "big")
        if length >= 3 and tempo:
            track.tempos.append((tick, tempo))
        else:
            track.odd["tempo changes that say none"] += 1
    elif kind == _PORT and content:
        track.port = content[0] & 127
    elif (kind == _TIME_SIGNATURE and length < 4) or (kind == _KEY_SIGNATURE and not _is_key(content)):
        track.odd["odd time or key signatures"] += 1
    track.ended = kind == _END_OF_TRACK
    return at + length


def _variable_length(part: bytes, at: int) -> tuple[int, int]:
    """Read a variable-length quantity; return it and where it ends. Of too long a one the last four bytes count."""
    value = 0
    while True:
        byte = part[at]
        at += 1
        value = (value << 7 | byte & 127) & _LONGEST_DELTA
        if byte < 0x80:
            return value, at


def _is_key(content: bytes) -> bool:
    return len(content) >= 2 and -7 <= int.from_bytes(content[:1], "big", signed=True) <= 7 and content[1] <= 1


def _decoded(content: bytes) -> str:
    """Read a text: UTF-8 as we write it, else Latin-1, which any bytes are."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def track_to_bytes(name: str, events: Iterable[tuple[int, bytes]]) -> bytes:
    """Write a track chunk.

    Args:
        name: Its name; empty for none.
        events: Ticks, not falling, and the whole event.
    """
    content = bytearray()
    last = 0
    for tick, event in [*([(0, meta_event(_NAME, name.encode()))] if name else []), *events]:
        while tick - last > _LONGEST_DELTA:  # an event without a meaning in between
            last += _LONGEST_DELTA
            content += _quantity(_LONGEST_DELTA) + meta_event(_SEQUENCER_SPECIFIC, b"")
        content += _quantity(tick - last) + event
        last = tick
    content += b"\0" + meta_event(_END_OF_TRACK, b"")
    return b"MTrk" + len(content).to_bytes(4, "big") + bytes(content)


def tempo_event(microseconds: int) -> bytes:
    """Return the event that sets the length of a quarter note."""
    return meta_event(_TEMPO, microseconds.to_bytes(3, "big"))


def text_event(text: str) -> bytes:
    """Return a text event; `read_track` gives the text back."""
    return meta_event(_TEXT, text.encode("utf-8", "backslashreplace"))


def meta_event(kind: int, content: bytes) -> bytes:
    """Return a meta event."""
    return bytes((_META, kind)) + _quantity(len(content)) + content


def _quantity(number: int) -> bytes:
    """Return a variable-length quantity: seven bits a byte, the most significant first."""
    digits = [number & 127]
    while number := number >> 7:
        digits.insert(0, number & 127 | 128)
    return bytes(digits)
