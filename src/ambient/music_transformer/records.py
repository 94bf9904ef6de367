"""Token files: one piece as one TFRecord, readable by a plain `tf.data.TFRecordDataset`.

Each file holds one `tf.train.Example`:

    tokens      int64 list   performance tokens without start, end or padding
    seconds     float        length of the music
    source      bytes        relative path of the MIDI it came from, UTF-8
    digest      bytes        16 hex digits of the SHA-256 of the tokens: names the content
    vocabulary  bytes        version of the token table
    heard       int64        1 if a transcriber wrote the MIDI, else 0; files of version 0.1 lack it and count as 0
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.music_transformer.config import VOCABULARY
from ambient.music_transformer.fields import Fields, tokens_to_fields
from ambient.music_transformer.tfrecord import frame, read_example, read_payloads, write_example
from ambient.music_transformer.tokens import PAD, STEPS_PER_SECOND, duration_steps
from ambient.protobuf import DamagedBytesError

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
        fields: Its notes, on the grid of the tokens.
        heard: Whether a transcriber wrote it.
    """

    tokens: np.ndarray
    seconds: float
    source: str
    digest: str
    fields: Fields
    heard: bool = False


def make_record(tokens: Sequence[int] | np.ndarray, *, source: str, heard: bool = False) -> TokenRecord:
    """Describe a token stream; the length is the sum of its time shifts."""
    array = np.asarray(tokens, dtype=np.int16)
    seconds = duration_steps(array) / STEPS_PER_SECOND
    return TokenRecord(array, seconds, source, tokens_digest(array), tokens_to_fields(array), heard)


def tokens_digest(tokens: np.ndarray) -> str:
    """Return 16 hex digits that name a token stream, the same on every machine."""
    return hashlib.sha256(np.asarray(tokens, dtype="<i2").tobytes()).hexdigest()[:16]


def write_record(path: Path, record: TokenRecord) -> None:
    """Write one piece as a TFRecord file."""
    payload = write_example(
        {
            "tokens": record.tokens.tolist(),
            "seconds": float(record.seconds),
            "source": record.source.encode(),
            "digest": record.digest.encode(),
            "vocabulary": VOCABULARY.encode(),
            "heard": [int(record.heard)],
        }
    )
    path.write_bytes(frame(payload))


def read_record(path: Path) -> TokenRecord:
    """Read one piece.

    Raises:
        InputError: damaged, not ours, another vocabulary, or tokens that do not match their digest.
    """
    try:
        payloads = read_payloads(path)
    except DamagedBytesError as error:
        found = f"damaged ({error})"
        raise InputError(path, found, "expected a TFRecord file of one piece", REMEDY) from error
    if len(payloads) != 1:
        raise InputError(path, f"{len(payloads)} records", "expected a TFRecord file of one piece", REMEDY)
    try:
        features = read_example(payloads[0])
        vocabulary, source, digest = (_text(features[name]) for name in ("vocabulary", "source", "digest"))
        seconds, tokens = float(features["seconds"]), np.asarray(features["tokens"], dtype=np.int64)
        heard = bool(np.any(np.asarray(features.get("heard", 0))))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(path, "a record of other content", "expected tokens of one piece", REMEDY) from error
    if vocabulary != VOCABULARY:
        raise InputError(path, f"vocabulary {vocabulary!r}", f"expected {VOCABULARY!r}", REMEDY)
    if tokens.size and (tokens.min() < 0 or tokens.max() >= PAD):
        raise InputError(path, f"token {int(tokens.max())}", f"expected 0 to {PAD - 1}", REMEDY)
    narrow = tokens.astype(np.int16)
    if tokens_digest(narrow) != digest:
        raise InputError(path, "tokens that do not match their digest", "expected an undamaged record", REMEDY)
    return TokenRecord(narrow, seconds, source, digest, tokens_to_fields(narrow), heard)


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError("expected text")
    return value.decode()
