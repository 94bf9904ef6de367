import numpy as np
import pytest

from ambient.errors import InputError
from ambient.music_transformer import variation
from ambient.music_transformer.config import TrainingConfig
from ambient.music_transformer.data import (
    BatchesAhead,
    Crops,
    Piece,
    crop_rows,
    evaluation_batches,
    is_held_out,
    piece_of,
    piece_weights,
    split_records,
)
from ambient.music_transformer.descriptions import Percentiles, describe
from ambient.music_transformer.fields import Fields

AS_IT_IS = {"transpose": 0, "stretch": 0.0, "hands": 0.0, "imitation": 0.0, "description_dropout": 0.0}
CONFIG = TrainingConfig(batch_size=3, max_seq=40)
PLAIN = TrainingConfig(batch_size=64, max_seq=40, **AS_IT_IS)
GAP, PITCH, LENGTH, VELOCITY, MARK, DESCRIPTIONS, TIME = 0, 1, 2, 3, 7, slice(8, 13), 13
START, END = 178, 177


@pytest.fixture(scope="module")
def percentiles(tiny_config):
    return Percentiles(np.array(tiny_config.percentiles))


@pytest.fixture
def corpus(bars, record_of):
    """Forty songs, each of its own length."""
    return [record_of(bars(30 + i), f"{i}.mid") for i in range(40)]


@pytest.fixture
def drawn(percentiles):
    """Rows and labels of a step."""

    def draw(*pieces, config=PLAIN, rehearsed=(), step=0):
        return Crops(pieces, rehearsed, percentiles, config).batch(step)

    return draw


def names(pieces):
    return {piece.fields.starts.tobytes() for piece in pieces}


# === What is held out ===


def test_whole_songs_are_held_out_and_stand_on_one_side_only(corpus):
    split = split_records(corpus, source="in")
    assert len(split.training) + len(split.held_out) == 40
    assert 1 <= len(split.held_out) <= 10
    assert not names(split.held_out) & names(split.training)
    assert split.held_out_seconds == pytest.approx(sum(r.seconds for r in corpus if is_held_out(r.digest)))


# A tenth of all 32-bit numbers, 429,496,729.6, lies between these two.
@pytest.mark.parametrize(("digest", "held_out"), [("19999999", True), ("1999999a", False), ("00", True), ("ff", False)])
def test_a_song_is_held_out_if_its_digest_lies_in_the_first_tenth(digest, held_out):
    assert is_held_out(digest) == held_out


def test_adding_or_removing_a_song_never_moves_another(corpus):
    before = names(split_records(corpus[:30], source="in").held_out)
    after = names(split_records(corpus[::-1], source="in").held_out)
    assert before <= after
    assert names(map(piece_of, corpus[:30])) & after == before


def test_one_song_holds_out_its_own_end_and_says_so(bars, record_of):
    split = split_records([record_of(bars(100), heard=True)], source="in")
    assert split.explanation == "a tenth from the middle of each of 1 songs; too few for a song of its own"
    (head, rest), (passage,) = split.training, split.held_out
    assert (len(head.fields), len(rest.fields), len(passage.fields), passage.context) == (45, 45, 55, 45)
    assert (head.ends, rest.ends, passage.ends) == (False, True, False)
    assert rest.fields.starts[0] == 55 * 25
    assert head.heard
    assert passage.heard
    assert passage.counted.starts[0] == 45 * 25


def test_too_little_music_says_how_much_is_needed_and_how_much_there_is(bars, record_of):
    message = r"in: 0\.0 minutes of music in 1 songs \(10 notes\); needs at least 0\.1 minutes with 12 notes"
    with pytest.raises(InputError, match=message):
        split_records([record_of(bars(10))], source="in")


def test_a_transcribed_song_is_a_heard_piece(bars, record_of):
    assert [piece_of(record_of(bars(5), heard=heard)).heard for heard in (False, True)] == [False, True]


# === Which crops are drawn ===


def test_labels_are_the_notes_of_the_rows_one_on(drawn, random_piece):
    rows, labels = drawn(Piece(random_piece(400)), config=CONFIG)
    assert rows.shape == (3, 41, 14)
    assert labels.shape == (3, 40, 4)
    assert (labels == rows[:, 1:, :4]).all()


