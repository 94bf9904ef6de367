import numpy as np
import pytest
import tensorflow as tf

from ambient.errors import InputError
from ambient.music_transformer import records
from ambient.music_transformer.records import make_record, read_record, tokens_digest, write_record
from ambient.music_transformer.tfrecord import frame, write_example
from ambient.music_transformer.tokens import PAD


@pytest.fixture
def record(bars, record_of):
    return record_of(bars(20), "a/song é.mid")


@pytest.fixture
def path(tmp_path, record):
    write_record(tmp_path / "song.tfrecord", record)
    return tmp_path / "song.tfrecord"


def test_a_record_comes_back_as_it_was(path, record):
    again = read_record(path)
    assert (again.source, again.digest) == (record.source, record.digest)
    assert again.tokens.tolist() == record.tokens.tolist()
    assert again.seconds == pytest.approx(5.0)
    assert again.fields.pitches.tolist() == record.fields.pitches.tolist() == [60, 64, 67, 72, 67, 64] * 3 + [60, 64]
    assert again.fields.starts.tolist() == list(range(0, 500, 25))


@pytest.mark.parametrize("heard", [False, True])
def test_a_record_says_whether_a_transcriber_wrote_it(bars, record_of, tmp_path, heard):
    write_record(tmp_path / "x.tfrecord", record_of(bars(5), heard=heard))
    assert read_record(tmp_path / "x.tfrecord").heard is heard


def test_a_record_of_version_0_1_does_not_say_so_and_was_not_heard(record, tmp_path):
    old = {
        "tokens": record.tokens.tolist(),
        "seconds": record.seconds,
        "source": b"old.mid",
        "digest": record.digest.encode(),
        "vocabulary": b"performance-388+3",
    }
    (tmp_path / "old.tfrecord").write_bytes(frame(write_example(old)))
    again = read_record(tmp_path / "old.tfrecord")
    assert (again.heard, again.source) == (False, "old.mid")
    assert again.tokens.tolist() == record.tokens.tolist()


def test_a_plain_tfrecord_dataset_reads_it_by_the_documented_schema(path, record):
    schema = {
        "tokens": tf.io.VarLenFeature(tf.int64),
        "seconds": tf.io.FixedLenFeature([], tf.float32),
        "source": tf.io.FixedLenFeature([], tf.string),
        "digest": tf.io.FixedLenFeature([], tf.string),
        "vocabulary": tf.io.FixedLenFeature([], tf.string),
        "heard": tf.io.FixedLenFeature([], tf.int64),
    }
    (example,) = [tf.io.parse_single_example(item, schema) for item in tf.data.TFRecordDataset(str(path))]
    assert tf.sparse.to_dense(example["tokens"]).numpy().tolist() == record.tokens.tolist()
    assert example["vocabulary"].numpy() == b"performance-388+3"
    assert example["heard"].numpy() == 0


def test_the_same_record_gives_the_same_bytes(path, record, tmp_path):
    write_record(tmp_path / "again", record)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("place", [2, 20, -2])
def test_a_flipped_byte_is_found_and_the_file_named(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"song\.tfrecord: damaged"):
        read_record(path)


def test_a_truncated_or_empty_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged"):
        read_record(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="0 records"):
        read_record(path)


def test_another_vocabulary_is_refused(path, record, monkeypatch):
    monkeypatch.setattr(records, "VOCABULARY", "remi-1")
    with pytest.raises(InputError, match=r"vocabulary 'performance-388\+3'; expected 'remi-1'"):
        read_record(path)


@pytest.mark.parametrize("payload", [b"not an example", tf.train.Example().SerializeToString()])
def test_a_record_of_other_content_is_refused(tmp_path, payload):
    with tf.io.TFRecordWriter(str(tmp_path / "x.tfrecord")) as writer:
        writer.write(payload)
    with pytest.raises(InputError, match="other content"):
        read_record(tmp_path / "x.tfrecord")


def test_specials_inside_a_piece_are_refused(tmp_path):
    write_record(tmp_path / "x.tfrecord", make_record([60, PAD], source="x"))
    with pytest.raises(InputError, match="token 388; expected 0 to 387"):
        read_record(tmp_path / "x.tfrecord")


def test_the_digest_names_the_content_on_every_machine():
    assert tokens_digest(np.array([356, 60, 355, 188])) == tokens_digest(np.array([356, 60, 355, 188], dtype=np.int16))
    assert tokens_digest(np.array([356, 60, 355, 188])) == "ab735cb529656047"
    assert tokens_digest(np.array([356, 61, 355, 189])) != tokens_digest(np.array([356, 60, 355, 188]))
