import numpy as np
import pytest

from ambient.music_transformer.composing import compose, compose_by_beam
from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.decoder import Decoder
from ambient.music_transformer.tokens import (
    END,
    PAD,
    START,
    TIME_SHIFT,
    VELOCITY,
    VOCABULARY_SIZE,
    tokens_to_notes,
)

SAMPLING = SamplingConfig(temperature=1.0, top_p=1.0)


class FakeModel:
    """Remembers what it heard, and gives each token the log-probability that a table of its last token says."""

    def __init__(self, table=None, songs=1):
        self.table, self.songs = table or {}, songs
        self.heard = []

    def _row(self, token):
        row = np.full(VOCABULARY_SIZE, -20.0)
        for following, probability in self.table.get(int(token), {}).items():
            row[following] = np.log(probability)
        return row

    def read(self, tokens):
        self.heard.extend(tokens.tolist())
        return np.stack([self._row(tokens[-1])] * self.songs)

    def step(self, tokens):
        self.heard.append(int(tokens[0]))
        return np.stack([self._row(token) for token in tokens])

    def reorder(self, songs):
        assert len(songs) == self.songs


def test_the_whole_primer_is_heard_before_the_first_new_event(bars):
    model, primer = FakeModel(), bars(200).tolist()
    compose(model, primer, length=1, sampling=SAMPLING, seeds=[1])
    assert model.heard == [START, *primer]


def test_a_song_from_nothing_needs_no_primer():
    composition = compose(FakeModel(), [], length=50, sampling=SAMPLING, seeds=[1])[0]
    assert len(composition.tokens) >= 50


def test_so_many_new_tokens_come_as_were_asked_for(bars):
    composition = compose(FakeModel(), bars(4).tolist(), length=64, sampling=SAMPLING, seeds=[1])[0]
    closing = [token for token in composition.tokens[65:] if not 128 <= token <= 256]
    assert closing == []
    assert len(composition.tokens) >= 65  # the velocity in force, then 64


def test_a_model_that_wants_only_specials_still_gives_a_valid_piece():
    table = {token: {PAD: 0.5, START: 0.3, END: 0.2} for token in range(VOCABULARY_SIZE)}
    decoded = tokens_to_notes(compose(FakeModel(table), [], length=300, sampling=SAMPLING, seeds=[1])[0].tokens)
    assert decoded.notes
    assert not decoded.dropped


def test_random_weights_give_a_valid_piece_beyond_the_window(tiny_config, tiny_weights):
    composition = compose(Decoder(tiny_config, tiny_weights), [], length=400, sampling=SAMPLING, seeds=[1])[0]
    decoded = tokens_to_notes(composition.tokens)
    assert decoded.notes
    assert (decoded.dropped, decoded.closed) == ({}, 0)


def test_equal_seeds_give_equal_music_and_different_seeds_different(tiny_config, tiny_weights, bars):
    def music(seed):
        decoder = Decoder(tiny_config, tiny_weights)
        return compose(decoder, bars(8).tolist(), length=60, sampling=SAMPLING, seeds=[seed])[0].tokens

    assert music(1) == music(1)
    assert music(1) != music(2)


def test_every_part_of_the_primer_within_reach_matters(tiny_config, tiny_weights, bars):
    def music(lowest):
        decoder = Decoder(tiny_config, tiny_weights)
        return compose(decoder, bars(3, lowest).tolist(), length=60, sampling=SAMPLING, seeds=[1])[0].tokens

    assert music(60) != music(61)


def test_temperature_zero_follows_the_likeliest_path():
    table = {START: {60: 0.6, 61: 0.4}, 60: {TIME_SHIFT: 0.9, 64: 0.1}, TIME_SHIFT: {128 + 60: 1.0}}
    greedy = SamplingConfig(temperature=0)
    assert compose(FakeModel(table), [], length=3, sampling=greedy, seeds=[1])[0].tokens == [60, TIME_SHIFT, 128 + 60]


def test_beam_search_adds_log_probabilities_and_finds_what_greedy_misses():
    # 60 looks better at first (0.6 over 0.4), but what follows 61 is surer: 0.4 x 0.9 > 0.6 x 0.5.
    table = {
        START: {60: 0.6, 61: 0.4},
        60: {TIME_SHIFT: 0.5, TIME_SHIFT + 1: 0.5},
        61: {TIME_SHIFT + 4: 0.9, TIME_SHIFT: 0.1},
    }
    found = compose_by_beam(FakeModel(table, songs=3), [], length=2, sampling=SAMPLING)
    assert found.tokens[:2] == [61, TIME_SHIFT + 4]
    assert found.nats_per_token == pytest.approx(-np.log(0.4 * 0.9) / 2, abs=1e-3)


