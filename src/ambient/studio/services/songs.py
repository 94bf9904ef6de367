"""The songs: what each sounds and looks like, whether it is used for training, and which are unlike the others."""

import json
import statistics
import threading
import wave
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ambient.errors import InputError
from ambient.names import is_audio_name, standard_names
from ambient.studio.services.notes import Music, read_music, rows
from ambient.studio.store import MIDI, SET_ASIDE, SONGS, WAV, LocalStore, StoredFile

if TYPE_CHECKING:
    import numpy as np

PEAKS = 1200
_PEAK_RATE_HZ, _PEAK_STEP = 8000, 80
_FEW_SONGS = 5  # among fewer, none can be said to be unlike the others
_UNLIKE = 4.0  # robust standard deviations from the median
_LEAST_SPREAD = {"pitch": 3.0, "density": 0.4, "length": 0.1, "together": 0.4}
_WORDS = {
    "pitch": ("much lower", "much higher"),
    "density": ("much sparser", "much busier"),
    "length": ("much shorter notes", "much longer notes"),
    "together": ("much thinner", "much fuller"),
}
_FIGURE = 5  # pitches in a row
_ALIKE = 0.35  # of all figures of two songs are in both: the same piece, perhaps another recording


class Songs:
    """Describes the songs of the store.

    Args:
        store: Where they are.
        folder: Remembers what was heard in songs that are set aside now, and waveforms of songs that were not heard.
    """

    def __init__(self, store: LocalStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._memory = folder / "heard.json"
        self._lock = threading.Lock()
        self._measuring = threading.Semaphore(2)  # recordings that are decoded at a time
        folder.mkdir(parents=True, exist_ok=True)

    def listed(self) -> list[dict[str, Any]]:
        """Describe all songs, those that are used and those that are set aside, by name."""
        used, aside = self._store.files(SONGS), self._store.files(SET_ASIDE)
        heard = self._heard(used)
        songs = [self._described(e, heard, used=True) for e in used if is_audio_name(e.path)]
        songs += [self._described(e, heard, used=False) for e in aside]
        _mark_unlike(songs)
        _mark_twins(songs)
        for song in songs:
            song.pop("figures", None)
        return sorted(songs, key=lambda song: song["name"].lower())

    def file(self, song: str) -> StoredFile:
        """Find a song.

        Raises:
            StoreError: it is not there now.
        """
        return self._store.file((SONGS, SET_ASIDE), song)

    def switch(self, song: str, *, used: bool) -> None:
        """Use a song for training, or set it aside; its file stays in the store either way.

        Raises:
            StoreError: it is not there now.
        """
        source, target = (SET_ASIDE, SONGS) if used else (SONGS, SET_ASIDE)
        self._heard(self._store.files(SONGS))  # so that what was heard is remembered
        if any(each.digest == song for each in self._store.files(target)):
            return
        path = self._store.file([source], song).path
        self._store.move(path, source, target, f"{'use' if used else 'set aside'} {path}")

    def music(self, song: str) -> Music | None:
        """Read what was heard in a song; None if nothing was yet."""
        midi = self._heard(self._store.files(SONGS)).get(song, {}).get("midi")
        return _music(self._store.place(midi)) if midi else None

    def transcription(self, song: str) -> dict[str, Any]:
        """Give the notes of a song for the page."""
        music = self.music(song)
        if music is None:
            return {"notes": [], "confidences": None, "seconds": None}
        return {"notes": rows(music.notes), "confidences": music.confidences, "seconds": music.seconds}

    def peaks(self, song: str) -> dict[str, Any]:
        """Measure the waveform: the largest amplitude, 0-1, of each of many equal parts."""
        place = self.sound(song)
        return _peaks(place) if place else self._own_peaks(song)

    def sound(self, song: str) -> Path | None:
        """Return the WAV that the chain made of a song; None if there is none yet."""
        wav = self._heard(self._store.files(SONGS)).get(song, {}).get("wav")
        place = self._store.place(wav) if wav else None
        return place if place and place.exists() else None

    def _own_peaks(self, song: str) -> dict[str, Any]:
        """Measure a recording that the chain has not made a WAV of, and remember it; nothing if it has no sound."""
        from ambient.audio import decoded_blocks  # here, because numpy comes with it

        memory = self._folder / f"peaks-{song}.json"
        with self._measuring:
            if not memory.exists():
                try:
                    found = _peaks_of(decoded_blocks(self._store.place(song), rate_hz=_PEAK_RATE_HZ, channels=1))
                except (InputError, OSError):
                    return {"peaks": [], "seconds": None}
                partial = memory.with_suffix(".partial")
                partial.write_text(json.dumps(found), encoding="utf-8")
                partial.replace(memory)
        return _read_json(memory)

    def _heard(self, used: list[StoredFile]) -> Mapping[str, Mapping[str, str]]:
        """Say by the digest of a song which WAV and MIDI the chain has made of it, also of those made before."""
        stems = {
            o: PurePosixPath(n).stem for o, n in standard_names(e.path for e in used if is_audio_name(e.path)).items()
        }
        made = {kind: {PurePosixPath(e.path).stem: e.digest for e in self._store.files(repo)} for kind, repo in _KINDS}
        with self._lock:
            memory: dict[str, dict[str, str]] = _read_json(self._memory)
            found = {song: dict(entry) for song, entry in memory.items()}
            for each in used:
                stem = stems.get(each.path)
                entry = {kind: digests[stem] for kind, digests in made.items() if stem in digests}
                if entry:
                    found[each.digest] = {**found.get(each.digest, {}), **entry}
            if found != memory:
                partial = self._memory.with_suffix(".partial")
                partial.write_text(json.dumps(found), encoding="utf-8")
                partial.replace(self._memory)
        return found

    def _described(self, file: StoredFile, heard: Mapping[str, Mapping[str, str]], *, used: bool) -> dict[str, Any]:
        song: dict[str, Any] = {"id": file.digest, "name": file.path, "bytes": file.size, "used": used, "unlike": []}
        midi = heard.get(file.digest, {}).get("midi")
        music = _music(self._store.place(midi)) if midi else None
        if music is None:
            return song | {"heard": False}
        return song | {"heard": True, "confidence": music.confidence, **_character(self._store.place(str(midi)))}


_KINDS = (("wav", WAV), ("midi", MIDI))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a memory only: what is lost is found again
        return {}
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=256)
def _music(place: Path) -> Music | None:
    try:
        return read_music(place, "the transcription")
    except (InputError, OSError):
        return None