def test_a_batch_depends_on_the_seed_and_the_step_alone(drawn, random_piece):
    piece = Piece(random_piece(400))

    def batch(seed, step):
        return drawn(piece, config=TrainingConfig(batch_size=3, max_seq=40, seed=seed), step=step)[0].tolist()

    assert batch(1, 5) == batch(1, 5)
    assert batch(1, 5) != batch(1, 6)
    assert batch(1, 5) != batch(2, 5)


def test_batches_drawn_ahead_by_other_processes_are_those_drawn_on_demand(bars, percentiles):
    config = TrainingConfig(batch_size=2, max_seq=16)
    crops = Crops([Piece(bars(40)), Piece(bars(90))], [], percentiles, config)
    with BatchesAhead(crops, processes=1) as ahead:
        for step in range(4, 8):
            for found, wanted in zip(ahead(step), crops.batch(step), strict=True):
                assert found.tolist() == wanted.tolist()


def test_a_crop_holds_the_rows_of_the_piece_whatever_lies_before_it(drawn, bars, percentiles):
    # The arpeggio returns every six notes, so that a row says where it stands within them.
    fields = bars(300)
    bins = percentiles.bins(describe(fields))
    rows, labels = drawn(Piece(fields))
    assert (rows[:, 0, TIME] == 0).all()
    inside = rows[(rows[:, 0, GAP] != START) & (labels[:, -1, PITCH] >= 0)]
    assert len(inside) > 30
    assert (inside[:, 1:, TIME] == np.arange(1, 41) * 25).all()
    assert (inside[:, :, 4:7] == [25, END, 1]).all()
    assert (inside[:, :, MARK] == 1).all()
    last = 300 - 20  # the last five seconds are not described
    for row in inside:
        begins = [i for i in range(300 - 40) if (fields.pitches[i : i + 41] == row[:, PITCH]).all()]
        assert any((row[: last - i, DESCRIPTIONS] == bins[i : min(i + 41, last)]).all() for i in begins)


def test_descriptions_look_beyond_the_crop_and_say_nothing_of_what_is_not_known(bars, percentiles):
    long = bars(300)
    bins = percentiles.bins(describe(long))
    asked = {"before": 0, "count": 41, "mark": 1, "percentiles": percentiles, "begins": False}
    rows = crop_rows(long[:200], ends=False, **asked)
    assert rows[:, DESCRIPTIONS].tolist() == bins[:41].tolist()
    cut = crop_rows(long[:70], ends=False, **asked)  # 17.5 s, so only the first 2.25 s see 15 s ahead
    assert cut[:10, DESCRIPTIONS].tolist() == bins[:10].tolist()
    assert not cut[10:, DESCRIPTIONS].any()
    whole = crop_rows(long[:70], ends=True, **asked)
    assert whole[:41, DESCRIPTIONS].all()


@pytest.mark.parametrize("notes", [37, 38, 39, 40, 41, 42, 80])
def test_a_piece_about_as_long_as_a_crop_is_learned_from_beginning_and_end_included(drawn, bars, notes):
    _, labels = drawn(Piece(bars(notes)), config=TrainingConfig(batch_size=256, max_seq=40, **AS_IT_IS))
    firsts = (labels[..., GAP] == 0) & (labels[..., PITCH] == 60)
    assert firsts.any()
    assert (labels[..., GAP] == END).any()
    assert (labels[labels[..., GAP] == END][:, 1:] == -1).all()


def test_a_piece_shorter_than_a_crop_is_padded_at_its_end(drawn, bars):
    rows, labels = drawn(Piece(bars(10)), config=TrainingConfig(batch_size=8, max_seq=400, **AS_IT_IS))
    for row, label in zip(rows, labels, strict=True):
        assert row[0, GAP] == START
        assert label[:10, PITCH].tolist() == [60, 64, 67, 72, 67, 64, 60, 64, 67, 72]
        assert label[:11, GAP].tolist() == [0, *[25] * 9, END]
        assert (label[11:] == -1).all()
        assert not row[12:].any()


def test_a_part_that_does_not_end_the_music_has_no_end(drawn, bars):
    _, labels = drawn(Piece(bars(60), ends=False))
    assert not (labels[..., GAP] == END).any()


