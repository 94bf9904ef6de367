"""What an instrument is made of, read from one TOML file each, so that a user adds one without code.

A preset has one or more tones that play the same notes, a tape that colours them, a space they stand in, and the kind
of music it suits. The classes below document every key; a key that is not known is refused with the nearest one.
"""

import difflib
import tomllib
import typing
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from ambient.errors import InputError

PRESETS = Path(__file__).resolve().parent / "presets"
_EXPECTED = "expected a preset as docs/sound.md describes it"


@dataclass(frozen=True, slots=True)
class Tone:
    """What all tones have in common.

    Attributes:
        level_db: Against the other tones of the preset.
        transpose: Semitones.
        range: Lowest and highest pitch; a note outside is moved by octaves until it is inside.
        attack_s: From silence to full.
        release_s: From the end of a note until it is 60 dB down.
        velocity_power: Amplitude goes with velocity to this power.
        tilt_db: Louder by so much for each octave below middle C.
        pan: 0-1. How far single notes stand from the middle; sustained tones are wide by themselves.
    """

    level_db: float = 0.0
    transpose: int = 0
    range: tuple[int, int] = (21, 108)
    attack_s: float = 0.01
    release_s: float = 0.5
    velocity_power: float = 1.0
    tilt_db: float = 0.0
    pan: float = 0.3


@dataclass(frozen=True, slots=True)
class Sustained(Tone):
    """A tone that lasts as long as its note: bands of partials in a loop, dark and bright, faded into each other.

    Attributes:
        partials: (ratio, dB) each; empty: harmonics that fall by `rolloff_db` an octave.
        rolloff_db: Fall of the harmonics an octave.
        sub_db: Level of a partial an octave below.
        even_db: Level of the even harmonics against the odd ones.
        soft_hz: Corner of the low-pass of the dark loop, for middle C.
        bright_hz: The same of the bright loop.
        key_follow: 0-1. How far the corners follow the pitch.
        opening_s: Time constant of the fade from dark to bright.
        brightness: 0-1. How bright a note of velocity 64 becomes.
        swing: 0-1. How far the brightness of a held note swings.
        swing_s: Period of that.
        unison_cents: Detuning of the voices that play each note.
        bandwidth_cents: Width of a partial: how many players stand behind a voice.
        bandwidth_growth: Width in hertz grows with the ratio to this power.
        formants_soft: (Hz, dB, width in Hz) each: resonances of the dark loop.
        formants_bright: The same of the bright loop.
        noise_db: Breath or bow against the whole tone.
        noise_hz: Band of that noise.
        decay_s: Time constant of the fall to `sustain_db`; 0 for none.
        sustain_db: Level of a held note after its decay.
        tremolo_hz: Rate of the tremolo.
        tremolo: 0-1. Its depth.
    """

    partials: tuple[tuple[float, float], ...] = ()
    rolloff_db: float = 6.0
    sub_db: float = -120.0
    even_db: float = 0.0
    soft_hz: float = 800.0
    bright_hz: float = 3000.0
    key_follow: float = 0.4
    opening_s: float = 1.0
    brightness: float = 0.5
    swing: float = 0.0
    swing_s: float = 9.0
    unison_cents: tuple[float, ...] = (0.0,)
    bandwidth_cents: float = 12.0
    bandwidth_growth: float = 1.0
    formants_soft: tuple[tuple[float, float, float], ...] = ()
    formants_bright: tuple[tuple[float, float, float], ...] = ()
    noise_db: float = -120.0
    noise_hz: tuple[float, float] = (500.0, 4000.0)
    decay_s: float = 0.0
    sustain_db: float = 0.0
    tremolo_hz: float = 5.0
    tremolo: float = 0.0

    @property
    def opens(self) -> bool:
        """Whether dark and bright differ."""
        return (self.soft_hz, self.formants_soft) != (self.bright_hz, self.formants_bright)


