"""Hear piano notes with Transkun: the one door to the transkun package and to torch.

Conventions: the network listens to 44.1 kHz, and to nothing above 8 kHz. It hears the keys and the sustain pedal apart;
the pedal is folded into the notes here, as the other transcribers' notes have it in them. Its weights lie in the
package (MIT); they were trained on MAESTRO, whose licence is non-commercial. Yan and Duan, ISMIR 2024.
"""

import json
import math
import warnings
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from ambient.errors import InputError
from ambient.notes import SUSTAIN_CONTROLLER, Note, PedalEvent, apply_sustain, cut_at_restrikes
from ambient.transcribers.recording import Recording
from ambient.transcribers.resampling import Resampled
from ambient.transcribers.transcription import Transcription

PART_S = 240.0  # heard at once; memory grows with it
MARGIN_S = 32.0  # heard before and after a part, so that a note at its edge is heard whole: two of its windows
_INSTALL = "Install it with pip install transkun"


class Transkun:
    """Transkun with the weights of the installed package.

    Raises:
        InputError: the package, or what it needs, is not installed.
    """

    def __init__(self) -> None:
        try:
            import torch
            from transkun.ModelTransformer import Config, TransKun
        except (ImportError, OSError) as error:  # torch's libraries can be there and not load
            reason = " ".join(str(error).split())[:200]
            raise InputError("transkun", f"not installed ({reason})", "expected its package", _INSTALL) from error
        folder = resources.files("transkun") / "pretrained"
        config = Config()
        for name, value in json.loads((folder / "2.0.conf").read_text())["Model"]["config"].items():
            setattr(config, name, value)
        with resources.as_file(folder / "2.0.pt") as weights:
            stored = torch.load(weights, map_location="cpu", weights_only=True)
        self._torch: Any = torch
        self._model: Any = TransKun(conf=config)
        self._model.load_state_dict(stored.get("best_state_dict", stored.get("state_dict")), strict=False)
        self._model.eval()

    @property
    def name(self) -> str:
        """What hears, and which version of it."""
        return f"transkun {metadata.version('transkun')}"

    def transcribe(self, path: Path | str, *, scratch: Path | None = None) -> Transcription:
        """Transcribe a WAV file; the network does not say how sure it is.

        Args:
            path: 16 kHz.
            scratch: Not used.

        Raises:
            InputError: the file is not a 16 kHz WAV file.
        """
        with Recording(path) as recording:
            level = recording.level
            notes: list[Note] = []
            if level > 0:
                played: list[Note] = []
                pedals: list[PedalEvent] = []
                for found in self._hear(Resampled(recording, int(self._model.fs))):
                    if found.pitch == -SUSTAIN_CONTROLLER:  # pedals come as notes of the controller's negative number
                        pedals += [PedalEvent(found.start, True), PedalEvent(found.end, False)]
                    elif found.pitch > 0:
                        end_s = max(float(found.end), float(found.start) + 0.001)
                        velocity = min(max(int(found.velocity), 1), 127)
                        played.append(Note(float(found.start), int(found.pitch), end_s, velocity))
                notes = cut_at_restrikes(apply_sustain(played, pedals))
            return Transcription(notes, None, recording.seconds, level, recording.missing_seconds)

    def _hear(self, recording: Resampled) -> Iterator[Any]:
        """Yield Transkun's notes, part by part, each by the part in which it starts."""
        rate_hz = int(self._model.fs)
        seconds = len(recording) / rate_hz
        for first_s, last_s in parts(seconds):
            begin = max(round((first_s - MARGIN_S) * rate_hz), 0)
            end = min(round(min(last_s + MARGIN_S, seconds) * rate_hz), len(recording))
            heard = self._torch.from_numpy(recording.read(begin, end - begin)[:, np.newaxis])
            with self._torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # torch's, about how the package trains
                found = self._model.transcribe(heard)
            for note in found:
                note.start += begin / rate_hz
                note.end += begin / rate_hz
                if first_s <= note.start < last_s:
                    yield note


def parts(seconds: float) -> list[tuple[float, float]]:
    """Cut a recording into parts of equal length, none longer than `PART_S`; the last one ends nowhere."""
    count = max(math.ceil(seconds / PART_S), 1)
    edges = [seconds * index / count for index in range(count)]
    return list(zip(edges, [*edges[1:], math.inf], strict=True))