def test_crops_are_transposed_and_stretched_within_bounds(drawn, bars):
    config = TrainingConfig(batch_size=64, max_seq=40, **AS_IT_IS | {"transpose": 2, "stretch": 0.05})
    rows, labels = drawn(Piece(bars(300)), config=config)
    lowest = {min(label[label[:, PITCH] >= 0, PITCH].tolist()) for label in labels}
    assert lowest == {58, 59, 60, 61, 62}
    lasts = {row[40, TIME] - row[1, TIME] for row in rows if row[40, PITCH]}
    assert 39 * 25 * 0.95 <= min(lasts) < 39 * 25 - 10
    assert 39 * 25 + 10 < max(lasts) <= 39 * 25 * 1.0513 + 1


def test_a_transposition_that_leaves_the_range_is_left_out(drawn, bars):
    config = TrainingConfig(batch_size=64, max_seq=40, **AS_IT_IS | {"transpose": 3})
    _, labels = drawn(Piece(bars(300, lowest=115)), config=config)
    assert {label[:, PITCH].max() for label in labels} == {124, 125, 126, 127}


def test_heard_pieces_are_marked_and_clean_ones_sometimes_made_to_look_heard(drawn, bars):
    def marks(*, heard, imitation):
        """Return how many crops are clean, heard throughout, and heard first and clean from somewhere on."""
        config = TrainingConfig(batch_size=200, max_seq=20, **AS_IT_IS | {"imitation": imitation})
        rows, _ = drawn(Piece(bars(300), heard=heard), config=config)
        counts = [0, 0, 0]
        for crop in rows:
            said = crop[crop[:, LENGTH] > 0, MARK].tolist()
            assert said == sorted(said, reverse=True)  # never from clean (1) to heard (2)
            counts[0 if said[0] == 1 else 1 if said[-1] == 2 else 2] += 1
        return counts

    assert marks(heard=False, imitation=0.0) == [200, 0, 0]
    assert marks(heard=True, imitation=1.0) == [0, 200, 0]
    clean, heard, first_heard = marks(heard=False, imitation=1.0)
    assert heard > first_heard > 0
    assert (first_heard + clean) / 200 == pytest.approx(
        0.4, abs=0.1
    )  # clean: those whose heard part is before the crop
    assert marks(heard=False, imitation=0.4)[1] / 200 == pytest.approx(0.4 * 0.6, abs=0.08)


def test_of_a_crop_that_goes_on_clean_the_last_heard_row_asks_for_clean_notes(drawn, bars, monkeypatch):
    # A transcriber that hears every note, 10 ms late: where notes come on time again, the music is clean.
    def late(fields, rng):
        return Fields(fields.starts + 1, fields.pitches, fields.lengths, fields.velocities)

    monkeypatch.setattr(variation, "imitate_transcriber", late)
    config = TrainingConfig(batch_size=200, max_seq=20, **AS_IT_IS | {"imitation": 1.0})
    rows, _ = drawn(Piece(bars(300)), config=config)
    looked_at = 0
    for crop in rows:
        changes = np.flatnonzero(np.diff(crop[:, MARK]) == -1) + 1
        if len(changes) and crop[0, GAP] != START and crop[-1, LENGTH] and changes[0] > 1:
            (change,) = changes
            offsets = (crop[:, TIME] - crop[0, TIME]) % 25
            assert (offsets[: change + 1] == offsets[0]).all()
            assert (offsets[change + 1 :] == (offsets[0] - 1) % 25).all()
            looked_at += 1
    assert looked_at > 5


def test_what_is_not_said_is_left_out_for_a_whole_crop(drawn, bars):
    def crops(dropout):
        config = TrainingConfig(batch_size=250, max_seq=8, **AS_IT_IS | {"description_dropout": dropout})
        return drawn(Piece(bars(1000)), config=config)[0]

    assert not crops(1.0)[:, :, DESCRIPTIONS].any()
    assert (crops(1.0)[:, 0, MARK] == 0).mean() == pytest.approx(1 / 3, abs=0.08)
    assert crops(0.0)[:, 0, DESCRIPTIONS].any(axis=1).mean() > 0.95  # all but the end of the piece
    left_out = crops(0.3)[:, 0, DESCRIPTIONS] == 0
    assert left_out.mean(axis=0) == pytest.approx(0.3 + 0.7 * 0.3, abs=0.08)
    assert left_out.all(axis=1).mean() == pytest.approx(0.3, abs=0.08)