@dataclass(frozen=True, slots=True)
class Struck(Tone):
    """A tone that is hit and rings: decaying partials of a string, a bar, a bell or a glass.

    Attributes:
        partials: (ratio, dB, seconds until 60 dB down at middle C) each; empty: a string's harmonics.
        harmonics: How many of them, where `partials` is empty.
        rolloff_db: Fall of the string's harmonics an octave, before the hammer.
        inharmonicity: The string's at middle C; the n-th harmonic is sharp by sqrt(1 + inharmonicity n²).
        strike: 0-0.5. Where the string is hit; harmonics with a node there are weak.
        decay_s: Until the fundamental of middle C is 60 dB down.
        decay_octave: Factor of the decay for each octave up.
        damping: Higher harmonics die sooner: decay / ratio ** damping.
        strings_cents: Detuning of the strings or walls that ring for each note.
        hammer_hz: Corner of the hammer's low-pass for velocity 64 at middle C.
        hammer_octaves: How far the corner rises from velocity 64 to 127.
        key_follow: 0-1. How far it follows the pitch.
        knock_db: Noise of the hammer against the tone.
        knock_hz: Its band.
        knock_s: Until it is 60 dB down.
    """

    partials: tuple[tuple[float, float, float], ...] = ()
    harmonics: int = 24
    rolloff_db: float = 3.0
    inharmonicity: float = 0.0004
    strike: float = 0.12
    decay_s: float = 8.0
    decay_octave: float = 0.65
    damping: float = 0.7
    strings_cents: tuple[float, ...] = (0.0,)
    hammer_hz: float = 1500.0
    hammer_octaves: float = 1.5
    key_follow: float = 0.5
    knock_db: float = -120.0
    knock_hz: tuple[float, float] = (90.0, 900.0)
    knock_s: float = 0.12


@dataclass(frozen=True, slots=True)
class Sampled(Tone):
    """A real instrument from a soundfont.

    Attributes:
        program: General MIDI program 0-127.
    """

    program: int = 0


@dataclass(frozen=True, slots=True)
class Tape:
    """What the tape does to all tones of a preset.

    Attributes:
        drive_db: Saturation: 0 hardly any, 12 a good deal.
        wow_cents: Slow wavering of the pitch.
        flutter_cents: Quick wavering of the pitch.
        chorus: 0-1. Share of two copies whose delay moves.
        width: 0-1 each. Stereo width of the low, middle and high register.
    """

    drive_db: float = 3.0
    wow_cents: float = 0.0
    flutter_cents: float = 0.0
    chorus: float = 0.0
    width: tuple[float, float, float] = (0.1, 0.7, 1.0)


@dataclass(frozen=True, slots=True)
class Space:
    """The room and the echo.

    Attributes:
        amount: 0-1. Share of the room in the sound.
        reverb_s: Until the middle of the spectrum is 60 dB down.
        bass: Length of the bass against that.
        treble: Length of the treble against that.
        predelay_s: Before the room answers.
        bloom_s: How slowly the tail swells.
        dark_hz: Corner above which the room is dull.
        motion: 0-1. How far the tail moves.
        echo_s: Delay of the echo; 0 for none.
        echo_db: Level of its first repeat.
        echo_feedback: 0-0.9. Each repeat against the one before.
    """

    amount: float = 0.35
    reverb_s: float = 4.5
    bass: float = 1.1
    treble: float = 0.45
    predelay_s: float = 0.02
    bloom_s: float = 0.0
    dark_hz: float = 5000.0
    motion: float = 0.5
    echo_s: float = 0.0
    echo_db: float = -10.0
    echo_feedback: float = 0.45


@dataclass(frozen=True, slots=True)
class Suits:
    """The music a preset is made for, as (least, most); `--preset auto` takes the preset whose ranges fit best.

    Attributes:
        pitch: Median pitch.
        notes_per_second: How many notes start in a second.
        note_s: Median length of a note.
        polyphony: Mean number of notes that sound at once.
    """

    pitch: tuple[float, float]
    notes_per_second: tuple[float, float]
    note_s: tuple[float, float]
    polyphony: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Preset:
    """An instrument.

    Attributes:
        name: What `--preset` calls it.
        description: How it sounds, in a sentence.
        built: How it is built, in a sentence.
        hold_s: Every note sounds at least so long.
        tones: What plays.
        full_band: Made at the full sample rate: up to 16 kHz instead of 10, at twice the cost.
        tape: What colours it.
        space: Where it stands.
        suits: For which music; None: never chosen by `auto`.
    """

    name: str
    description: str
    built: str
    tones: tuple[Tone, ...]
    hold_s: float = 0.0
    full_band: bool = False
    tape: Tape = field(default_factory=Tape)
    space: Space = field(default_factory=Space)
    suits: Suits | None = None


