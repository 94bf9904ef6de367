"""Give recordings names that every later stage and Pachyderm accept: lower case, ASCII, no spaces, all different.

Conventions: a standard name matches `[a-z0-9]+([-_][a-z0-9]+)*.SUFFIX` with at most 200 characters. Folders become
part of the name. Stems differ too, not only names, because later stages replace the suffix (`song.wav`, `song.mid`).

Who gets which name when several recordings ask for the same stem: a recording whose name already is the standard
name comes first, then the order of the original names decides; the first keeps the plain stem, every other one gets
`-` and the first eight hexadecimal digits of the SHA-256 of its original name. So a name depends on the original
names alone, and another recording changes it only by asking for the same stem and coming before it.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from ambient.folders import HIDDEN_FILES

MAX_NAME_CHARACTERS = 200  # file systems take 255; later stages add to the name
HASH_DIGITS = 8
FALLBACK_STEM = "song"

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
# What ffmpeg reads and people keep music in; content is judged by to_wav.
_ENDINGS = """
    mp3 mp2 mp1 mpga wav wave w64 rf64 bwf flac ogg oga opus spx m4a m4b m4r mp4 aac adts alac wma asf aiff aif aifc ape
    wv mka mkv weba webm mov avi 3gp 3ga 3g2 amr awb ac3 eac3 dts caf au snd mpc mpp tta tak dsf dff shn ra rm voc gsm
    ofr oma aa3
"""
AUDIO_SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())

# Letters that Unicode does not decompose to ASCII, in lower case: Latin, Cyrillic, Greek.
_LETTERS = """
    æ=ae œ=oe ø=o ß=ss ł=l đ=d ð=d þ=th ħ=h ı=i ĸ=k ŋ=ng ŧ=t ə=e ƒ=f ɓ=b ɗ=d ɛ=e ɔ=o ƴ=y ƙ=k
    а=a б=b в=v г=g д=d е=e ё=yo ж=zh з=z и=i й=y к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=ts ч=ch ш=sh
    щ=shch ъ= ы=y ь= э=e ю=yu я=ya є=ye і=i ї=yi ґ=g ў=u ђ=dj ј=j љ=lj њ=nj ћ=c џ=dz ѓ=gj ќ=kj ѕ=dz қ=q ғ=gh ң=ng ө=o
    ұ=u ү=u һ=h ә=a
    α=a β=v γ=g δ=d ε=e ζ=z η=i θ=th ι=i κ=k λ=l μ=m ν=n ξ=x ο=o π=p ρ=r σ=s ς=s τ=t υ=y φ=f χ=ch ψ=ps ω=o
"""
_TRANSLITERATED = dict(pair.split("=") for pair in _LETTERS.split()) | dict.fromkeys("'’‘ʼ`´", "") | {"&": " and "}


def is_audio_name(name: str) -> bool:
    """Tell by its ending whether a file is a recording; `.45.mp3` is one.

    What macOS writes beside a file (`._song.mp3`), and what a program of ours has not finished, is none.
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(HIDDEN_FILES)


def standard_names(originals: Iterable[str]) -> dict[str, str]:
    """Find the standard name of each recording.

    Args:
        originals: Paths relative to the folder of recordings, `/` between folders, each ending as `is_audio_name` asks.

    Returns:
        Original to standard name, in the order of the originals sorted; all stems differ.
    """
    rivals: defaultdict[str, list[str]] = defaultdict(list)
    for original in sorted(set(originals)):
        rivals[standard_stem(original)].append(original)
    stems: dict[str, str] = {}
    for stem, group in rivals.items():
        stems[min(group, key=lambda original: (original != stem + _suffix(original), original))] = stem
    taken = set(stems.values())
    for stem, group in rivals.items():
        for original in group:
            if original not in stems:
                stems[original] = _distinct_stem(stem, original, taken)
                taken.add(stems[original])
    return {original: stems[original] + _suffix(original) for original in sorted(stems)}


def standard_stem(original: str) -> str:
    """Return the stem a recording asks for: readable ASCII, or `song-` and a hash where no letter can be kept."""
    path = PurePosixPath(original)
    stem = transliterate("-".join([*path.parts[:-1], path.stem]))
    if not stem:
        return f"{FALLBACK_STEM}-{_digest(original)[:HASH_DIGITS]}"
    return _shortened(stem, MAX_NAME_CHARACTERS - len(_suffix(original)))


def transliterate(text: str) -> str:
    """Write text with `a-z 0-9 - _` only; what has no transliteration is left out.

    >>> transliterate("Sigur Rós – Ágætis (Live!)")
    'sigur-ros-agaetis-live'
    """
    ascii_text = "".join(_ascii(character) for character in text.lower())
    words = re.sub(r"[^a-z0-9_]+", "-", ascii_text)
    single = re.sub(r"[-_]{2,}", lambda run: "-" if "-" in run[0] else "_", words)
    return single.strip("-_")


def _ascii(character: str) -> str:
    """Transliterate one lower-case character; accents are dropped, other signs separate words."""
    if character in _TRANSLITERATED:
        return _TRANSLITERATED[character]
    if character.isascii():
        return character
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    decomposed = unicodedata.normalize("NFKD", character).lower()
    if decomposed != character:
        return "".join(_ascii(part) for part in decomposed)
    return "" if unicodedata.combining(character) else "-"


def _distinct_stem(stem: str, original: str, taken: set[str]) -> str:
    digest = _digest(original)
    for digits in range(HASH_DIGITS, len(digest) + 1):
        limit = MAX_NAME_CHARACTERS - len(_suffix(original)) - digits - 1
        candidate = f"{_shortened(stem, limit)}-{digest[:digits]}"
        if candidate not in taken:
            return candidate
    raise AssertionError(f"two names share one SHA-256: {original}")


def _shortened(stem: str, limit: int) -> str:
    return stem[:limit].rstrip("-_")


def _suffix(original: str) -> str:
    return PurePosixPath(original).suffix.lower()


def _digest(original: str) -> str:
    # File names that are no valid UTF-8 arrive with lone surrogates; they are hashed as they are.
    return hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()
