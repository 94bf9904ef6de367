import numpy as np
import pytest

from ambient.music_transformer.decoder import Decoder
from ambient.music_transformer.evaluation import Cost, piece_cost
from ambient.music_transformer.model import field_nats
from ambient.music_transformer.placement import placement_nats
from ambient.music_transformer.rows import labels_of, note_rows, start_row


@pytest.mark.parametrize("notes", [1, 30, 300])
def test_a_piece_costs_what_the_keras_model_says_of_each_field(
    tiny_config, tiny_model, tiny_weights, random_piece, notes
):
    fields = random_piece(400)[:notes]
    cost = piece_cost(Decoder(tiny_config, tiny_weights), fields, 2)
    rows = np.concatenate([start_row(int(fields.starts[0]))[None], note_rows(fields), note_rows(fields)[-1:]])
    rows[1, 0], rows[-1, 0], rows[:, 7] = 0, 177, 2
    rows[:, 13] -= rows[0, 13]
    nats, counts = field_nats(labels_of(rows[None, 1:]), tiny_model(rows[None]))
    assert [float(np.asarray(each).sum()) for each in counts] == [notes + 1, notes, notes, notes]
    wanted = [float(np.asarray(each).sum()) for each in nats]
    assert cost.nats[:4] == pytest.approx(wanted, rel=1e-4, abs=1e-3)
    assert cost.nats[4] == pytest.approx(placement_nats(fields).sum())
    assert (cost.notes, cost.seconds) == (notes, fields.seconds)


def test_costs_add_up_and_are_told_a_note_and_a_second():
    total = Cost.total([Cost(np.log(2) * np.array([1, 2, 3, 4, 0]), 4, 2.5), Cost(np.log(2) * np.ones(5), 1, 2.5)])
    assert (total.notes, total.seconds) == (5, 5.0)
    assert total.bits_per_second == pytest.approx(15 / 5)
    assert total.nats_per_note == pytest.approx(np.log(2) * np.array([2, 3, 4, 5, 1]) / 5)
    assert Cost.total([]).bits_per_second == 0