_TABLES = ("tones", "tape", "space", "suits")
KINDS: dict[str, type[Tone]] = {"sustained": Sustained, "struck": Struck, "soundfont": Sampled}


def preset_names() -> list[str]:
    """Return the names of the presets that come with the program, sorted."""
    return sorted(path.stem.replace("-", " ") for path in PRESETS.glob("*.toml"))


def find_preset(name: str) -> Preset:
    """Return the preset of a name, or the one in a TOML file.

    Args:
        name: A shipped preset's name, with spaces, hyphens or underscores; or the path of a `.toml` file.

    Raises:
        InputError: there is no such preset, or its file is not one.
    """
    if name.endswith(".toml"):
        return read_preset(Path(name))
    wanted = name.strip().lower().replace("-", " ").replace("_", " ")
    names = preset_names()
    if wanted in names:
        return read_preset(PRESETS / f"{wanted.replace(' ', '-')}.toml")
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4) or names
    expected = f"expected {' or '.join(repr(n) for n in near)}"
    raise InputError(f"--preset {name!r}", "no such preset", expected, "--preset list names them all")


def read_preset(path: Path) -> Preset:
    """Read a preset from its file.

    Raises:
        InputError: the file is not there, is no TOML, or says something that a preset cannot have.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(path, error.strerror or "unreadable", _EXPECTED, "Check --preset") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, f"no TOML ({error})", _EXPECTED, "Correct the file") from error
    tones = table.pop("tones", None)
    if not isinstance(tones, list) or not tones:
        raise InputError(path, "no [[tones]]", _EXPECTED, "Add at least one")
    table["tones"] = tuple(_tone(path, tone) for tone in tones)
    for key, kind in (("tape", Tape), ("space", Space), ("suits", Suits)):
        if key in table:
            table[key] = _build(path, kind, table[key], key)
    table.setdefault("name", path.stem)
    preset: Preset = _build(path, Preset, table, "the preset")
    return preset


def _tone(path: Path, table: Any) -> Tone:
    if not isinstance(table, dict) or table.get("kind") not in KINDS:
        found = f"a tone of kind {table.get('kind') if isinstance(table, dict) else table!r}"
        raise InputError(path, found, f"expected {', '.join(KINDS)}", "Correct its kind")
    kind = KINDS[table["kind"]]
    tone: Tone = _build(path, kind, {key: value for key, value in table.items() if key != "kind"}, table["kind"])
    low, high = tone.range
    if not 0 <= low <= high - 11 <= 116:
        raise InputError(path, f"range = [{low}, {high}]", "expected an octave or more within 0-127", "Widen it")
    return tone


def _build(path: Path, kind: type, table: Any, where: str) -> Any:
    """Make a dataclass of a table whose keys and values are checked against the annotations."""
    if not isinstance(table, dict):
        raise InputError(path, f"{where} = {table!r}", "expected a table", "Correct the file")
    known = {f.name: f for f in fields(kind)}
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise InputError(path, f"{key!r} in {where}", f"expected a known key such as {near[0]!r}", "Correct it")
        if key in _TABLES:  # built already
            values[key] = value
            continue
        try:
            values[key] = _value(value, hints[key])
        except (TypeError, ValueError) as error:
            raise InputError(path, f"{key} = {value!r} in {where}", f"expected {error}", "Correct it") from error
    missing = [f.name for f in known.values() if f.default is MISSING and f.default_factory is MISSING]
    missing = [name for name in missing if name not in values]
    if missing:
        raise InputError(path, f"no {', '.join(missing)} in {where}", _EXPECTED, "Add it")
    return kind(**values)


def _value(value: Any, hint: Any) -> Any:
    """Check a TOML value against a type; lists become tuples."""
    origin = typing.get_origin(hint)
    if origin is tuple:
        parts = typing.get_args(hint)
        if not isinstance(value, list):
            raise TypeError("a list")
        if len(parts) == 2 and parts[1] is Ellipsis:
            return tuple(_value(item, parts[0]) for item in value)
        if len(value) != len(parts):
            raise TypeError(f"{len(parts)} values")
        return tuple(_value(item, part) for item, part in zip(value, parts, strict=True))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        if not abs(number) < 1e6:
            raise ValueError("a number of ordinary size")
        return number
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    raise TypeError(
        {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}.get(hint, str(hint))
    )
