"""Read Standard MIDI Files as players do, odd and damaged ones too, and say in a few words what was odd.

Conventions: the format is that of Standard MIDI Files 1.0 (MIDI Association, RP-001). Where files break it, what is
there is read by the rule that most players follow, and the oddity is counted; nothing is dropped without a word.
Times are seconds from the start. Channels are numbered across ports: port 1 has the channels 16 to 31.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter

from ambient.errors import InputError

NOTE_OFF, NOTE_ON, CONTROL_CHANGE, PITCH_BEND = 0x80, 0x90, 0xB0, 0xE0
PROGRAM_CHANGE, CHANNEL_PRESSURE = 0xC0, 0xD0  # the two with one data byte
HEADER_BYTES = 14
DEFAULT_TEMPO_US = 500_000  # microseconds a quarter note, 120 BPM, until a file says otherwise
FALLBACK_DIVISION = 480  # ticks a quarter note, where a header says 0
FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30_000 / 1_001, 30: 30.0}  # SMPTE; 29 stands for 29.97 with dropped frames
LONGEST_PREFIX = 1_024  # bytes before the header that are skipped; MacBinary puts 128 there

_TEXT, _PORT, _END_OF_TRACK, _TEMPO, _TIME_SIGNATURE, _KEY_SIGNATURE = 0x01, 0x21, 0x2F, 0x51, 0x58, 0x59
_BREAKS_OFF, _NO_EVENT = "a track breaks off", "bytes that belong to no event"
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # system messages, which no file should hold; the others have none

# Time in seconds, channel with its port, kind of message, first and second data byte (or 0). A plain tuple, because a
# file has tens of thousands.
Message = tuple[float, int, int, int, int]
_Event = tuple[int, int, int, int, int]  # the same with ticks in place of seconds


@dataclass(frozen=True, slots=True)
class StandardMidiFile:
    """What a Standard MIDI File says, its tracks merged.

    Attributes:
        messages: Channel messages in time order; of one time, those of an earlier track come first.
        texts: Text events, in time order.
        end_s: Time of the last event of any kind.
        warnings: What was odd, in a few words each.
    """

    messages: list[Message]
    texts: list[str]
    end_s: float
    warnings: list[str]


@dataclass(slots=True)
class _Track:
    """What one track says, and later all of them; times are in ticks."""

    events: list[_Event] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    odd: Counter[str] = field(default_factory=Counter)
    last_tick: int = 0
    port: int = 0  # of the events that follow
    stopped_at: int = 0  # where in the file its last event ends
    ended: bool = False  # by its own end-of-track event

    def add(self, track: "_Track") -> None:
        """Take in what another track says."""
        self.events += track.events
        self.tempos += track.tempos
        self.texts += track.texts
        self.odd += track.odd
        self.last_tick = max(self.last_tick, track.last_tick)


def parse_smf(data: bytes, *, source: object) -> StandardMidiFile:
    """Read the bytes of a Standard MIDI File, alone or wrapped in RIFF (`.rmi`).

    Args:
        data: The whole file.
        source: Names the file in messages.

    Raises:
        InputError: there is no MIDI header, no track, or the file holds several songs (format 2).
    """
    merged = _Track()
    data = _unwrapped(data, source, merged.odd)
    if len(data) < HEADER_BYTES:
        raise _unreadable(source, "it breaks off in its header")
    kind, count, division = (int.from_bytes(data[at : at + 2], "big") for at in (8, 10, 12))
    found = _add_tracks(data, count, merged)
    if kind == 2 and found > 1:
        raise InputError(
            source,
            f"holds {found} separate songs (MIDI format 2)",
            "expected one piece of music",
            "Save each of them as a file of its own",
        )
    if count and not found:
        raise _unreadable(source, "no track in it")
    if found != count:
        merged.odd[f"{found} of {count} tracks" if found < count else f"{found} tracks, not {count}"] += 1
    if kind > 2:
        merged.odd[f"unknown MIDI format {kind}, read as format 1"] += 1
    return _timed(merged, division)


def _unwrapped(data: bytes, source: object, odd: Counter[str]) -> bytes:
    """Return the file from its header on."""
    if not data:
        raise _unreadable(source, "it is empty")
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        start = data.find(b"MThd")
        if start < 0:
            raise _unreadable(source, "no MIDI in its RIFF file")
        size = int.from_bytes(data[start - 4 : start], "little")
        return data[start : start + size] if data[start - 8 : start - 4] == b"data" else data[start:]
    start = data.find(b"MThd", 0, LONGEST_PREFIX + 4)
    if start < 0:
        if data[HEADER_BYTES : HEADER_BYTES + 4] != b"MTrk":
            raise _unreadable(source, "no MIDI header in it")
        odd["damaged header"] += 1  # its name alone: a track stands where it must
        return data
    if start:
        odd[f"{start} bytes before its header"] += 1
    return data[start:]


def _add_tracks(data: bytes, count: int, merged: _Track) -> int:
    """Read every track chunk; return how many there are."""
    found = 0
    at = 8 + int.from_bytes(data[4:8], "big")
    if not _is_chunk(data, at):
        at = HEADER_BYTES
    while at < len(data):
        if _is_track(data, at):
            track, at = _track_chunk(data, at)
            merged.add(track)
            found += 1
        elif _is_chunk(data, at):  # unknown ones are skipped, as the standard asks
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        else:  # what follows the last track is nobody's concern
            if found < count:
                merged.odd["bytes between its tracks that belong to none"] += 1
            at = _next_track(data, at)
    return found


def _track_chunk(data: bytes, at: int) -> tuple[_Track, int]:
    """Read one track; return it and where the next chunk starts, whatever the length of this one says."""
    start, end = at + 8, at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    if end == len(data) or _is_chunk(data, end):
        track = _read_track(data, start, end)
        if track.ended and track.stopped_at < end:
            track.odd["bytes after the end of a track"] += 1
        return track, end
    # The length is wrong, the file breaks off, or something else follows the last track.
    limit = _next_track(data, start)
    track = _read_track(data, start, limit)
    if track.ended and track.stopped_at == end:
        return track, end
    if track.ended or limit < len(data):
        track.odd["wrong length of a track"] += 1
    else:
        track.odd[_BREAKS_OFF] = 1
    return track, limit


def _is_chunk(data: bytes, at: int) -> bool:
    """Tell whether a chunk starts here: four letters or digits, and a length that the file has."""
    end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    return end <= len(data) and data[at : at + 4].replace(b" ", b"_").replace(b"_", b"0").isalnum()


def _is_track(data: bytes, at: int) -> bool:
    """Tell whether a track starts here, one byte of its name may be damaged."""
    name = data[at : at + 4]
    return name == b"MTrk" or (sum(a == b for a, b in zip(name, b"MTrk", strict=False)) == 3 and _is_chunk(data, at))


def _next_track(data: bytes, at: int) -> int:
    following = data.find(b"MTrk", at)
    return following if following >= 0 else len(data)


def _read_track(data: bytes, start: int, end: int) -> _Track:
    """Read the events of one track, up to its end-of-track event or the end of the bytes."""
    track = _Track()
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
        track.odd[_BREAKS_OFF] += 1
    timed = (track.events, track.tempos, track.texts)
    track.last_tick = tick if track.ended else max(items[-1][0] if items else 0 for items in timed)
    track.stopped_at = start + done
    return track


def _system_event(part: bytes, at: int, tick: int, track: _Track) -> int:
    """Read a meta event, a system exclusive or another system message; return where it ends."""
    status = part[at]
    at += 1
    if status not in (0xFF, 0xF0, 0xF7):
        track.odd[_NO_EVENT] += 1
        return at + _SYSTEM_DATA_BYTES.get(status, 0)
    kind = -1
    if status == 0xFF:
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
        value = (value << 7 | byte & 127) & 0x0FFFFFFF
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


def _timed(merged: _Track, division: int) -> StandardMidiFile:
    """Turn ticks into seconds; tempo changes count whichever track they stand in."""
    tempos = sorted(merged.tempos, key=itemgetter(0))
    if division & 0x8000:  # SMPTE: ticks are parts of a frame, whatever the tempo
        frames, ticks = 256 - (division >> 8), division & 255
        if frames not in FRAME_RATES:
            merged.odd[f"unknown rate of {frames} frames a second"] += 1
        ticks_a_second = FRAME_RATES.get(frames, float(frames)) * ticks
        tempos = []
    else:
        ticks_a_second = division * 1e6 / DEFAULT_TEMPO_US
    if not ticks_a_second:
        merged.odd[f"division of 0, read as {FALLBACK_DIVISION} ticks a quarter note"] += 1
        division = FALLBACK_DIVISION
        ticks_a_second = division * 1e6 / DEFAULT_TEMPO_US
    # Each part of one tempo: first tick, its time, length of a tick.
    parts = [(0, 0.0, 1 / ticks_a_second)]
    for tick, tempo in tempos:
        first, time_s, tick_s = parts[-1]
        parts.append((tick, time_s + (tick - first) * tick_s, tempo * 1e-6 / division))

    events = sorted(merged.events, key=itemgetter(0))
    messages: list[Message] = []
    done = 0
    ends = [tick for tick, _, _ in parts[1:]] + [merged.last_tick + 1]
    for (first, time_s, tick_s), following in zip(parts, ends, strict=True):
        end = bisect_left(events, following, lo=done, key=itemgetter(0))
        messages += [
            (time_s + (tick - first) * tick_s, channel, kind, a, b) for tick, channel, kind, a, b in events[done:end]
        ]
        done = end
    texts = [text for _, text in sorted(merged.texts, key=itemgetter(0))]
    warnings = [f"{what} ({count})" if count > 1 else what for what, count in sorted(merged.odd.items())]
    first, time_s, tick_s = parts[-1]  # every tempo change stands before the last event or is it
    return StandardMidiFile(messages, texts, time_s + (merged.last_tick - first) * tick_s, warnings)


def _unreadable(source: object, reason: str) -> InputError:
    return InputError(source, f"not readable as MIDI ({reason})", "expected a standard MIDI file", "Export it again")
