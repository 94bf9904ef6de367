import json
import os

import mido
import pytest

from ambient.midi import read_midi, write_midi
from ambient.model_folder import load_config, load_weights, save_model_folder
from ambient.music_transformer.config import KIND
from ambient.music_transformer.fields import notes_to_fields
from ambient.music_transformer.memorisation import TrainingNotes
from ambient.music_transformer.tokens import notes_to_tokens
from ambient.notes import Note
from ambient.piece_settings import texts_to_primer
from ambient.stages import generate

PRIMER = [Note(i * 0.5, 60 + i % 5, i * 0.5 + 0.4, 65) for i in range(12)]


@pytest.fixture
def model_folder(tiny_composer):
    return tiny_composer


@pytest.fixture
def seeds(pfs):
    """Two primers of one base name in two folders."""
    write_midi(pfs / "in" / "calm.mid", PRIMER)
    (pfs / "in" / "b").mkdir()
    write_midi(pfs / "in" / "b" / "calm.mid", PRIMER[:5])
    return pfs / "in"


@pytest.fixture
def compose(model_folder, capsys):
    """Run the stage in this process; returns exit code and what it said."""

    def run(*arguments):
        code = generate.main(["--load_path", str(model_folder), "--length", "80", *map(str, arguments)])
        said = capsys.readouterr()
        assert said.out == ""
        return code, said.err

    return run


def made_by(path):
    text = read_midi(path).texts[0]
    return json.loads(text.removeprefix("ambient-music-generation "))


