"""Turn a piece and its layers into finished files in flat memory: play, measure, then bring to level and write.

The first pass plays each strand (a layer, or one register of it) block by block into a temporary file and listens to
it. What it heard decides how loud the layers stand to each other and which gain every moment gets; the second pass
reads the strands again, applies the gain, and writes them. Strands are rounded to 24 bits before they are added, so
stems add up to the mix sample by sample.

Conventions: sound is [2, samples] float32.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

import numpy as np

from ambient.errors import InputError
from ambient.midi import ChannelEvents
from ambient.notes import Note
from ambient.sound.encoding import FULL_SCALE, LOSSLESS, Encoder
from ambient.sound.file_sounds import FileSoundsPlayer
from ambient.sound.filters import HalfBand
from ambient.sound.loudness import PEAK_STEP, TARGET_LUFS, Fades, GainCurve, Meter, gain_curve
from ambient.sound.preset import Preset, Sampled, Struck, Sustained, Tone
from ambient.sound.soundfont import SoundfontPlayer
from ambient.sound.space import Room
from ambient.sound.spectrogram import Spectrogram
from ambient.sound.tape import MonoBass, TapeMachine
from ambient.sound.voices import BLOCK, REGISTERS, StruckPlayer, SustainedPlayer, fitted_pitch, held_notes

_BEHIND_DB = -6.0  # a second layer against the first
_CEILING_DB = {True: -1.1, False: -2.0}  # lossless; coders move peaks by up to a decibel
_CODER_DB = {"mp3": 0.26}  # LAME turns everything down by so much at 192 kb/s
_SILENT_DB = -66.0  # against the loudest sample
_FADE_S = 3.0
_CUT_FADE_S = 12.0  # where --minutes ends the piece
_BLOCK_BYTES = 2 * BLOCK * 4
_PIECE = 2 * BLOCK  # samples that are brought to level and written at once


@dataclass(frozen=True, slots=True)
class Layer:
    """One sound that plays the piece.

    Attributes:
        preset: The instrument.
        notes: What it plays, the first at about 0 s.
        channels: Prepared channels of a file that plays its own sounds, in place of the preset's tones.
    """

    preset: Preset
    notes: tuple[Note, ...]
    channels: tuple[ChannelEvents, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """How pieces are rendered.

    Attributes:
        rate_hz: 44,100 or 48,000.
        audio_format: A key of `encoding.FORMATS`.
        seed: Decides all that is random.
        soundfont: For soundfont tones.
        stems: Write the strands too.
        longest_s: The piece fades out there.
        effect: Makes what changes the blocks of a layer before its room, for a sample rate.
        picture: Look at the sound for a spectrogram.
    """

    rate_hz: int = 48_000
    audio_format: str = "mp3"
    seed: int = 0
    soundfont: Path | None = None
    stems: bool = False
    longest_s: float = math.inf
    effect: Callable[[int], Callable[[np.ndarray, int], np.ndarray]] | None = None
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written.

    Attributes:
        seconds: Length.
        stems: Files of the strands, if asked for.
        spectrogram: [rows, columns] dB below the loudest, if asked for.
    """

    seconds: float
    stems: tuple[Path, ...]
    spectrogram: np.ndarray | None


class Player(Protocol):
    """Something that plays notes into the registers of a block."""

    end: int

    def add(self, block: np.ndarray, first: int) -> None:
        """Add what sounds from `first` on."""


def prepared(notes: Sequence[Note], *, transpose: int = 0, slower: float = 1.0) -> list[Note]:
    """Return the notes so that the first starts at 0, moved and stretched.

    Args:
        notes: At least one.
        transpose: Semitones; what would leave 0-127 is moved by octaves.
        slower: Factor of all times.
    """
    begin_s = min(note.start_s for note in notes)
    moved = []
    for note in notes:
        pitch = fitted_pitch(note.pitch + transpose, (0, 127))
        start_s, end_s = (note.start_s - begin_s) * slower, (note.end_s - begin_s) * slower
        moved.append(Note(start_s, pitch, end_s, note.velocity))
    return sorted(moved)


