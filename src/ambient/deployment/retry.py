"""Repeats a call, with growing pauses, while its failure is transient."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")


class TransientError(Exception):
    """A failure that may pass: a connection that broke, a server that restarts."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long a call is repeated: exponential backoff with jitter.

    Args:
        tries: Calls in all; 8 are about a minute and a half, enough for a pod of pachd to be moved to another node.
        first_pause_s: Seconds before the second call; each pause doubles the one before, up to `longest_pause_s`.
        longest_pause_s: The ceiling of a pause.
        sleep: What pauses; tests do not.
        report: Gets one line before each pause.
    """

    tries: int = 8
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    report: Callable[[str], None] = field(default=lambda _line: None)

    def call(self, what: str, function: Callable[[], Result]) -> Result:
        """Call until it succeeds; any error but a `TransientError` is raised at once, and so is the last one.

        Args:
            what: What the call does, for the line that is reported: `uploading a.mp3`.
            function: What is called; it must be safe to repeat.
        """
        for number in range(1, self.tries + 1):
            try:
                return function()
            except TransientError as error:
                if number == self.tries:
                    raise
                # A tenth of jitter, so that many clients do not come back at the same moment.
                pause_s = min(self.first_pause_s * 2 ** (number - 1), self.longest_pause_s) * random.uniform(0.9, 1.1)
                self.report(f"{what}: {error}; trying again in {pause_s:.0f} s ({number} of {self.tries - 1})")
                self.sleep(pause_s)
        raise AssertionError("unreachable: the last try returns or raises")
