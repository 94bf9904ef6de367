"""Read and write MIDI files as notes: the one door to pretty_midi."""

import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pretty_midi

from ambient.errors import InputError
from ambient.notes import SUSTAIN_CONTROLLER, SUSTAIN_DOWN, Note, PedalEvent, apply_sustain

TEMPO_BPM = 120.0
TICKS_PER_QUARTER = 480  # about 1 ms at 120 BPM, ten times finer than the 10 ms token grid


@dataclass(frozen=True, slots=True)
class MidiPiece:
    """What a MIDI file holds that we use.

    Attributes:
        notes: Notes with the pedal folded in, drums left out, sorted by start, then pitch.
        drum_notes: How many percussion notes were left out.
        texts: Text events, in time order.
    """

    notes: list[Note]
    drum_notes: int
    texts: list[str]


def read_midi(path: Path | str) -> MidiPiece:
    """Read a MIDI file, all instruments merged, each instrument's own sustain pedal folded into its notes.

    Raises:
        InputError: the file cannot be read as MIDI.
    """
    try:
        with warnings.catch_warnings():
            # Tempo changes outside the first track are common and read well enough; the warning helps nobody.
            warnings.simplefilter("ignore", RuntimeWarning)
            midi = pretty_midi.PrettyMIDI(io.BytesIO(Path(path).read_bytes()))
    except OSError as error:
        if isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError):
            raise InputError(path, error.strerror or "unreadable", "expected a MIDI file", "Check the path") from error
        raise _not_midi(path, error) from error
    except Exception as error:
        # mido and pretty_midi let whatever went wrong inside them escape on damaged files, in classes of their own too.
        raise _not_midi(path, error) from error
    notes: list[Note] = []
    drum_notes = 0
    end_s = float(midi.get_end_time())
    for instrument in midi.instruments:
        if instrument.is_drum:
            drum_notes += len(instrument.notes)
            continue
        played = [Note(float(n.start), n.pitch, float(n.end), n.velocity) for n in instrument.notes if n.end > n.start]
        pedals = [
            PedalEvent(float(c.time), c.value >= SUSTAIN_DOWN)
            for c in instrument.control_changes
            if c.number == SUSTAIN_CONTROLLER
        ]
        notes.extend(apply_sustain(played, pedals, piece_end_s=end_s))
    texts = [event.text for event in sorted(midi.text_events, key=lambda e: e.time)]
    return MidiPiece(sorted(notes), drum_notes, texts)


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
    midi = pretty_midi.PrettyMIDI(resolution=TICKS_PER_QUARTER, initial_tempo=TEMPO_BPM)
    instrument = pretty_midi.Instrument(program=program)
    for note in sorted(notes):
        instrument.notes.append(pretty_midi.Note(note.velocity, note.pitch, note.start_s, note.end_s))
    for time_s, number, value in controls:
        instrument.control_changes.append(pretty_midi.ControlChange(number, value, time_s))
    midi.instruments.append(instrument)
    midi.text_events.extend(pretty_midi.Text(text, 0.0) for text in texts)
    midi.write(str(path))


def _not_midi(path: Path | str, error: Exception) -> InputError:
    reason = str(error) or ("it ends too early" if isinstance(error, EOFError) else type(error).__name__)
    return InputError(path, f"not readable as MIDI ({reason})", "expected a standard MIDI file", "Export it again")
