"""MIDI to performance tokens: one TFRecord file a piece, and a record of what was left out and why."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambient.names import MIDI_SUFFIXES
from ambient.program import files_below, for_each_file, log_warnings, number, run_program, written_atomically

if TYPE_CHECKING:
    from ambient.music_transformer.records import TokenRecord

REPORT_SUFFIX = ".report.json"
LOWEST_PIANO_PITCH, HIGHEST_PIANO_PITCH = 21, 108


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this stage."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.preprocess", description=__doc__)
    parser.add_argument("input", type=Path, help="folder of MIDI files, searched to any depth")
    parser.add_argument("output", type=Path, help="folder for NAME.tfrecord and NAME.report.json")
    parser.add_argument(
        "--min_confidence",
        type=number(float, least=0, most=1),
        default=0.0,
        help="0-1, leave out transcriptions that are less sure than this by their text event (default: none)",
    )
    parser.add_argument(
        "--min_note_confidence",
        type=number(float, least=0, most=1),
        default=0.0,
        help="0-1, leave out notes of which a transcriber is less sure than this (default: none)",
    )
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Turn every MIDI file below the input folder into tokens; folders below it are kept."""
    from ambient.music_transformer.records import SUFFIX, write_record

    def process(path: Path) -> str:
        confidence = _confidence_of(path) if arguments.min_confidence > 0 else None
        if confidence is not None and confidence < arguments.min_confidence:
            return f"left out: confidence {confidence:.2f} is below --min_confidence {arguments.min_confidence:g}"
        relative = path.relative_to(arguments.input)
        record, report = piece_to_record(
            path, source=relative.as_posix(), min_note_confidence=arguments.min_note_confidence
        )
        log_warnings(path, report["warnings"])
        # Only the usual suffix goes, so that song.mid and song.midi stay two pieces.
        target = arguments.output / relative.with_name(relative.name.removesuffix(".mid"))
        with written_atomically(target.with_name(target.name + REPORT_SUFFIX)) as partial:
            partial.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
        with written_atomically(target.with_name(target.name + SUFFIX)) as partial:
            write_record(partial, record)
        return f"{report['notes']} notes, {report['tokens']} tokens, {report['seconds']} s{_counted(report)}"

    for_each_file(files_below(arguments.input, MIDI_SUFFIXES), process)


def piece_to_record(
    path: Path, *, source: str, min_note_confidence: float = 0.0
) -> tuple["TokenRecord", dict[str, Any]]:
    """Read one MIDI file as tokens.

    Args:
        path: The file.
        source: What the record names it.
        min_note_confidence: 0-1, leave out notes that are less sure by the file's text event; without one all stay.

    Returns:
        The tokens, and a report: notes, tokens, seconds, source, digest, which notes were dropped and why, which were
        kept though they are odd, and what else was odd in the file.

    Raises:
        InputError: not a MIDI file, or no notes in it that are sure enough.
    """
    from ambient.errors import InputError
    from ambient.midi import read_midi
    from ambient.music_transformer.records import make_record
    from ambient.music_transformer.tokens import notes_to_tokens, tokens_to_notes
    from ambient.transcribers.transcription import is_transcription, texts_to_note_confidences

    piece = read_midi(path)
    dropped = {
        "drum_notes": piece.drum_notes,
        "zero_length_notes": piece.zero_length_notes,
        "stray_notes": piece.stray_notes,
    }
    if not piece.notes:
        said = "; ".join([*([f"left out: {_listed(dropped)}"] if any(dropped.values()) else []), *piece.warnings])
        found = f"0 notes ({said})" if said else "0 notes"
        raise InputError(path, found, "needs at least 1", "Is the recording silent?")
    confidences = texts_to_note_confidences(piece.texts, len(piece.notes)) or [1.0] * len(piece.notes)
    sure = [note for note, value in zip(piece.notes, confidences, strict=True) if value >= min_note_confidence]
    if not sure:
        found = f"all {len(piece.notes)} notes are less sure than {min_note_confidence:g}"
        raise InputError(path, found, "needs at least 1", "Give a lower --min_note_confidence")
    record = make_record(notes_to_tokens(sure), source=source, heard=is_transcription(piece.texts))
    kept = tokens_to_notes(record.tokens)
    dropped["unsure_notes"] = len(piece.notes) - len(sure)
    dropped["unreadable_notes"] = len(sure) - len(kept.notes)
    outside = sum(not LOWEST_PIANO_PITCH <= note.pitch <= HIGHEST_PIANO_PITCH for note in piece.notes)
    odd = {"hanging_notes": piece.hanging_notes, "notes_outside_the_piano": outside}
    report = {
        "source": source,
        "digest": record.digest,
        "notes": len(kept.notes),
        "tokens": int(record.tokens.size),
        "seconds": round(record.seconds, 2),
        "dropped": {reason: count for reason, count in dropped.items() if count},
        "kept": {reason: count for reason, count in odd.items() if count},
        "warnings": piece.warnings,
    }
    return record, report


def _confidence_of(path: Path) -> float | None:
    from ambient.midi import read_midi
    from ambient.transcribers.transcription import texts_to_confidence

    return texts_to_confidence(read_midi(path).texts)


def _counted(report: dict[str, Any]) -> str:
    words = {"dropped": "left out", "kept": "kept"}
    return "".join(f"; {word}: {_listed(report[what])}" for what, word in words.items() if report[what])


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in counts.items() if count)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
