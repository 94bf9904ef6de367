"""What a trained composer says about itself: the record of its training, and the card for people."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ambient.music_transformer.config import ModelConfig, TrainingConfig
from ambient.music_transformer.data import Piece, Split
from ambient.music_transformer.placement import placement_nats
from ambient.music_transformer.records import TokenRecord
from ambient.music_transformer.training import TrainingResult


def bits_per_second(nats_per_note: float, pieces: Sequence[Piece]) -> float:
    """Return what a second of music costs, to 10 ms and 32 velocities: comparable between kinds of models.

    Args:
        nats_per_note: What the network pays for bins.
        pieces: The music it was measured on.
    """
    notes = sum(len(piece.counted) + piece.ends for piece in pieces)
    placed = sum(float(placement_nats(piece.fields)[piece.context :].sum()) for piece in pieces)
    seconds = sum(piece.counted.seconds for piece in pieces)
    return (nats_per_note * notes + placed) / math.log(2) / max(seconds, 1e-9)


def describe_training(
    result: TrainingResult,
    config: TrainingConfig,
    split: Split,
    records: Sequence[TokenRecord],
    measured: Sequence[TokenRecord],
    *,
    origin: str,
    held_out: float,
    precision: str,
) -> dict[str, Any]:
    """Return the record of a training as JSON values; no paths and no clock times, so that a repeat gives the same.

    Args:
        result: What happened.
        config: What was asked for.
        split: What was trained on and held out.
        records: The songs of the corpus.
        measured: The songs that the held-out part comes from.
        origin: Where the first weights came from.
        held_out: Nats per note of the final weights over the whole held-out part.
        precision: Of the matrix products.
    """
    digests = "".join(sorted(record.digest for record in [*records, *measured]))
    return {
        "origin": origin,
        "settings": {**asdict(config), "precision": precision},
        "data": {
            "digest": hashlib.sha256(digests.encode()).hexdigest()[:16],
            "songs": len(records),
            "notes": sum(len(record.fields) for record in records),
            "heard_songs": sum(record.heard for record in records),
            "minutes": round(sum(record.seconds for record in records) / 60, 2),
        },
        "held_out": {
            "what": split.explanation,
            "notes": sum(len(piece.counted) for piece in split.held_out),
            "seconds": round(split.held_out_seconds, 2),
            "nats_per_note_before": round(result.before, 4),
            "nats_per_note": round(held_out, 4),
            "bits_per_second": round(bits_per_second(held_out, split.held_out), 2),
        },
        "steps": result.steps,
        "best_step": result.best_step,
        "notes_seen": result.notes_seen,
        "stopped_by": result.stopped_by,
        "history": [{name: entry[name] for name in ("step", "training", "held_out")} for entry in result.history],
    }


def model_card(config: ModelConfig, training: dict[str, Any]) -> str:
    """Return the model card, Markdown; `crops` names those of a training in phases, else they are in the settings."""
    data, held_out, settings = training["data"], training["held_out"], training["settings"]
    crops = training.get("crops") or [f"{settings['batch_size']} × {settings['max_seq']}"]
    return f"""# A composer

A Music Transformer ({config.layers} blocks of width {config.width}, {config.heads} heads, vocabulary
`{config.vocabulary}`) that continues piano music. Compose with
`python3 -m stages.generate --load_path THIS_FOLDER --inputs PRIMER.mid --save_path OUT.mid`.

- Weights: {training["origin"]}; {training["steps"]} steps of {", ".join(crops)} notes,
  best at step {training["best_step"]}, stopped by {training["stopped_by"]}; random seed {settings["seed"]}.
- Learned from: {data["songs"]} songs, {data["notes"]} notes, {data["minutes"]} minutes (digest `{data["digest"]}`).
- Held out: {held_out["what"]}; {held_out["notes"]} notes, {held_out["seconds"]} seconds of music.
- Held-out loss: {held_out["nats_per_note"]} nats per note, {held_out["bits_per_second"]} bits per second of music
  (before training {held_out["nats_per_note_before"]} nats per note).
- Limits: solo keyboard music without tempo, metre or pedal events; a model of few songs recites them.
"""
