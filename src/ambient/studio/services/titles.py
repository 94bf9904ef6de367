"""Names for pieces: two words that a person can say, from the random seed."""

_FIRST = (
    "amber", "blue", "bright", "clear", "cold", "deep", "distant", "early", "faint", "far", "gentle", "glass", "golden",
    "green", "grey", "hidden", "hollow", "last", "late", "long", "low", "northern", "open", "pale", "quiet", "silver",
    "slow", "small", "soft", "still", "warm", "white",
)  # fmt: skip
_SECOND = (
    "bay", "birch", "bridge", "cloud", "coast", "dawn", "drift", "dusk", "ember", "field", "fog", "garden", "harbour",
    "hill", "ice", "island", "lake", "lantern", "meadow", "mist", "moon", "orchard", "pine", "rain", "reed", "river",
    "shore", "snow", "stone", "tide", "valley", "window",
)  # fmt: skip


def title(seed: int) -> str:
    """Return the name of the piece with a seed; a thousand seeds in a row have names that differ."""
    mixed = seed * 421 % (len(_FIRST) * len(_SECOND))  # 421 and 1024 have no common divisor
    return f"{_FIRST[mixed % len(_FIRST)]} {_SECOND[mixed // len(_FIRST)]}"
