import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from ambient.midi import write_midi
from ambient.model_folder import load_config, load_weights
from ambient.music_transformer.card import model_card
from ambient.music_transformer.config import KIND, SHIPPED_MODEL, ModelConfig
from ambient.music_transformer.fields import notes_to_fields
from ambient.music_transformer.memorisation import TrainingNotes
from ambient.notes import Note
from ambient.shipped import SHIPPED_MODELS
from ambient.stages import generate, train

SCRATCH = ["--from_scratch", "--size", "tiny", "--num_layers", "1", "--epochs", "2", "--max_seq", "32", "--l_r", "0.01"]
SCRATCH += ["--minutes", "0"]  # so that the learning rate does not follow the clock


def song(index, notes=60):
    steps = np.random.default_rng(index).integers(48, 80, notes)
    return [Note(i * 0.25, int(p), i * 0.25 + 0.2, 65) for i, p in enumerate(steps)]


@pytest.fixture
def corpus(pfs):
    """Three songs of fifteen seconds as preprocess writes them, reports included."""
    from ambient.stages import preprocess

    midi = pfs / "midi"
    midi.mkdir()
    for index in range(3):
        write_midi(midi / f"{index}.mid", song(index))
    assert preprocess.main([str(midi), str(pfs / "in")]) == 0
    return pfs / "in"


@pytest.fixture
def run_train(corpus, pfs, capsys):
    """Run the stage in this process; returns exit code and what it said."""

    def run(*arguments, save_path=None):
        capsys.readouterr()
        target = save_path or pfs / "out"
        code = train.main(["--input_path", str(corpus), "--save_path", str(target), *map(str, arguments)])
        said = capsys.readouterr()
        assert said.out == ""
        return code, said.err

    return run


def test_a_corpus_becomes_a_model_folder_that_composes_and_a_second_run_the_same_bytes(
    run_train, corpus, pfs, contents
):
    before = contents(corpus)
    code, said = run_train(*SCRATCH)
    assert code == 0, said
    assert sorted(contents(pfs / "out")) == [
        "README.md",
        "config.json",
        "training-notes.npz",
        "training.json",
        "weights.safetensors",
    ]
    assert contents(corpus) == before
    assert re.search(r"3 songs, 180 notes, 0\.\d minutes; from scratch; held out: ", said)
    assert re.search(r"held-out \d+\.\d+ -> \d+\.\d+ nats per note, [\d.]+ bits per second of music", said)
    training = json.loads((pfs / "out" / "training.json").read_text())
    assert training["data"]["songs"] == 3
    assert training["held_out"]["nats_per_note"] < training["held_out"]["nats_per_note_before"]

    # What the corpus is like stands in the model: a tenth of it lies below each edge, so edges rise.
    config = json.loads((pfs / "out" / "config.json").read_text())
    assert [len(edges) for edges in config["percentiles"]] == [19] * 5
    assert all(edges == sorted(edges) for edges in config["percentiles"])
    assert config["percentiles"][0][9] == pytest.approx(4, abs=0.3)  # four notes a second
    assert config["percentiles"][4] == pytest.approx([math.log2(0.2)] * 19, abs=1e-3)  # of a fifth of a second each
    # A model trained at any --max_seq composes at any length.
    piece = pfs / "piece.mid"
    assert generate.main(["--load_path", str(pfs / "out"), "--length", "300", "--save_path", str(piece)]) == 0
    assert piece.exists()

    assert run_train(*SCRATCH, save_path=pfs / "again")[0] == 0
    assert contents(pfs / "again") == contents(pfs / "out")


def test_fine_tuning_goes_on_from_a_model_folder_and_keeps_its_shape(run_train, pfs):
    assert run_train(*SCRATCH)[0] == 0
    code, said = run_train("--load_path", pfs / "out", "--epochs", 1, "--max_seq", 32, save_path=pfs / "tuned")
    assert code == 0
    assert "starting from the model " in said
    configs = [json.loads((pfs / folder / "config.json").read_text()) for folder in ("out", "tuned")]
    assert configs[0] == configs[1]  # percentiles stay the base model's
    # Both trainings are heard by now, and rehearsed by the next.
    assert [len(TrainingNotes.load(pfs / folder).pieces()) for folder in ("out", "tuned")] == [3, 6]


