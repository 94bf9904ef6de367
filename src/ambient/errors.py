"""The one exception that stands for bad input, so that every program can print it as one line."""


class InputError(Exception):
    """Something a person gave us cannot be used.

    The message has four parts: which file, what was found, what was expected, what to do.

    Args:
        source: File, flag or place the input came from.
        found: What was found there.
        expected: What was expected instead.
        remedy: What to do about it; one imperative sentence without the full stop.
    """

    def __init__(self, source: object, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"{source}: {found}; {expected}. {remedy}")
        self.source = str(source)
        self.found = found
        self.expected = expected
        self.remedy = remedy