def test_each_primer_gives_a_piece_named_like_it(run_stage, pfs, seeds, model_folder, contents):
    before = contents(seeds)
    out = pfs / "out"
    command = ["--load_path", model_folder, "--inputs", seeds, "--length", "80", "--save_path", out]
    done = run_stage("generate", *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert sorted(contents(out)) == ["b/calm.mid", "calm.mid"]
    assert contents(seeds) == before
    first = contents(out)
    assert run_stage("generate", *command).returncode == 0
    assert contents(out) == first


def test_a_piece_carries_its_primer(compose, pfs, seeds):
    assert compose("--inputs", seeds / "calm.mid", "--save_path", pfs / "out" / "song.mid")[0] == 0
    primer = texts_to_primer(read_midi(pfs / "out" / "song.mid").texts)
    assert [(note.start_s, note.pitch, note.end_s) for note in primer] == [
        (note.start_s, note.pitch, pytest.approx(note.end_s)) for note in PRIMER
    ]


def test_a_piece_without_a_primer_or_that_begins_with_it_carries_none(compose, pfs, seeds):
    for flags in ([], ["--inputs", seeds / "calm.mid", "--keep_primer"]):
        assert compose(*flags, "--save_path", pfs / "out" / "song.mid")[0] == 0
        assert len(read_midi(pfs / "out" / "song.mid").texts) == 1


def test_a_piece_says_what_the_songs_of_its_model_s_last_training_are_like(compose, model_folder, pfs, seeds):
    base = [
        (f"base-{i}.mid", notes_to_fields([Note(0.0, 30, 9.0, 64), Note(9.0, 30, 18.0, 64)]), False) for i in range(3)
    ]
    songs = [
        (f"{pitch}.mid", notes_to_fields([Note(i * 0.5, pitch, i * 0.5 + 0.4, 65) for i in range(5)]), False)
        for pitch in (60, 64)
    ]
    TrainingNotes.of([*base, *songs]).save(model_folder)
    (model_folder / "training.json").write_text(json.dumps({"data": {"songs": 2}}))
    compose("--inputs", seeds / "calm.mid", "--save_path", pfs / "out" / "song.mid")
    assert made_by(pfs / "out" / "song.mid")["model_songs"] == {
        "pitch": [60.4, 63.6],
        "notes_per_second": [2.5, 2.5],
        "note_s": [0.4, 0.4],
        "polyphony": [1.0, 1.0],
    }


def test_random_weights_give_a_piece_that_any_midi_reader_takes(compose, pfs, seeds):
    assert compose("--inputs", seeds / "calm.mid", "--save_path", pfs / "out" / "song.mid")[0] == 0
    sounding = set()
    for message in mido.MidiFile(pfs / "out" / "song.mid"):
        if message.type == "note_on" and message.velocity:
            assert message.note not in sounding
            sounding.add(message.note)
        elif message.type in ("note_off", "note_on"):
            sounding.remove(message.note)
    assert not sounding


def test_primers_that_differ_in_their_suffix_alone_give_two_pieces(compose, pfs, contents):
    for index, name in enumerate(("song.mid", "song.midi", "song.MID")):
        write_midi(pfs / "in" / name, PRIMER[index:])
    assert compose("--inputs", pfs / "in", "--save_path", pfs / "out")[0] == 0
    assert sorted(contents(pfs / "out")) == ["song.MID.mid", "song.mid", "song.midi.mid"]


def test_a_file_as_input_and_a_folder_to_save_in_names_the_piece_like_the_primer(compose, pfs, seeds):
    assert compose("--inputs", seeds / "calm.mid", "--save_path", pfs / "out")[0] == 0
    assert (pfs / "out" / "calm.mid").exists()


def test_a_primer_is_never_overwritten(compose, pfs, seeds, contents):
    before = contents(seeds)
    for inputs, save_path in ((seeds, seeds), (seeds / "calm.mid", seeds), (seeds / "calm.mid", seeds / "calm.mid")):
        code, said = compose("--inputs", inputs, "--save_path", save_path)
        assert code == 1
        assert f"error: {seeds / 'calm.mid'}: would be overwritten" in said
    assert contents(seeds) == before


def test_no_primer_composes_from_nothing(compose, pfs):
    code, said = compose("--save_path", pfs / "out" / "song.mid")
    assert code == 0
    assert said.startswith("from nothing: ")
    assert read_midi(pfs / "out" / "song.mid").notes


def test_seeds_decide_and_the_midi_tells_how_it_was_made(compose, pfs, seeds, model_folder):
    out = pfs / "out"
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        compose("--inputs", seeds / "calm.mid", "--save_path", out / f"{name}.mid", "--seed", seed, "--top_k", 9)
    assert (out / "a.mid").read_bytes() == (out / "b.mid").read_bytes() != (out / "c.mid").read_bytes()
    told = made_by(out / "c.mid")
    assert (told["seed"], told["length"], told["top_k"], told["primer"]) == (2, 80, 9, "calm.mid")
    assert len(told["model"]) == len(told["primer_digest"]) == 16


def test_the_primer_is_kept_only_when_asked(compose, pfs, seeds):
    for name, flags in (("new", []), ("all", ["--keep_primer"])):
        compose("--inputs", seeds / "calm.mid", "--save_path", pfs / "out" / f"{name}.mid", *flags)
    new, everything = (read_midi(pfs / "out" / f"{name}.mid").notes for name in ("new", "all"))
    assert len(everything) == len(new) + len(PRIMER)
    assert max(note.start_s for note in PRIMER) == everything[len(PRIMER) - 1].start_s
    assert [note.pitch for note in everything[: len(PRIMER)]] == [note.pitch for note in PRIMER]
    assert new[0].start_s == 0


def test_temperature_zero_ignores_the_random_seed(compose, pfs, seeds):
    for seed in (1, 2):
        flags = ["--seed", seed, "--temperature", 0]
        compose("--inputs", seeds / "calm.mid", "--save_path", pfs / "out" / f"{seed}.mid", *flags)
    one, two = (read_midi(pfs / "out" / f"{seed}.mid").notes for seed in (1, 2))
    assert one == two


def test_beam_search_composes_too(compose, pfs, seeds):
    assert compose("--inputs", seeds / "calm.mid", "--save_path", pfs / "out" / "x.mid", "--beam", 3)[0] == 0
    assert made_by(pfs / "out" / "x.mid")["beam"] == 3


def test_every_description_can_be_turned_and_the_midi_tells_how(compose, pfs):
    turned = {"density": 90, "register": 10, "polyphony": 30, "loudness": 75.5, "note_length": 50}
    flags = [word for name, value in turned.items() for word in (f"--{name}", value)]
    assert compose("--save_path", pfs / "out" / "x.mid", *flags)[0] == 0
    told = made_by(pfs / "out" / "x.mid")
    assert {name: told[name] for name in turned} == {
        "density": "90",
        "register": "10",
        "polyphony": "30",
        "loudness": "75.5",
        "note_length": "50",
    }


def test_a_description_may_follow_a_curve_and_without_a_name_it_is_the_density(compose, pfs):
    flags = ["--shape", "0:20 4:70, 8:10", "--shape", "register 0:5 2:95"]
    assert compose("--save_path", pfs / "out" / "x.mid", *flags)[0] == 0
    told = made_by(pfs / "out" / "x.mid")
    assert (told["density"], told["register"]) == ("0:20 4:70 8:10", "0:5 2:95")
    assert "polyphony" not in told


def test_what_is_wished_changes_the_music(compose, pfs):
    for name, flags in (("plain", []), ("dense", ["--density", 95]), ("curve", ["--shape", "0:5 0.1:95"])):
        assert compose("--save_path", pfs / "out" / f"{name}.mid", *flags)[0] == 0
    plain, dense, curve = (read_midi(pfs / "out" / f"{name}.mid").notes for name in ("plain", "dense", "curve"))
    assert plain != dense != curve != plain


def test_a_length_is_about_so_many_performance_events(compose, pfs):
    assert compose("--save_path", pfs / "out" / "x.mid", "--length", 1200, "--open_end")[0] == 0
    assert len(notes_to_tokens(read_midi(pfs / "out" / "x.mid").notes)) == pytest.approx(1200, rel=0.1)


def test_minutes_of_new_music_come_as_asked_for(compose, model_folder, pfs):
    target = pfs / "out" / "x.mid"
    flags = ["--load_path", str(model_folder), "--minutes", "0.5", "--open_end", "--save_path", str(target)]
    assert generate.main(flags) == 0
    starts = [note.start_s for note in read_midi(target).notes]
    assert starts[-2] < 30 <= starts[-1] + 0.01


def test_a_piece_comes_to_an_end_unless_it_is_to_stop_at_its_length(model_folder, pfs):
    ended, stopped = pfs / "out" / "ended.mid", pfs / "out" / "stopped.mid"
    flags = ["--load_path", str(model_folder), "--minutes", "1", "--save_path"]
    assert generate.main([*flags, str(ended)]) == 0
    assert generate.main([*flags, str(stopped), "--open_end"]) == 0
    with_end, without = read_midi(ended).notes, read_midi(stopped).notes
    slow_s = without[-1].start_s - 10  # 5 s to look back and 5 s to slow down
    before = [(note.start_s, note.pitch) for note in without if note.start_s < slow_s]
    assert [(note.start_s, note.pitch) for note in with_end[: len(before)]] == before
    last = with_end[-1]
    assert 55 - 0.1 < last.start_s < 62
    assert last.end_s - last.start_s > 2.99
    assert max(note.end_s for note in with_end) == last.end_s
    assert made_by(ended)["open_end"] is False
    assert made_by(stopped)["open_end"] is True


@pytest.mark.parametrize("old", [["--note_end_rate", 0.3], ["--max_seq", 2048], ["--mode", "dec"]])
def test_flags_of_earlier_commands_are_taken_and_change_nothing(compose, pfs, old):
    for name, flags in (("with", old), ("without", [])):
        assert compose("--save_path", pfs / "out" / f"{name}.mid", *flags)[0] == 0
    assert (pfs / "out" / "with.mid").read_bytes() == (pfs / "out" / "without.mid").read_bytes()


def test_karaoke_and_other_midi_files_of_a_folder_are_primers_too(compose, pfs, contents):
    for name in ("song.kar", "other.RMI", "notes.txt"):
        write_midi(pfs / "in" / name, PRIMER)
    assert compose("--inputs", pfs / "in", "--save_path", pfs / "out")[0] == 0
    assert sorted(contents(pfs / "out")) == ["other.RMI.mid", "song.kar.mid"]


def test_a_primer_that_fades_out_is_left_where_it_still_was_music_and_it_says_so(compose, pfs):
    music = [Note(i / 4, 60 + i % 7, i / 4 + 0.2, 81) for i in range(240)]
    fade = [Note(61 + 4 * i, 50, 62 + 4 * i, 81) for i in range(5)]
    write_midi(pfs / "in" / "fading.mid", [*music, *fade])
    arguments = ["--inputs", pfs / "in" / "fading.mid", "--save_path", pfs / "out" / "x.mid", "--keep_primer"]
    code, said = compose(*arguments)
    assert code == 0
    assert "fading.mid: fades out; goes on from its note 241 of 245" in said
    notes = read_midi(pfs / "out" / "x.mid").notes
    assert [note.pitch for note in notes[:240]] == [60 + i % 7 for i in range(240)]
    write_midi(pfs / "in" / "even.mid", music)
    code, said = compose("--inputs", pfs / "in" / "even.mid", "--save_path", pfs / "out" / "y.mid")
    assert (code, "fades out" in said) == (0, False)


def test_a_transcribed_primer_is_told_from_a_played_one(compose, pfs):
    for name, texts in (("played", []), ("heard", ["transcriber: onsets-and-frames", "confidence: 0.9000"])):
        write_midi(pfs / "in" / f"{name}.mid", PRIMER, texts=texts)
        assert compose("--inputs", pfs / "in" / f"{name}.mid", "--save_path", pfs / "out" / f"{name}.mid")[0] == 0
    played, heard = (read_midi(pfs / "out" / f"{name}.mid").notes for name in ("played", "heard"))
    assert played != heard


def test_the_program_is_written(compose, pfs):
    compose("--save_path", pfs / "out" / "pad.mid", "--program", 89)
    programs = [m.program for m in mido.MidiFile(pfs / "out" / "pad.mid") if m.type == "program_change"]
    assert programs == [89]


@pytest.mark.parametrize(
    "bad",
    [
        ["--length", "0"],
        ["--program", "128"],
        ["--beam", "0"],
        ["--seed", "-1"],
        ["--temperature", "-1"],
        ["--temperature", "inf"],
        ["--top_p", "3"],
        ["--top_p", "0"],
        ["--top_k", "-2"],
        ["--top_k", "many"],
        ["--loud"],
        ["--density", "101"],
        ["--density", "dense"],
        ["--register", "0:20 0:30"],
        ["--shape", "0:20 4:170"],
        ["--shape", "tempo 0:20"],
        ["--shape", ""],
        ["--length", "5", "--minutes", "1"],
        ["--creativity", "6"],
        ["--modulation", "-0.1"],
        ["--recall", "1.5"],
    ],
)
def test_wrong_usage_exits_with_two(bad):
    with pytest.raises(SystemExit) as end:
        generate.main(bad)
    assert end.value.code == 2


def test_a_corrupt_primer_is_named_and_the_others_are_composed(compose, pfs, seeds, contents):
    (seeds / "bad.mid").write_bytes(b"no MIDI")
    code, said = compose("--inputs", seeds, "--save_path", pfs / "out")
    assert code == 1
    assert "bad.mid: not readable as MIDI" in said
    assert sorted(contents(pfs / "out")) == ["b/calm.mid", "calm.mid"]


def test_a_primer_without_notes_is_one_line(compose, pfs):
    write_midi(pfs / "in" / "silence.mid", [])
    code, said = compose("--inputs", pfs / "in" / "silence.mid", "--save_path", pfs / "out" / "x.mid")
    assert code == 1
    assert "silence.mid: 0 notes; a primer needs at least 1" in said
    assert not (pfs / "out" / "x.mid").exists()


def test_a_model_folder_of_another_kind_is_one_line(compose, pfs, model_folder, contents):
    config = json.loads((model_folder / "config.json").read_text())
    (model_folder / "config.json").write_text(json.dumps(config | {"kind": "onsets-and-frames"}))
    code, said = compose("--save_path", pfs / "out" / "x.mid")
    assert code == 1
    assert said.startswith("error: ")
    assert "a model of kind 'onsets-and-frames'; expected 'music-transformer'" in said
    assert contents(pfs / "out") == {}


def test_an_empty_folder_of_primers_gives_no_piece(compose, pfs, contents):
    assert compose("--inputs", pfs / "in", "--save_path", pfs / "out")[0] == 0
    assert contents(pfs / "out") == {}


def test_a_stage_killed_while_writing_leaves_no_half_file(compose, pfs, monkeypatch):
    from ambient import midi

    def die(path, notes, **_):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(midi, "write_midi", die)
    assert compose("--save_path", pfs / "out" / "x.mid")[0] == 130
    assert os.listdir(pfs / "out") == []


def test_help_loads_neither_numpy_nor_a_framework(help_imports):
    assert not help_imports("generate") & {"tensorflow", "keras", "numpy", "pretty_midi"}


def test_the_shipped_model_goes_on_from_a_primer(seeds, pfs, capsys):
    target = pfs / "out" / "song.mid"
    assert generate.main(["--inputs", str(seeds / "calm.mid"), "--length", "64", "--save_path", str(target)]) == 0
    assert read_midi(target).notes


def test_a_model_folder_without_a_tensor_is_named_with_the_tensor(compose, model_folder, pfs):
    weights = load_weights(model_folder)
    weights.pop("music_transformer/block_0/feed_norm/gamma")
    config = load_config(model_folder, kind=KIND)
    save_model_folder(model_folder, kind=KIND, config=config, weights=weights, training={}, card="")
    code, said = compose("--save_path", pfs / "out" / "x.mid")
    assert code == 1
    assert f"{model_folder}: tensor music_transformer/block_0/feed_norm/gamma is missing; expected (16,)" in said


def test_a_song_over_the_copy_limit_is_made_again_and_the_passage_is_named(compose, model_folder, pfs):
    first = pfs / "out" / "first.mid"
    assert compose("--save_path", first)[0] == 0
    notes = read_midi(first).notes
    TrainingNotes.of([("heard.mid", notes_to_fields(notes), False)]).save(model_folder)
    again = pfs / "out" / "again.mid"
    code, said = compose("--save_path", again, "--copy_limit", 12)
    assert code == 0
    assert f"seed 1 has {len(notes)} notes in a row, at 0 s, that are in heard.mid at 0 s, transposed by 0" in said
    assert "made again" in said
    assert read_midi(again).notes != notes
    kept = pfs / "out" / "kept.mid"
    code, said = compose("--save_path", kept, "--copy_limit", 0)
    assert (code, "made again" in said) == (0, False)
    assert read_midi(kept).notes == notes


def test_the_best_songs_come_first_and_fewer_are_kept_than_made(compose, seeds, pfs, contents):
    assert compose("--inputs", seeds, "--save_path", pfs / "out", "--songs", 3, "--keep", 2)[0] == 0
    assert sorted(contents(pfs / "out")) == ["b/calm-1.mid", "b/calm-2.mid", "calm-1.mid", "calm-2.mid"]
    assert [made_by(pfs / "out" / f"calm-{rank}.mid")["rank"] for rank in (1, 2)] == [1, 2]


@pytest.mark.parametrize("others", [["--songs", 2], ["--minutes", 1]])
def test_beams_are_refused_together_with_many_songs_or_minutes(model_folder, pfs, others):
    with pytest.raises(SystemExit) as ended:
        generate.main([*map(str, ["--load_path", model_folder, "--save_path", pfs / "x.mid", "--beam", 2, *others])])
    assert ended.value.code == 2


# What a random model of fixed weights composes after PRIMER with the defaults, in hundredths of a second: start, pitch,
# length, velocity. A change of the composer that is not meant to change music leaves it as it is; with one that is,
# put in what the failing test prints.
GOLDEN = [
    (0, 116, 4, 117), (3, 61, 40, 61), (3, 99, 40, 49), (11, 60, 2, 65), (18, 33, 40, 41),
    (72, 61, 38, 33), (78, 108, 39, 9), (97, 60, 14, 105), (111, 60, 2, 73), (165, 61, 300, 65),
]  # fmt: skip


def test_the_same_primer_model_and_seed_give_this_piece(compose, pfs, seeds):
    song = pfs / "out" / "song.mid"
    assert compose("--inputs", seeds / "calm.mid", "--length", 44, "--save_path", song)[0] == 0
    notes = [
        (round(n.start_s * 100), n.pitch, round((n.end_s - n.start_s) * 100), n.velocity) for n in read_midi(song).notes
    ]
    assert notes == GOLDEN, f"{notes}"
    assert made_by(song)["seed"] == 1


def test_without_flags_it_draws_at_temperature_1_with_top_p_095_and_seed_1():
    defaults = vars(generate.build_parser().parse_args([]))
    wanted = {"temperature": 1.0, "top_p": 0.95, "top_k": 0, "seed": 1, "length": 2048, "songs": 1, "program": 0}
    assert {name: defaults[name] for name in wanted} == wanted


def test_a_song_may_share_24_notes_in_a_row_with_a_training_piece_and_no_more():
    assert generate.build_parser().parse_args([]).copy_limit == 24
