"""Token files: one piece as one TFRecord, readable by a plain `tf.data.TFRecordDataset`.

Each file holds one `tf.train.Example`:

    tokens      int64 list   performance tokens without start, end or padding
    seconds     float        length of the music
    source      bytes        relative path of the MIDI it came from, UTF-8
    digest      bytes        16 hex digits of the SHA-256 of the tokens: names the content
    vocabulary  bytes        version of the token table
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from ambient.errors import InputError
from ambient.music_transformer.config import VOCABULARY
from ambient.music_transformer.tokens import PAD, STEPS_PER_SECOND, duration_steps

SUFFIX = ".tfrecord"
REMEDY = "Run preprocess on its MIDI again"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One piece, ready to learn from.

    Attributes:
        tokens: [T] int16, performance tokens without specials.
        seconds: Length of the music.
        source: Where it came from.
        digest: Names the content: equal tokens, equal digest.
    """

    tokens: np.ndarray
    seconds: float
    source: str
    digest: str


def make_record(tokens: Sequence[int] | np.ndarray, *, source: str) -> TokenRecord:
    """Describe a token stream; the length is the sum of its time shifts."""
    array = np.asarray(tokens, dtype=np.int16)
    return TokenRecord(array, duration_steps(array) / STEPS_PER_SECOND, source, tokens_digest(array))


def tokens_digest(tokens: np.ndarray) -> str:
    """Return 16 hex digits that name a token stream, the same on every machine."""
    return hashlib.sha256(np.asarray(tokens, dtype="<i2").tobytes()).hexdigest()[:16]


def write_record(path: Path, record: TokenRecord) -> None:
    """Write one piece as a TFRecord file."""
    features = {
        "tokens": tf.train.Feature(int64_list=tf.train.Int64List(value=record.tokens.tolist())),
        "seconds": tf.train.Feature(float_list=tf.train.FloatList(value=[record.seconds])),
        "source": _text(record.source),
        "digest": _text(record.digest),
        "vocabulary": _text(VOCABULARY),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString(deterministic=True))


def read_record(path: Path) -> TokenRecord:
    """Read one piece.

    Raises:
        InputError: damaged, not ours, another vocabulary, or tokens that do not match their digest.
    """
    try:
        payloads = [bytes(item.numpy()) for item in tf.data.TFRecordDataset(str(path))]
    except tf.errors.OpError as error:
        found = f"damaged ({type(error).__name__})"
        raise InputError(path, found, "expected a TFRecord file of one piece", REMEDY) from error
    if len(payloads) != 1:
        raise InputError(path, f"{len(payloads)} records", "expected a TFRecord file of one piece", REMEDY)
    try:
        feature = tf.train.Example.FromString(payloads[0]).features.feature
        vocabulary = feature["vocabulary"].bytes_list.value[0].decode()
        source = feature["source"].bytes_list.value[0].decode()
        digest = feature["digest"].bytes_list.value[0].decode()
        seconds = float(feature["seconds"].float_list.value[0])
        tokens = np.array(feature["tokens"].int64_list.value, dtype=np.int64)
    except (IndexError, ValueError, RuntimeError) as error:
        raise InputError(path, "a record of other content", "expected tokens of one piece", REMEDY) from error
    except Exception as error:  # protobuf's DecodeError moves between releases
        if type(error).__name__ != "DecodeError":
            raise
        raise InputError(path, "a record of other content", "expected tokens of one piece", REMEDY) from error
    if vocabulary != VOCABULARY:
        raise InputError(path, f"vocabulary {vocabulary!r}", f"expected {VOCABULARY!r}", REMEDY)
    if tokens.size and (tokens.min() < 0 or tokens.max() >= PAD):
        raise InputError(path, f"token {int(tokens.max())}", f"expected 0 to {PAD - 1}", REMEDY)
    narrow = tokens.astype(np.int16)
    if tokens_digest(narrow) != digest:
        raise InputError(path, "tokens that do not match their digest", "expected an undamaged record", REMEDY)
    return TokenRecord(narrow, seconds, source, digest)


def _text(value: str) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
