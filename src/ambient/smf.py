"""Read Standard MIDI Files as players do, odd and damaged ones too, with a few words on what was odd; write them.

Conventions: the format is that of Standard MIDI Files 1.0 (MIDI Association, RP-001). Where files break it, what is
there is read by the rule that most players follow, and the oddity is counted; nothing is dropped without a word.
Times are seconds from the start. Channels are numbered across ports: port 1 has the channels 16 to 31.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from ambient.errors import InputError
from ambient.names import AUDIO_SUFFIXES
from ambient.smf_track import BREAKS_OFF, Track, read_track

DEFAULT_TEMPO_US = 500_000  # microseconds a quarter note, 120 BPM, until a file says otherwise
FALLBACK_DIVISION = 480  # ticks a quarter note, where a header says 0
FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30_000 / 1_001, 30: 30.0}  # SMPTE; 29 stands for 29.97 with dropped frames
LONGEST_PREFIX = 1_024  # bytes before the header that are skipped; MacBinary puts 128 there
HEADER_BYTES = 14

# Time in seconds, channel with its port, kind of message, first and second data byte (or 0). A plain tuple, because a
# file has tens of thousands.
Message = tuple[float, int, int, int, int]


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


def parse_smf(data: bytes, *, source: object) -> StandardMidiFile:
    """Read the bytes of a Standard MIDI File, alone or wrapped in RIFF (`.rmi`).

    Args:
        data: The whole file.
        source: Names the file in messages.

    Raises:
        InputError: there is no MIDI header, no track, or the file holds several songs (format 2).
    """
    merged = Track()
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


def _add_tracks(data: bytes, count: int, merged: Track) -> int:
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


def _track_chunk(data: bytes, at: int) -> tuple[Track, int]:
    """Read one track; return it and where the next chunk starts, whatever the length of this one says."""
    start, end = at + 8, at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    if end == len(data) or _is_chunk(data, end):
        track = read_track(data, start, end)
        if track.ended and track.stopped_at < end:
            track.odd["bytes after the end of a track"] += 1
        return track, end
    # The length is wrong, the file breaks off, or something else follows the last track.
    limit = _next_track(data, start)
    track = read_track(data, start, limit)
    if track.ended and track.stopped_at == end:
        return track, end
    if track.ended or limit < len(data):
        track.odd["wrong length of a track"] += 1
    else:
        track.odd[BREAKS_OFF] = 1
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


def _timed(merged: Track, division: int) -> StandardMidiFile:
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
    # Each part of one tempo: first tick, its time, ticks a second.
    parts = [(0, 0.0, ticks_a_second)]
    for tick, tempo in tempos:
        first, time_s, rate = parts[-1]
        parts.append((tick, time_s + (tick - first) / rate, division * 1e6 / tempo))

    events = sorted(merged.events, key=itemgetter(0))
    messages: list[Message] = []
    done = 0
    ends = [tick for tick, _, _ in parts[1:]] + [merged.last_tick + 1]
    for (first, time_s, rate), following in zip(parts, ends, strict=True):
        end = bisect_left(events, following, lo=done, key=itemgetter(0))
        messages += [
            (time_s + (tick - first) / rate, channel, kind, a, b) for tick, channel, kind, a, b in events[done:end]
        ]
        done = end
    texts = [text for _, text in sorted(merged.texts, key=itemgetter(0))]
    warnings = [f"{what} ({count})" if count > 1 else what for what, count in sorted(merged.odd.items())]
    first, time_s, rate = parts[-1]  # every tempo change stands before the last event or is it
    return StandardMidiFile(messages, texts, time_s + (merged.last_tick - first) / rate, warnings)


def tracks_to_smf(tracks: Sequence[bytes], *, division: int) -> bytes:
    """Return a Standard MIDI File of format 1 with these track chunks; `division` is ticks a quarter note."""
    header = b"".join(number.to_bytes(2, "big") for number in (1, len(tracks), division))
    return b"MThd" + len(header).to_bytes(4, "big") + header + b"".join(tracks)


def _unreadable(source: object, reason: str) -> InputError:
    is_recording = Path(str(source)).suffix.lower() in AUDIO_SUFFIXES
    remedy = "Turn it into notes first: to_wav, then transcribe" if is_recording else "Export it again"
    return InputError(source, f"not readable as MIDI ({reason})", "expected a standard MIDI file", remedy)
