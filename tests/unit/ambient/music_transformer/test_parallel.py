import numpy as np

from ambient.music_transformer import parallel
from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.parallel import CompositionRequest, compose_songs
from ambient.music_transformer.wishes import Wishes, make_primer


def test_songs_in_several_processes_come_in_the_order_of_their_seeds(tiny_config, tiny_model_folder, bars):
    primer = make_primer(bars(6), tiny_config, heard=False)
    wishes = Wishes((0, 3, 0, 0, 0), (("density", ((0.0, 20.0), (1.0, 70.0))),))
    request = CompositionRequest(tiny_model_folder, primer, SamplingConfig(), wishes, length=20)

    def music(seeds):
        return [(song.fields.starts.tolist(), song.fields.pitches.tolist()) for song in compose_songs(request, seeds)]

    seeds = list(range(10))
    together = music(seeds)
    assert together[:8] == music(seeds[:8])
    assert together[8:] == music(seeds[8:])
    assert len({str(song) for song in together}) == len(seeds)


def test_eight_songs_share_the_work_of_one_process(monkeypatch):
    groups = []

    class Pool:
        def __init__(self, workers):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def map(self, compose, requests, seeds):
            groups.extend(seeds)
            return seeds  # each seed stands for its song

    monkeypatch.setattr(parallel, "process_pool", Pool)
    assert compose_songs(None, range(19)) == list(range(19))
    assert [len(group) for group in groups] == [8, 8, 3]


def test_a_song_may_be_asked_for_in_seconds(tiny_config, tiny_model_folder, bars):
    primer = make_primer(bars(6), tiny_config, heard=True)
    request = CompositionRequest(tiny_model_folder, primer, SamplingConfig(creativity=3), Wishes(), seconds=5.0)
    (song,) = compose_songs(request, [3])
    assert song.begin == 125
    assert np.flatnonzero(song.fields.starts - song.begin >= 500).tolist() == [len(song.fields) - 1]
