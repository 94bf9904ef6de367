from ambient.model_folder import save_model_folder
from ambient.music_transformer.config import KIND, SamplingConfig
from ambient.music_transformer.ensemble import SONGS_TOGETHER, Order, compose_songs


def test_songs_in_several_processes_come_in_the_order_of_their_seeds(tmp_path, tiny_config, tiny_weights):
    save_model_folder(tmp_path, kind=KIND, config=tiny_config.to_json(), weights=tiny_weights, training={}, card="")
    order = Order(tmp_path, (60, 300, 188), SamplingConfig(), length=20)
    seeds = list(range(SONGS_TOGETHER + 2))
    together = [song.tokens for song in compose_songs(order, seeds)]
    assert together[:SONGS_TOGETHER] == [song.tokens for song in compose_songs(order, seeds[:SONGS_TOGETHER])]
    assert together[SONGS_TOGETHER:] == [song.tokens for song in compose_songs(order, seeds[SONGS_TOGETHER:])]
    assert len({tuple(tokens) for tokens in together}) == len(seeds)
