"""Run Magenta's own Onsets and Frames with random weights and keep what goes in and what comes out.

    python tests/oracle/magenta_reference.py FOLDER

Runs in the environment of requirements/oracle.lock, never in the project's. Writes to FOLDER: `song.wav`; `train/`, a
TF1 checkpoint as in the official zip, with an optimizer's leftovers in it; `heads.npz`, the picture that the original
made of the WAV file, the answers of its heads, and the notes that it read off them.
"""

import os
import sys
import wave
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np


def alias_legacy_layers():
    """Let tensorflow-probability of that time find Keras' old layers under the name that it knows."""
    import importlib

    for name in ("", ".base", ".convolutional", ".core", ".normalization", ".pooling"):
        sys.modules[f"tf_keras.legacy_tf_layers{name}"] = importlib.import_module(f"keras.src.legacy_tf_layers{name}")


def write_song(path):
    """Write eight seconds of decaying tones and noise, quiet passages included."""
    random = np.random.default_rng(5)
    time_s = np.arange(8 * 16_000 + 321) / 16_000
    song = 0.002 * random.standard_normal(len(time_s))
    for start_s in np.arange(0.1, 7.0, 0.31):
        hz, decay = 440 * 2 ** (random.integers(-30, 30) / 12), random.uniform(1, 8)
        since_s = np.maximum(time_s - start_s, 0)
        song += 0.2 * random.random() * np.sin(2 * np.pi * hz * since_s) * np.exp(-decay * since_s) * (since_s > 0)
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes((song * 20_000).astype("<i2").tobytes())


def randomise(session, variables):
    """Give every variable a value that shows where it ends up: biases and statistics too, LSTMs strong."""
    random = np.random.default_rng(11)
    for variable in variables:
        name, shape = variable.op.name, variable.shape.as_list()
        if not shape:
            continue
        if name.endswith("moving_variance"):
            value = random.uniform(0.5, 2.0, shape)
        elif name.endswith("onset_velocities/biases"):
            value = random.uniform(0.2, 0.8, shape)
        elif name.endswith(("moving_mean", "beta", "bias", "biases")):
            value = random.normal(0.0, 0.3, shape)
        elif "onset_velocities" in name:  # between 0 and 1, as a trained one
            value = random.normal(0.0, 0.01, shape)
        else:
            reach = np.sqrt(6.0 / (np.prod(shape[:-1]) + shape[-1]))
            value = random.uniform(-reach, reach, shape) * (3.0 if "probs" in name or "kernel" in name else 1.3)
        variable.load(value.astype(np.float32), session)


def main(folder):
    """Write the reference to the folder."""
    alias_legacy_layers()
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    from magenta.models.onsets_frames_transcription import configs, data, onsets_frames_transcription_transcribe
    from note_seq.protobuf import music_pb2

    folder.mkdir(parents=True, exist_ok=True)
    write_song(folder / "song.wav")
    config = configs.CONFIG_MAP["onsets_frames"]
    hparams = config.hparams
    hparams.batch_size = 1
    hparams.truncated_length_secs = 0
    with tf.Graph().as_default(), tf.Session() as session:
        example = onsets_frames_transcription_transcribe.create_example(
            str(folder / "song.wav"), hparams.sample_rate, False
        )
        dataset = data.provide_batch(
            examples=tf.constant([example]),
            preprocess_examples=True,
            params=hparams,
            is_training=False,
            shuffle_examples=False,
            skip_n_initial_records=0,
        )
        iterator = tf.data.make_initializable_iterator(dataset)
        features, labels = iterator.get_next()
        spec = config.model_fn(features, labels, tf.estimator.ModeKeys.PREDICT, hparams, None)
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer(), iterator.initializer])
        weights = [
            v for v in tf.global_variables() if v.op.name.split("/")[0] in ("onsets", "offsets", "velocity", "frame")
        ]
        randomise(session, weights)
        leftovers = [
            tf.get_variable("onsets/conv0/weights/Adam", initializer=np.ones((3, 3, 1, 48), np.float32)),
            tf.train.get_or_create_global_step(),
        ]
        session.run([variable.initializer for variable in leftovers])
        (folder / "train").mkdir(exist_ok=True)
        tf.train.Saver([*weights, *leftovers]).save(session, str(folder / "train" / "model.ckpt"), global_step=1234)
        graph = tf.get_default_graph()
        found = session.run(
            {
                "picture": features.spec,
                "onset": spec.predictions["onset_probs"],
                "offset": graph.get_tensor_by_name("offsets/offset_probs/Sigmoid:0"),
                "frame": spec.predictions["frame_probs"],
                "velocity": spec.predictions["velocity_values"],
                "sequence": spec.predictions["sequence_predictions"],
            }
        )
    sequence = music_pb2.NoteSequence.FromString(found.pop("sequence")[0])
    notes = [(note.start_time, note.pitch, note.end_time, note.velocity) for note in sequence.notes]
    heads = {name: np.squeeze(value) for name, value in found.items()}
    np.savez_compressed(folder / "heads.npz", notes=np.array(sorted(notes), dtype=np.float64), **heads)
    for name, value in heads.items():
        print(
            f"{name}: {value.shape}, {value.min():.4f} to {value.max():.4f}, above one half {np.mean(value > 0.5):.3f}"
        )
    print(f"{len(notes)} notes, {len(weights)} variables")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
