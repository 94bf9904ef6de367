"""What every transcriber gives, whichever library is behind it, and how a MIDI file says it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ambient.notes import Note
from ambient.transcribers.tuning import Tuning

_TRANSCRIBER = "transcriber: "
_CONFIDENCE = "confidence: "
_NOTE_CONFIDENCES = "note confidences, percent: "
_NOTABLE_DRIFT_CENTS = 5


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was heard in a recording.

    Attributes:
        notes: Sorted by start, then pitch.
        confidence: 0-1, how sure the transcriber is of the notes on average; 0 without notes, None if it does not say.
        seconds: Length of what was read.
        level: Largest absolute sample, 0-1, clicks aside; 0 is silence, perhaps with dither.
        missing_seconds: How much shorter the file is than its header says.
        tuning: How sharp the recording was and was corrected for; None if nothing was corrected.
        confidences: Of each note, 0-1; None if the transcriber does not say.
    """

    notes: list[Note]
    confidence: float | None
    seconds: float
    level: float
    missing_seconds: float
    tuning: Tuning | None = None
    confidences: tuple[float, ...] | None = None


class Transcriber(Protocol):
    """Something that hears notes."""

    @property
    def name(self) -> str:
        """What hears, and which version of it: `onsets-and-frames 0123456789abcdef`, `transkun 2.0.1`."""
        ...

    def transcribe(self, path: Path | str, *, scratch: Path | None = None) -> Transcription:
        """Transcribe a 16 kHz WAV file; temporary files, if any, lie in the scratch folder.

        Raises:
            InputError: the file is not a 16 kHz WAV file.
        """
        ...


def provenance_to_texts(name: str, heard: Transcription) -> list[str]:
    """Return the text events of a transcription's MIDI file.

    `texts_to_confidence` and `texts_to_note_confidences` read them.
    """
    texts = [f"{_TRANSCRIBER}{name}"]
    if heard.confidence is not None:
        texts.append(f"{_CONFIDENCE}{heard.confidence:.4f}")
    if heard.tuning is not None:
        texts.append(f"tuning: {tuning_to_text(heard.tuning)}")
    if heard.confidences:
        texts.append(_NOTE_CONFIDENCES + " ".join(f"{100 * value:.0f}" for value in heard.confidences))
    return texts


def is_transcription(texts: Iterable[str]) -> bool:
    """Say whether the text events of a MIDI file name a transcriber: its notes were heard, not played."""
    return any(text.startswith(_TRANSCRIBER) for text in texts)


def tuning_to_text(tuning: Tuning) -> str:
    """Say a tuning in cents, and between which it drifts if it does so by more than a few."""
    drift = tuning.highest_cents - tuning.lowest_cents
    between = f" ({tuning.lowest_cents:+.0f} to {tuning.highest_cents:+.0f})" if drift > _NOTABLE_DRIFT_CENTS else ""
    return f"{tuning.mean_cents:+.0f} cents{between}"


def texts_to_confidence(texts: Iterable[str]) -> float | None:
    """Return how sure the transcriber of a MIDI file was, 0-1; None if no text event says so."""
    for text in texts:
        if text.startswith(_CONFIDENCE):
            try:
                return float(text.removeprefix(_CONFIDENCE))
            except ValueError:
                return None
    return None


def texts_to_note_confidences(texts: Iterable[str], notes: int) -> list[float] | None:
    """Return how sure the transcriber of a MIDI file was of each note, sorted by start, then pitch.

    Args:
        texts: Of the file.
        notes: How many notes it has.

    Returns:
        0-1, to the hundredth; None if no text event says so, or says so of another number of notes.
    """
    for text in texts:
        if text.startswith(_NOTE_CONFIDENCES):
            try:
                values = [int(word) / 100 for word in text.removeprefix(_NOTE_CONFIDENCES).split()]
            except ValueError:
                return None
            return values if len(values) == notes else None
    return None
