"""Composing and comparing in a process of their own: notes go out as lines of JSON while they are drawn.

python3 -m ambient.studio.worker compose --inputs primer.mid --minutes 2 --save_path piece.mid (flags of `generate`)
python3 -m ambient.studio.worker match piece.mid MODEL_FOLDER
"""

import json
import sys
from pathlib import Path
from typing import Any


def main(argv: list[str]) -> int:
    """Run one of the two programs; returns its exit code."""
    kind, *rest = argv
    if kind == "compose":
        return _compose(rest)
    return _match(*map(Path, rest))


def _compose(flags: list[str]) -> int:
    from ambient.program import run_program
    from ambient.stages import generate

    def hear(seed: int, start_s: float, end_s: float, pitch: int, velocity: int) -> None:
        _say({"seed": seed, "note": [round(start_s, 3), pitch, round(end_s, 3), velocity]})

    return run_program(generate.build_parser(), lambda arguments: generate.run(arguments, hear), flags)


def _match(piece: Path, model: Path) -> int:
    from ambient.music_transformer.memorisation import TrainingNotes
    from ambient.studio.services.notes import read_music, rows

    notes = read_music(piece, piece.name).notes
    heard = TrainingNotes.load(model)
    match = heard.longest_match(notes) if heard else None
    if heard is None or match is None:
        _say({"match": None})
        return 0
    here = [n for n in notes if match.at_s - 2 <= n.start_s <= match.at_s + match.seconds + 2]
    there = _source_notes(heard, match.source, match.source_at_s - 2, match.source_at_s + match.seconds * 2 + 2)
    names = ("notes", "seconds", "at_s", "source", "source_at_s", "transposed")
    _say({"match": {name: getattr(match, name) for name in names}, "here": rows(here), "there": rows(there)})
    return 0


def _source_notes(heard: Any, name: str, begin_s: float, end_s: float) -> list[Any]:
    from ambient.music_transformer.fields import fields_to_notes

    fields, _ = heard.pieces()[heard.names.index(name)]
    return [note for note in fields_to_notes(fields) if begin_s <= note.start_s <= end_s]


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
