"""What the studio does in processes of their own. Answers and notes go out as lines of JSON.

python3 -m ambient.studio.worker compose --inputs primer.mid --minutes 2 --save_path piece.mid   the flags of `generate`
python3 -m ambient.studio.worker match piece.mid MODEL_FOLDER                          the nearest training music
python3 -m ambient.studio.worker faithfulness MODEL_FOLDER PRIMER.mid ...              is it like its primers?
python3 -m ambient.studio.worker score piece.mid out.musicxml TITLE                    bars and staves
python3 -m ambient.studio.worker listen sound.mp3 out.json                             loudness and spectrum
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ambient.errors import InputError


def main(argv: list[str]) -> int:
    """Run one of the programs; returns its exit code."""
    kind, *rest = argv
    if kind == "compose":
        return _compose(rest)
    programs: dict[str, Callable[..., None]]
    programs = {"match": _match, "faithfulness": _faithfulness, "score": _score, "listen": _listen}
    try:
        programs[kind](*rest)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _compose(flags: list[str]) -> int:
    from ambient.program import run_program
    from ambient.stages import generate

    def hear(seed: int, start_s: float, end_s: float, pitch: int, velocity: int) -> None:
        _say({"seed": seed, "note": [round(start_s, 3), pitch, round(end_s, 3), velocity]})

    return run_program(generate.build_parser(), lambda arguments: generate.run(arguments, hear), flags)


def _match(midi: str, model: str) -> None:
    from ambient.music_transformer.memorisation import TrainingNotes
    from ambient.studio.services.notes import read_music, rows

    piece = Path(midi)
    notes = read_music(piece, piece.name).notes
    heard = TrainingNotes.load(Path(model))
    match = heard.longest_match(notes) if heard else None
    if heard is None or match is None:
        _say({"match": None})
        return
    here = [n for n in notes if match.at_s - 2 <= n.start_s <= match.at_s + match.seconds + 2]
    there = _source_notes(heard, match.source, match.source_at_s - 2, match.source_at_s + match.seconds * 2 + 2)
    names = ("notes", "seconds", "at_s", "source", "source_at_s", "transposed")
    _say({"match": {name: getattr(match, name) for name in names}, "here": rows(here), "there": rows(there)})


def _source_notes(heard: Any, name: str, begin_s: float, end_s: float) -> list[Any]:
    from ambient.music_transformer.fields import fields_to_notes

    fields, _ = heard.pieces()[heard.names.index(name)]
    return [note for note in fields_to_notes(fields) if begin_s <= note.start_s <= end_s]


def _faithfulness(model: str, *primers: str) -> None:
    from ambient.studio.services.faithfulness import faithfulness

    _say(faithfulness(Path(model), [Path(each) for each in primers]))


def _score(midi: str, target: str, title: str) -> None:
    from ambient.studio.services.notes import read_music
    from ambient.studio.services.score import write_score

    write_score(read_music(Path(midi), title).notes, Path(target), title, title)


def _listen(sound: str, target: str) -> None:
    from ambient.studio.services.listening import listen

    Path(target).write_text(json.dumps(listen(Path(sound))), encoding="utf-8")


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
