"""Tries a call again, a little later each time, while its failure looks as if it would pass."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")


class PassingError(Exception):
    """A failure that may pass: a connection that broke, a server that restarts."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on trying.

    Args:
        tries: Calls in all; 8 are about a minute and a half, enough for a pod of pachd to be moved to another node.
        first_pause_s: Seconds before the second call; each pause doubles the one before, up to `longest_pause_s`.
        longest_pause_s: The ceiling of a pause.
        sleep: What pauses; tests do not.
        tell: Gets one line before each pause.
    """

    tries: int = 8
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = field(default=lambda _line: None)

    def attempt(self, what: str, call: Callable[[], Result]) -> Result:
        """Call until it succeeds; what is no `PassingError` goes through at once, and so does the last one.

        Args:
            what: What the call does, for the line that is told: `uploading a.mp3`.
            call: The call; it must be safe to repeat.
        """
        for number in range(1, self.tries + 1):
            try:
                return call()
            except PassingError as error:
                if number == self.tries:
                    raise
                # A tenth of jitter, so that many clients do not come back at the same moment.
                pause_s = min(self.first_pause_s * 2 ** (number - 1), self.longest_pause_s) * random.uniform(0.9, 1.1)
                self.tell(f"{what}: {error}; trying again in {pause_s:.0f} s ({number} of {self.tries - 1})")
                self.sleep(pause_s)
        raise AssertionError("unreachable: the last try returns or raises")