def test_fine_tuning_rehearses_what_the_base_model_was_trained_on_unless_told_not_to(run_train, tiny_composer, pfs):
    base = [Note(i * 0.1, 100 + i % 5, i * 0.1 + 0.05, 30) for i in range(400)]
    TrainingNotes.of([("base.mid", notes_to_fields(base), False)]).save(tiny_composer)

    def trained(*flags):
        folder = pfs / "-".join(map(str, ["tuned", *flags]))
        flags = ["--load_path", tiny_composer, "--epochs", 2, "--max_seq", 16, "--l_r", 0.01, *flags]
        assert run_train(*flags, save_path=folder)[0] == 0
        return folder

    beside, without = trained(), trained("--rehearsal", 0)
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (beside, without)]
    assert weights[0] != weights[1]
    settings = [json.loads((folder / "training.json").read_text())["settings"] for folder in (beside, without)]
    assert [each["rehearsal"] for each in settings] == [0.5, 0]
    assert TrainingNotes.load(without).names == ["base.mid", *(f"{i}.mid" for i in range(3))]


def test_three_tenths_of_the_weights_that_fine_tuning_ends_with_are_the_bases(run_train, tiny_composer, pfs):
    def trained(*flags):
        folder = pfs / "-".join(map(str, ["tuned", *flags]))
        flags = ["--load_path", tiny_composer, "--epochs", 10, "--max_seq", 16, "--l_r", 0.01, *flags]
        assert run_train(*flags, save_path=folder)[0] == 0
        assert json.loads((folder / "training.json").read_text())["best_step"] > 0
        return load_weights(folder)

    base, learned, blended = load_weights(tiny_composer), trained("--base_share", 0), trained()
    assert max(np.abs(learned[name] - base[name]).max() for name in base) > 0.01
    for name in base:
        assert blended[name] == pytest.approx(0.3 * base[name] + 0.7 * learned[name], rel=2e-3, abs=2e-3)  # float16


def test_a_base_model_without_its_notes_is_fine_tuned_without_rehearsal(run_train, tiny_composer, pfs):
    assert run_train("--load_path", tiny_composer, "--epochs", 1, "--max_seq", 16)[0] == 0
    assert len(TrainingNotes.load(pfs / "out").pieces()) == 3


def test_a_transcribed_corpus_is_known_as_one(run_train, corpus, pfs):
    from ambient.stages import preprocess

    write_midi(pfs / "midi" / "heard.mid", song(9), texts=["transcriber: onsets-and-frames", "confidence: 0.9000"])
    assert preprocess.main([str(pfs / "midi"), str(corpus)]) == 0
    code, said = run_train(*SCRATCH)
    assert code == 0
    assert "4 songs, 1 of them transcribed, 240 notes" in said
    index = TrainingNotes.load(pfs / "out")
    assert dict(zip(index.names, index.heard.tolist(), strict=True)) == {
        "0.mid": False,
        "1.mid": False,
        "2.mid": False,
        "heard.mid": True,
    }


def test_a_ceiling_of_minutes_stops_the_training(run_train):
    code, said = run_train(*SCRATCH, "--epochs", 100_000, "--minutes", 0.02)
    assert code == 0
    assert "stopped by minutes" in said


def test_one_short_song_is_enough(run_train, corpus):
    for index in (1, 2):
        (corpus / f"{index}.tfrecord").unlink()
    code, said = run_train(*SCRATCH)
    assert code == 0
    assert "a tenth from the middle of each of 1 songs" in said


def test_crops_longer_than_any_song_are_cut_and_it_says_so(run_train):
    code, said = run_train(*SCRATCH, "--max_seq", 2048)
    assert code == 0
    assert re.search(r"crops of \d+ notes: no song is longer", said)


def test_a_run_goes_on_from_its_checkpoint(run_train, pfs):
    assert run_train(*SCRATCH, "--resume", pfs / "run")[0] == 0
    assert (pfs / "run" / "checkpoint.npz").exists()
    code, said = run_train(*SCRATCH, "--epochs", 3, "--resume", pfs / "run")
    assert code == 0
    assert "resumed at step " in said


def test_dropout_of_a_training_is_that_of_the_next_unless_another_is_given(run_train, pfs):
    def kept(*flags):
        assert run_train(*flags, "--save_path", pfs / "models")[0] == 0
        return json.loads((pfs / "models" / "config.json").read_text())["dropout"]

    assert kept(*SCRATCH) == 0
    assert kept(*SCRATCH, "--dropout", 0.1) == 0.1
    further = ["--load_path", pfs / "models", "--epochs", 1]
    assert kept(*further) == 0.1
    assert kept(*further, "--dropout", 0.2) == 0.2


def test_the_shipped_card_says_what_its_record_says():
    folder = SHIPPED_MODELS / SHIPPED_MODEL
    record = json.loads((folder / "training.json").read_text())
    card = model_card(ModelConfig.from_json(load_config(folder, kind=KIND), source=folder), record)
    shipped = (folder / "README.md").read_text()
    assert shipped.startswith(card.split("- Limits:")[0])
    for figure in record["test"]:
        assert f"| {' | '.join(map(str, figure))} |" in shipped