class Strand:
    """A layer, or some registers of it, from its notes to its room.

    Sustained tones and the room are made at half the sample rate, struck tones of a full-band preset and soundfonts at
    all of it: above 10 kHz there is only the sparkle of what is struck.

    Args:
        layer: What plays.
        settings: How.
        index: Number of the layer; layers of one preset differ by chance.
        registers: Which of the three play.
    """

    def __init__(self, layer: Layer, settings: Settings, index: int, registers: tuple[int, ...] = (0, 1, 2)) -> None:
        preset, seed = layer.preset, settings.seed * 16 + index
        half_hz = settings.rate_hz // 2
        notes = [note for note in held_notes(layer.notes, preset.hold_s) if note.start_s < settings.longest_s]
        self._full: list[Player] = []
        self._half: list[Player] = []
        for number, tone in enumerate(preset.tones):
            rate_hz = (
                half_hz
                if isinstance(tone, Sustained) or (isinstance(tone, Struck) and not preset.full_band)
                else settings.rate_hz
            )
            player = _player(tone, notes, settings, rate_hz=rate_hz, seed=seed * 16 + number, registers=registers)
            (self._half if rate_hz == half_hz else self._full).append(player)
        if layer.channels:
            assert settings.soundfont is not None
            self._full.append(
                FileSoundsPlayer(layer.channels, settings.soundfont, rate_hz=settings.rate_hz, registers=registers)
            )
        rate_hz = settings.rate_hz if self._full else half_hz
        self._tape = TapeMachine(preset.tape, rate_hz=rate_hz, seed=seed)
        self._effect = settings.effect(rate_hz) if settings.effect else None
        self._room = Room(preset.space, rate_hz=half_hz, seed=seed)
        self._bass = MonoBass(rate_hz)
        self._registers_up, self._up, self._down = HalfBand(6), HalfBand(), HalfBand()
        self._at = 0
        ends = [2 * player.end for player in self._half] + [player.end for player in self._full]
        self.samples = max(ends) + 2 * self._room.tail

    def block(self) -> np.ndarray:
        """Return the next samples: [2, 2 BLOCK]."""
        first, self._at = self._at, self._at + BLOCK
        registers = np.zeros((3, 2, BLOCK), np.float32)
        for player in self._half:
            player.add(registers, first)
        if not self._full:
            sound = self._changed(self._tape(registers, first), first)
            wet = self._room(sound, first)
            wet += sound * self._room.dry
            return self._up.double(self._bass(wet))
        if self._half:
            full = self._registers_up.double(registers.reshape(6, BLOCK)).reshape(3, 2, 2, BLOCK)
        else:
            full = np.zeros((3, 2, 2, BLOCK), np.float32)
        for part in range(2):
            for player in self._full:
                player.add(full[:, :, part], 2 * first + part * BLOCK)
        sound = self._changed(self._tape(full.reshape(3, 2, 2 * BLOCK), 2 * first), 2 * first)
        wet = self._up.double(self._room(self._down.halve(sound), first))
        wet += sound * self._room.dry
        return self._bass(wet)

    def _changed(self, sound: np.ndarray, first: int) -> np.ndarray:
        return sound if self._effect is None else self._effect(sound, first)


def _player(
    tone: Tone, notes: Sequence[Note], settings: Settings, *, rate_hz: int, seed: int, registers: tuple[int, ...]
) -> Player:
    if isinstance(tone, Sustained):
        return SustainedPlayer(tone, notes, rate_hz=rate_hz, seed=seed, registers=registers)
    if isinstance(tone, Struck):
        return StruckPlayer(tone, notes, rate_hz=rate_hz, seed=seed, registers=registers)
    assert isinstance(tone, Sampled)
    assert settings.soundfont is not None
    return SoundfontPlayer(tone, notes, settings.soundfont, rate_hz=rate_hz, registers=registers)


