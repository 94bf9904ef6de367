"""The one exception that stands for bad input, and how any text is printed as one line."""


def one_line(text: str) -> str:
    """Make text safe to print as one line, for names of files that hold line breaks or are no UTF-8.

    >>> one_line("a\\nb\\udce9.mp3")
    'a\\\\nb\\\\xe9.mp3'
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python passes on a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


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
        super().__init__(one_line(f"{source}: {found}; {expected}. {remedy}"))
        self.source = str(source)
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str, str]]:
        """Let it pass from one process to another."""
        return InputError, (self.source, self.found, self.expected, self.remedy)