def test_beam_search_on_a_real_decoder_is_valid_and_deterministic(tiny_config, tiny_weights, bars):
    def music():
        decoder = Decoder(tiny_config, tiny_weights, songs=3)
        return compose_by_beam(decoder, bars(4).tolist(), length=30, sampling=SAMPLING).tokens

    assert music() == music()
    assert not tokens_to_notes([t for t in music() if t != VELOCITY]).dropped


def ostinato(*pitches):
    """A model that wants nothing but these pitches in a circle, a step apart, and sometimes another note."""
    table = {}
    for pitch, following in zip(pitches, [*pitches[1:], pitches[0]], strict=True):
        table[pitch] = {TIME_SHIFT + pitch - 60: 1.0}
        table[TIME_SHIFT + pitch - 60] = {128 + pitch: 1.0}
        table[128 + pitch] = {following: 0.999, 90: 0.001}
    table[START] = {pitches[0]: 1.0}
    return table | {90: {TIME_SHIFT + 30: 1.0}, TIME_SHIFT + 30: {128 + 90: 1.0}, 128 + 90: {pitches[0]: 1.0}}


def pitches_of(composition):
    return [token for token in composition.tokens if token < 128]


def test_a_stuck_model_is_led_out_of_its_loop_and_the_moment_is_told():
    greedy = SamplingConfig(temperature=0, notes_per_second=0)
    composition = compose(FakeModel(ostinato(60, 62, 64, 65)), [], length=75, sampling=greedy, seeds=[1])[0]
    assert pitches_of(composition) == [60, 62, 64, 65] * 4 + [90] + [60, 62, 64, 65] * 2
    (moment,) = composition.loops_broken_s
    assert moment == pytest.approx(4 * (1 + 3 + 5 + 6) / 100)


def test_loops_are_kept_on_request():
    stuck = SamplingConfig(temperature=0, notes_per_second=0, break_loops=False)
    composition = compose(FakeModel(ostinato(60, 62)), [], length=90, sampling=stuck, seeds=[1])[0]
    assert (pitches_of(composition), composition.loops_broken_s) == ([60, 62] * 15, ())


def test_notes_that_a_model_forgets_end_as_they_do_in_real_music():
    half_a_second = TIME_SHIFT + 49
    table = {pitch: {half_a_second: 1.0} for pitch in [*range(60, 70), *range(128 + 60, 128 + 70)]}
    table |= {START: {60: 1.0}, half_a_second: dict.fromkeys(range(60, 70), 0.1)}  # never an off

    def lengths_s(rate):
        sampling = SamplingConfig(note_end_rate=rate, notes_per_second=0)
        composition = compose(FakeModel(table), [], length=1500, sampling=sampling, seeds=[1])[0]
        return [note.end_s - note.start_s for note in tokens_to_notes(composition.tokens).notes[:-10]]

    assert np.median(lengths_s(0.0)) == pytest.approx(8.0, abs=0.6)
    assert min(lengths_s(1.0)) >= 2.0
    assert np.mean(lengths_s(1.0)) == pytest.approx(3.2, abs=0.4)


def test_a_piece_may_be_asked_for_in_seconds(tiny_config, tiny_weights):
    composition = compose(Decoder(tiny_config, tiny_weights), [], seconds=20.0, sampling=SAMPLING, seeds=[1])[0]
    end_s = max(note.end_s for note in tokens_to_notes(composition.tokens).notes)
    assert 19 <= end_s <= 21.01


def test_songs_that_grow_together_are_those_that_grow_alone(tiny_config, tiny_weights, bars):
    def music(*seeds):
        decoder = Decoder(tiny_config, tiny_weights, songs=len(seeds))
        found = compose(decoder, bars(4).tolist(), length=40, sampling=SAMPLING, seeds=seeds)
        return [composition.tokens for composition in found]

    assert music(1, 2, 3) == [*music(1), *music(2), *music(3)]


def test_songs_of_equal_seconds_and_different_density_all_end(tiny_config, tiny_weights):
    decoder = Decoder(tiny_config, tiny_weights, songs=3)
    for composition in compose(decoder, [], seconds=6.0, sampling=SAMPLING, seeds=[1, 2, 3]):
        assert 5 <= max(note.end_s for note in tokens_to_notes(composition.tokens).notes) <= 7.01