@lru_cache(maxsize=1024)
def _character(place: Path) -> dict[str, Any]:
    """Measure a transcription; the figures are hashes of pitches in a row."""
    music = _music(place)
    notes = music.notes if music else []
    if not notes:
        return {"notes": 0, "seconds": 0.0}
    seconds = max(note.end_s for note in notes)
    pitches = [note.pitch for note in notes]
    lengths = [note.end_s - note.start_s for note in notes]
    return {
        "notes": len(notes),
        "seconds": round(seconds, 1),
        "pitch": float(statistics.median(pitches)),
        "density": len(notes) / max(1.0, notes[-1].start_s - notes[0].start_s),
        "length": float(statistics.median(lengths)),
        "together": sum(lengths) / max(1.0, seconds),
        "figures": frozenset(tuple(pitches[i : i + _FIGURE]) for i in range(len(pitches) - _FIGURE)),
    }


def _mark_unlike(songs: list[dict[str, Any]]) -> None:
    """Say of each song in which way it is unlike most of those that are used."""
    transcribed = [song for song in songs if song.get("notes")]
    used = [song for song in transcribed if song["used"]]
    if len(used) < _FEW_SONGS:
        return
    for name, words in _WORDS.items():
        values = [song[name] for song in used]
        middle = statistics.median(values)
        spread = max(1.4826 * statistics.median(abs(v - middle) for v in values), _LEAST_SPREAD[name])
        for song in transcribed:
            distance = (song[name] - middle) / spread
            if abs(distance) > _UNLIKE:
                song["unlike"].append(words[distance > 0])


def _mark_twins(songs: list[dict[str, Any]]) -> None:
    """Name for each song another one that is nearly the same music."""
    for index, song in enumerate(songs):
        for other in songs[:index]:
            mine, theirs = song.get("figures"), other.get("figures")
            if mine and theirs and len(mine & theirs) > _ALIKE * len(mine | theirs):
                song["twin"], other["twin"] = other["name"], song["name"]


@lru_cache(maxsize=256)
def _peaks(place: Path) -> dict[str, Any]:
    import numpy as np  # here, because the page is there before it is needed

    with wave.open(str(place)) as file:
        frames, rate, channels = file.getnframes(), file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(frames), dtype="<i2").reshape(-1, channels)[:, 0]
    return {"peaks": _largest(np.abs(samples.astype(np.float32)) / 32768), "seconds": frames / rate}


def _peaks_of(blocks: "Iterable[np.ndarray]") -> dict[str, Any]:
    """Measure a recording while it is decoded: [channels, samples] blocks at the rate of peaks."""
    import numpy as np  # here, because the page is there before it is needed

    largest, samples, rest = [], 0, np.zeros(0, np.float32)
    for block in blocks:
        samples += block.shape[1]
        line = np.concatenate([rest, np.abs(block).max(axis=0)])
        whole = len(line) // _PEAK_STEP * _PEAK_STEP
        largest.append(line[:whole].reshape(-1, _PEAK_STEP).max(axis=1))
        rest = line[whole:]
    steps = np.concatenate([*largest, *([rest.max(keepdims=True)] if len(rest) else [])])
    return {"peaks": _largest(steps), "seconds": samples / _PEAK_RATE_HZ}


def _largest(amplitudes: "np.ndarray") -> list[float]:
    """Return the largest of each of at most PEAKS equal parts."""
    import numpy as np  # here, because the page is there before it is needed

    part = max(1, -(-len(amplitudes) // PEAKS))
    padded = np.pad(amplitudes, (0, -len(amplitudes) % part))
    return [round(min(1.0, float(each)), 3) for each in padded.reshape(-1, part).max(axis=1)]