class _Spool:
    """A strand that has been played, in a temporary file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._held, self._blocks = (0, 0), np.zeros((0, 2, BLOCK), np.float32)  # what was read last

    def write(self, sound: np.ndarray) -> None:
        """Add [2, n BLOCK]."""
        try:
            for at in range(0, sound.shape[1], BLOCK):
                self._file.write(sound[:, at : at + BLOCK].tobytes())
        except OSError as error:
            expected, remedy = "expected room for 23 MB a minute and layer", "Free space there, or set TMPDIR"
            raise InputError(tempfile.gettempdir(), (error.strerror or "").lower(), expected, remedy) from error

    def read(self, first: int, count: int) -> np.ndarray:
        """Return [2, count] from sample `first` on."""
        begin, end = first // BLOCK, -(-(first + count) // BLOCK)
        if (begin, end) != self._held:  # what the limiter asks for is short, and often lies in the same block
            self._file.seek(begin * _BLOCK_BYTES)
            read = self._file.read((end - begin) * _BLOCK_BYTES)
            self._held, self._blocks = (begin, end), np.frombuffer(read, np.float32).reshape(-1, 2, BLOCK)
        blocks = self._blocks
        sound = blocks[0] if len(blocks) == 1 else blocks.transpose(1, 0, 2).reshape(2, -1)
        return sound[:, first - begin * BLOCK : first - begin * BLOCK + count]


def render_piece(layers: Sequence[Layer], target: Path, settings: Settings, tags: Mapping[str, str]) -> Rendered:
    """Play the layers and write the finished sound.

    Args:
        layers: At least one; the first stands in front.
        target: The file to write; stems are written beside it as `NAME.STEM.ENDING`.
        settings: How.
        tags: What the file says of itself.

    Raises:
        InputError: a soundfont cannot be played, ffmpeg cannot write the format, or the temporary folder is full.
        OSError: the file cannot be written, or the disk is full.
    """
    with ExitStack() as stack:
        names, spools, meters = [], [], []
        strands = _strands(layers, settings)
        for name, strand in strands:
            spool = _Spool(stack.enter_context(tempfile.TemporaryFile()))
            meter = Meter(settings.rate_hz, with_peaks=len(strands) == 1)
            cut = settings.longest_s * settings.rate_hz
            while meter.samples < min(strand.samples, cut):
                block = strand.block()
                spool.write(block)
                meter(block)
            names.append(name)
            spools.append(spool)
            meters.append(meter)
        heard = [meter.loudness_lufs() for meter in meters]
        gains = _balanced(heard) if len(layers) > 1 else [1.0] * len(spools)
        sources = list(zip(spools, gains, [meter.samples for meter in meters], strict=True))
        meter = meters[0] if len(sources) == 1 else _measured(sources, settings.rate_hz)
        samples, fades = _ends(meter, settings)
        curve = gain_curve(
            meter,
            lambda first, count: _added(_scaled(sources, first, count)),
            ceiling_db=_CEILING_DB[settings.audio_format in LOSSLESS],
            target_lufs=TARGET_LUFS + _CODER_DB.get(settings.audio_format, 0.0),
            fades=fades,
        )
        stems = [target.with_name(f"{target.stem}.{name}{target.suffix}") for name in names if settings.stems]
        stack.push(partial(_without_unfinished, stems))
        files = [
            stack.enter_context(Encoder(path, settings.audio_format, rate_hz=settings.rate_hz, tags=tags))
            for path in (target, *stems)
        ]
        picture = Spectrogram(settings.rate_hz, samples / settings.rate_hz) if settings.picture else None
        for first, gain in _gains(curve, samples):
            sounds = [_rounded(sound * gain) for sound in _scaled(sources, first, len(gain))]
            mix = _added(sounds)
            for file, sound in zip(files, (mix, *sounds), strict=False):
                file.write(sound)
            if picture is not None:
                picture(mix, first)
    return Rendered(samples / settings.rate_hz, tuple(stems), picture.picture() if picture else None)


def _without_unfinished(
    stems: Sequence[Path], kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
) -> None:
    """Remove the stems if something went wrong; the caller does so with the mix."""
    for stem in stems if kind else ():
        stem.unlink(missing_ok=True)


def _strands(layers: Sequence[Layer], settings: Settings) -> "list[tuple[str, Strand]]":
    if len(layers) == 1 and settings.stems:
        return [(name, Strand(layers[0], settings, 0, (i,))) for i, name in enumerate(REGISTERS)]
    return [
        (f"{index + 1}-{layer.preset.name.replace(' ', '-')}", Strand(layer, settings, index))
        for index, layer in enumerate(layers)
    ]


def _balanced(loudness_lufs: list[float]) -> list[float]:
    """Return gains that put each further layer 6 dB behind the first."""
    front = loudness_lufs[0]
    gains = [1.0]
    for lufs in loudness_lufs[1:]:
        audible = front > -math.inf and lufs > -math.inf
        gains.append(10 ** ((front + _BEHIND_DB - lufs) / 20) if audible else 1.0)
    return gains


def _scaled(sources: list[tuple[_Spool, float, int]], first: int, count: int) -> list[np.ndarray]:
    """Return [2, count] of each strand at its balance, perhaps read-only; a strand that has ended is silent."""
    result = []
    for spool, gain, samples in sources:
        have = max(0, min(count, samples - first))
        sound = spool.read(first, have) if have else np.zeros((2, 0), np.float32)
        if gain != 1.0:
            sound = sound * np.float32(gain)
        result.append(sound if have == count else np.pad(sound, ((0, 0), (0, count - have))))
    return result


def _added(sounds: list[np.ndarray]) -> np.ndarray:
    """Return the sum; of one, itself."""
    return sum(sounds[1:], start=sounds[0])


def _measured(sources: list[tuple[_Spool, float, int]], rate_hz: int) -> Meter:
    meter = Meter(rate_hz)
    for first in range(0, max(samples for _, _, samples in sources), BLOCK):
        meter(np.sum(_scaled(sources, first, BLOCK), axis=0))
    return meter


def _ends(meter: Meter, settings: Settings) -> tuple[int, Fades]:
    """Return how many samples are worth keeping, and how they end."""
    peaks = meter.peaks
    audible = peaks > peaks.max(initial=0.0) * 10 ** (_SILENT_DB / 20)
    steps = len(peaks) - int(np.argmax(audible[::-1])) if audible.any() else len(peaks)
    fade_s = _FADE_S
    cut = int(settings.longest_s * settings.rate_hz / PEAK_STEP) if settings.longest_s < math.inf else steps
    if cut < steps:
        steps, fade_s = cut, min(_CUT_FADE_S, settings.longest_s / 3)
    width = min(int(fade_s * settings.rate_hz / PEAK_STEP), steps)
    return min(steps * PEAK_STEP, meter.samples), Fades(steps, width)


def _gains(curve: GainCurve, samples: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first, [count]): what the samples from `first` on are multiplied with, to the scale of the file."""
    ramp = np.arange(PEAK_STEP, dtype=np.float32) / np.float32(PEAK_STEP)
    for begin, end in curve.stretches():
        values = curve.values(begin, end)
        for at in range(0, end - begin, _PIECE // PEAK_STEP):
            first = (begin + at) * PEAK_STEP
            if first >= samples:
                return
            edges = values[at : at + _PIECE // PEAK_STEP + 1]
            gain = (edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * ramp).reshape(-1)
            gain *= np.float32(FULL_SCALE)
            yield first, gain[: samples - first]


def _rounded(sound: np.ndarray) -> np.ndarray:
    """Return whole numbers; the sound is changed in place."""
    np.rint(sound, out=sound)
    np.clip(sound, -FULL_SCALE, FULL_SCALE - 1, out=sound)
    return sound.astype(np.int32)
