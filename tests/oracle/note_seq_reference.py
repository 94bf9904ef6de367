"""Run note-seq, Magenta's library for notes, on random pieces and keep what goes in and what comes out.

    python tests/oracle/note_seq_reference.py FOLDER

Runs in the environment of requirements/oracle.lock, never in the project's. Writes `notes.npz` to FOLDER: random notes
and pedals, what the pedal makes of them, their piano rolls with Magenta's settings, and random rolls with the notes
that are read off them; the same pieces as performance tokens, and random tokens with the notes that they stand for.
"""

import sys
from pathlib import Path

import numpy as np
from note_seq import performance_encoder_decoder, performance_lib, sequences_lib
from note_seq.protobuf import music_pb2

PIECES = 6
FRAMES_PER_SECOND = 31.25
STEPS_PER_SECOND = 100
VELOCITY_BINS = 32
FIRST_VELOCITY = 356  # the token of the lowest


def random_piece(random, notes=150, pedals=40, seconds=20.0):
    """Return notes [n, 4] of start, pitch, end, velocity, and pedal values [m, 2] of time and value."""
    starts_s = random.uniform(0, seconds, notes)
    ends_s = starts_s + random.exponential(0.4, notes) + 0.01
    pitches = random.integers(15, 112, notes) if random.random() < 0.5 else random.integers(58, 66, notes)
    piece = np.stack([starts_s, pitches, ends_s, random.integers(1, 128, notes)], axis=1)
    return piece[np.argsort(starts_s)], np.stack(
        [np.sort(random.uniform(0, seconds + 3, pedals)), random.integers(0, 128, pedals)], axis=1
    )


def to_sequence(notes, pedals):
    """Build note-seq's own object."""
    sequence = music_pb2.NoteSequence()
    for start_s, pitch, end_s, velocity in notes:
        sequence.notes.add(start_time=start_s, pitch=int(pitch), end_time=end_s, velocity=int(velocity))
    for time_s, value in pedals:
        sequence.control_changes.add(time=time_s, control_number=64, control_value=int(value))
    sequence.total_time = max(note.end_time for note in sequence.notes)
    return sequence


def from_sequence(sequence):
    """Return notes [n, 4], sorted."""
    rows = sorted((note.start_time, note.pitch, note.end_time, note.velocity) for note in sequence.notes)
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def to_tokens(sequence):
    """Return the sequence as ids of note-seq's performance encoding."""
    quantized = sequences_lib.quantize_note_sequence_absolute(sequence, STEPS_PER_SECOND)
    performance = performance_lib.Performance(quantized, num_velocity_bins=VELOCITY_BINS)
    encoding = performance_encoder_decoder.PerformanceOneHotEncoding(VELOCITY_BINS)
    return np.array([encoding.encode_event(event) for event in performance])


def read_tokens(tokens):
    """Return the notes that ids of note-seq's performance encoding stand for, [n, 4], sorted."""
    encoding = performance_encoder_decoder.PerformanceOneHotEncoding(VELOCITY_BINS)
    performance = performance_lib.Performance(steps_per_second=STEPS_PER_SECOND, num_velocity_bins=VELOCITY_BINS)
    for token in tokens:
        performance.append(encoding.decode_event(int(token)))
    return from_sequence(performance.to_sequence())


def random_tokens(random, count=2000):
    """Return tokens of any kind in any order on few pitches; the first is a velocity, as a default is not theirs."""
    near = random.integers(58, 66, count)
    kinds = [near, 128 + near, random.integers(256, FIRST_VELOCITY, count), random.integers(FIRST_VELOCITY, 388, count)]
    tokens = np.choose(random.choice(4, count, p=[0.35, 0.35, 0.2, 0.1]), kinds)
    return np.concatenate([[FIRST_VELOCITY + 20], tokens])


def smooth(random, frames):
    """Return [frames, 88] of noise that stays for a few frames."""
    raw = random.random((frames + 4, 88))
    return sum(raw[shift : shift + frames] for shift in range(5)).astype(np.float32) / 5


def main(folder):
    """Write the reference to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {}
    for index in range(PIECES):
        random = np.random.default_rng(index)
        notes, pedals = random_piece(random)
        sustained = sequences_lib.apply_sustain_control_changes(to_sequence(notes, pedals))
        roll = sequences_lib.sequence_to_pianoroll(
            sustained,
            frames_per_second=FRAMES_PER_SECOND,
            min_pitch=21,
            max_pitch=108,
            max_velocity=max(note.velocity for note in sustained.notes),
            onset_mode="length_ms",
            onset_length_ms=32,
            offset_length_ms=32,
        )
        kept |= {f"notes{index}": notes, f"pedals{index}": pedals, f"sustained{index}": from_sequence(sustained)}
        kept |= {
            f"frame{index}": roll.active,
            f"onset{index}": roll.onsets,
            f"offset{index}": roll.offsets,
            f"velocity{index}": roll.onset_velocities,
        }
        onset, offset, frame = (smooth(random, 200) for _ in range(3))
        values = random.normal(0.5, 0.5, (200, 88)).astype(np.float32)
        offset_threshold = 0.6 if index % 2 else 0.0
        read = sequences_lib.pianoroll_to_note_sequence(
            frame > 0.5,
            frames_per_second=FRAMES_PER_SECOND,
            min_duration_ms=0,
            min_midi_pitch=21,
            onset_predictions=onset > 0.6,
            offset_predictions=offset > offset_threshold if offset_threshold else None,
            velocity_values=values,
        )
        kept |= {f"probabilities{index}": np.stack([onset, offset, frame, values]), f"read{index}": from_sequence(read)}
        kept[f"offset_threshold{index}"] = np.array(offset_threshold)
        stream = random_tokens(random)
        kept |= {f"tokens{index}": to_tokens(sustained)}
        kept |= {f"stream{index}": stream, f"stream_notes{index}": read_tokens(stream)}
        print(f"piece {index}: {len(notes)} notes, {len(roll.active)} frames, {len(read.notes)} notes read")
    np.savez_compressed(folder / "notes.npz", **kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