def test_a_share_of_crops_is_rehearsed(drawn, bars):
    def share(rehearsal, rehearsed):
        config = TrainingConfig(batch_size=160, max_seq=8, **AS_IT_IS, rehearsal=rehearsal)
        rows, _ = drawn(Piece(bars(50, lowest=40)), config=config, rehearsed=rehearsed)
        return (rows[:, 1, PITCH] >= 80).mean()

    base = [Piece(bars(5000, lowest=80))]  # far more music than the corpus has
    assert share(0.25, base) == pytest.approx(0.25, abs=0.1)
    assert share(0.0, base) == 0
    assert share(1.0, base) == 1
    assert share(0.25, []) == 0


def test_the_longer_piece_is_drawn_more_often(drawn, bars):
    config = TrainingConfig(batch_size=160, max_seq=8, **AS_IT_IS)
    rows, _ = drawn(Piece(bars(100, lowest=40)), Piece(bars(300, lowest=80)), config=config)
    assert (rows[:, 1, PITCH] >= 80).mean() == pytest.approx(0.75, abs=0.1)


def test_calm_and_performed_pieces_are_drawn_more_often_when_asked(bars):
    busy = Fields(np.arange(400) * 10, *(np.full(400, each) for each in (60, 9, 16)))
    calm, played = bars(40), Fields(busy.starts, busy.pitches, busy.lengths, np.arange(400) % 12)
    pieces = [Piece(fields) for fields in (calm, busy, played)]
    assert piece_weights(pieces, TrainingConfig()) == pytest.approx(np.array([40, 400, 400]) / 840)
    favoured = piece_weights(pieces, TrainingConfig(calm_weight=3, performed_weight=2))
    assert favoured == pytest.approx(np.array([120, 400, 800]) / 1320)


# === What is measured by ===


def labels_of_all(batches):
    """Return [N, 4] labels of every note and end, in order."""
    labels = np.concatenate([labels.reshape(-1, 4) for _, labels in batches])
    return labels[labels[:, GAP] >= 0]


@pytest.mark.parametrize("notes", [39, 40, 41, 42, 80, 81, 82, 200])
def test_evaluation_counts_every_note_and_the_end_once(random_piece, percentiles, notes):
    fields = random_piece(300)[:notes]
    batches = evaluation_batches([Piece(fields)], percentiles, CONFIG)
    found = labels_of_all(batches)
    assert found[:, PITCH].tolist() == [*fields.pitches.tolist(), -1]
    assert found[:, VELOCITY].tolist() == [*fields.velocities.tolist(), -1]
    assert found[-1, GAP] == END
    assert all((rows.shape, labels.shape) == ((3, 41, 14), (3, 40, 4)) for rows, labels in batches)


def test_evaluation_of_a_part_counts_what_follows_its_context(bars, percentiles):
    parts = [Piece(bars(100), ends=False), Piece(bars(50), context=20)]
    assert len(labels_of_all(evaluation_batches(parts, percentiles, CONFIG))) == 100 + 30 + 1


def test_the_context_of_a_part_is_heard(bars, percentiles):
    ((rows, labels),) = evaluation_batches([Piece(bars(30), context=25)], percentiles, CONFIG)
    counted = np.flatnonzero(labels[0, :, 0] >= 0)
    assert counted.tolist() == list(range(counted[0], counted[0] + 6))  # five notes and the end
    assert rows[0, counted[0] - 5 : counted[0], PITCH].all()


def test_evaluation_gives_nothing_away_unless_asked_and_says_each_pieces_mark(bars, percentiles):
    pieces = [Piece(bars(30)), Piece(bars(30), heard=True)]
    ((rows, _),) = evaluation_batches(pieces, percentiles, CONFIG)
    assert not rows[:, :, DESCRIPTIONS].any()
    assert rows[:2, :31, MARK].tolist() == [[1] * 31, [2] * 31]
    ((told, _),) = evaluation_batches(pieces, percentiles, CONFIG, described=True)
    assert told[0, 0, DESCRIPTIONS].all()


def test_a_quick_evaluation_spreads_its_crops(bars, percentiles):
    ((rows, labels),) = evaluation_batches([Piece(bars(400))], percentiles, CONFIG, most_crops=3)
    assert rows.shape == (3, 41, 14)
    assert rows[0, 0, GAP] == START
    assert END in labels[-1, :, GAP]