def test_another_optimizer_goes_on_from_its_checkpoint(run_train, pfs):
    flags = [*SCRATCH, "--optimizer", "muon", "--dropout", 0, "--resume", pfs / "run"]
    assert run_train(*flags)[0] == 0
    code, said = run_train(*flags, "--epochs", 3)
    assert code == 0
    assert "resumed at step " in said
    code, said = run_train(*SCRATCH, "--resume", pfs / "run")
    assert code == 1
    assert "another model or optimizer" in said


def test_the_course_is_written_where_tensorboard_looks(run_train, pfs):
    assert run_train(*SCRATCH, "--accumulate", 2, "--tensorboard", pfs / "logs")[0] == 0
    (events,) = (pfs / "logs").iterdir()
    assert events.name.startswith("events.out.tfevents.")
    assert b"loss/held_out" in events.read_bytes()


def test_songs_that_are_nearly_the_same_are_named(run_train, corpus, pfs):
    from ambient.stages import preprocess

    write_midi(pfs / "midi" / "again.mid", [Note(n.start_s, n.pitch + 2, n.end_s, n.velocity) for n in song(1)])
    assert preprocess.main([str(pfs / "midi"), str(corpus)]) == 0
    code, said = run_train(*SCRATCH)
    assert code == 0
    assert re.search(r"^(again|1)\.mid and (again|1)\.mid are nearly the same music \(100% ", said, re.MULTILINE)


def test_what_training_reads_and_logs_needs_no_framework():
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from ambient.music_transformer import data, duplicates, records, tensorboard\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_corrupt_token_file_is_named_and_no_model_is_written(run_train, corpus, pfs, contents):
    content = bytearray((corpus / "1.tfrecord").read_bytes())
    content[40] ^= 0xFF
    (corpus / "1.tfrecord").write_bytes(content)
    code, said = run_train(*SCRATCH)
    assert code == 1
    assert said.splitlines()[-1].startswith("error: ")
    assert "1.tfrecord: damaged" in said
    assert contents(pfs / "out") == {}


def test_too_little_music_says_how_much_is_needed(run_train, corpus, pfs):
    from ambient.music_transformer.records import make_record, write_record

    for path in corpus.glob("*.tfrecord"):
        path.unlink()
    write_record(corpus / "short.tfrecord", make_record([356, 60, 300, 188], source="short.mid"))
    code, said = run_train(*SCRATCH)
    assert code == 1
    assert "0.0 minutes of music in 1 songs (1 notes); needs at least 0.1 minutes" in said


def test_an_empty_input_is_one_line(run_train, corpus):
    for path in corpus.iterdir():
        path.unlink()
    code, said = run_train(*SCRATCH)
    assert code == 1
    assert "no TFRecord files; expected the output of preprocess" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size", "tiny"], "a trained model has its own shape"),
        (["--num_layers", "3"], "a trained model has its own shape"),
        (["--from_scratch", "--load_path", "x"], "given with --from_scratch"),
        (["--load_path", "nowhere"], "nowhere: no readable config.json"),
    ],
)
def test_flags_that_contradict_are_refused_in_one_line(run_train, flags, message):
    code, said = run_train(*flags)
    assert code == 1
    assert message in said


@pytest.mark.parametrize(
    "flags",
    [["--fast"], ["--epochs", "0"], ["--batch_size", "0"], ["--seed", "-1"], ["--l_r", "-1"], ["--minutes", "x"]],
)
def test_unknown_flags_and_impossible_numbers_are_wrong_usage(flags):
    with pytest.raises(SystemExit) as end:
        train.main(["--input_path", "in", *flags])
    assert end.value.code == 2


def test_help_loads_no_framework(help_imports):
    assert not help_imports("train") & {"tensorflow", "keras", "numpy", "safetensors"}


def test_the_originals_command_is_understood():
    flags = "--epochs 500 --save_path /pfs/out --input_path /pfs/transformer-preprocess --batch_size 2 --max_seq 2048"
    arguments = train.build_parser().parse_args(flags.split())
    assert (arguments.epochs, arguments.batch_size, arguments.max_seq) == (500, 2, 2048)


def test_a_place_that_cannot_be_written_is_told_before_training(run_train, tmp_path):
    (tmp_path / "taken").write_text("a file")
    code, said = run_train(*SCRATCH, save_path=tmp_path / "taken" / "model")
    assert code == 1
    assert "taken" in said
    assert "held-out" not in said
