"""When is the next tick? Cron expressions of five fields, `@every 10s`, `@hourly` and the like; times are UTC.

The dialect is that of Pachyderm's schedules:

| expression | ticks |
| --- | --- |
| `minute hour day month weekday` | fields of `*`, `?`, numbers, names (`JAN`, `MON`), `1-5`, `*/15`, `1,3` |
| `@yearly` `@annually` `@monthly` `@weekly` `@daily` `@midnight` `@hourly` | as named |
| `@every 1h30m` | that long after the last tick; at least a second |
| `@never` | only by hand |

A tick is in whole seconds since the epoch.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localpach.errors import ScheduleError

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# name, lowest, highest, names of the values from the lowest on
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 6, _WEEKDAYS),
)
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
_HORIZON_DAYS = 5 * 366  # 31 February never comes; 29 February does within this


@dataclass(frozen=True, slots=True)
class Every:
    """A tick a fixed time after the last one."""

    period_s: int

    def next(self, after: float) -> float | None:
        """Return the tick after a time."""
        return float(int(after) + self.period_s)

    def latest(self, after: float, now: float) -> float | None:
        """Return the newest tick later than `after` and not later than `now`, or None."""
        count = int(now - int(after)) // self.period_s
        return float(int(after) + count * self.period_s) if count > 0 else None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Ticks at the minutes that fit five fields; with no minutes there is none.

    With both a day of the month and a weekday given, one of them is enough, as in cron.
    """

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    either_day: bool = False

    def next(self, after: float) -> float | None:
        """Return the first tick later than a time, or None if there is none."""
        moment = datetime.fromtimestamp(int(after) // 60 * 60, UTC) + timedelta(minutes=1)
        midnight = moment.replace(hour=0, minute=0)
        for number in range(_HORIZON_DAYS if self.minutes else 0):
            day = midnight + timedelta(days=number)
            if not self._fits(day):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    tick = day.replace(hour=hour, minute=minute)
                    if tick >= moment:
                        return tick.timestamp()
        return None

    def _fits(self, day: datetime) -> bool:
        fits = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return day.month in self.months and (any(fits) if self.either_day else all(fits))

    def latest(self, after: float, now: float) -> float | None:
        """Return the newest tick later than `after` and not later than `now`, or None.

        Years of missed ticks are not walked through: from before the newest one the next tick is due, from then on
        it is not, so it is found by halving.
        """
        low, high = int(after) - 1, int(now)
        found = None
        while high - low > 1:
            middle = (low + high) // 2
            tick = self.next(middle)
            if tick is not None and tick <= now:
                low, found = middle, tick
            else:
                high = middle
        return found if found is not None and found > after else None


Schedule = Every | Calendar


def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        ScheduleError: it is none; the message names the field at fault.
    """
    words = text.split()
    if text.startswith(("TZ=", "CRON_TZ=")):
        raise ScheduleError(text, "time zones are not supported; write the times in UTC")
    if words == ["@never"]:
        return Calendar()
    if words[:1] == ["@every"]:
        return _every(text, words[1:])
    if len(words) == 1 and words[0] in _NAMED:
        words = _NAMED[words[0]].split()
    if len(words) != len(_FIELDS):
        raise ScheduleError(text, f"expected 5 fields (minute hour day month weekday), found {len(words)}")
    minutes, hours, days, months, weekdays = (
        _field(text, word, *field) for word, field in zip(words, _FIELDS, strict=True)
    )
    either_day = words[2][0] not in "*?" and words[4][0] not in "*?"
    return Calendar(minutes, hours, days, months, weekdays, either_day=either_day)


def _every(text: str, words: list[str]) -> Every:
    duration = words[0] if len(words) == 1 else ""
    if not _DURATION.fullmatch(duration):
        raise ScheduleError(text, "expected a duration such as 10s, 5m or 1h30m after @every")
    return Every(max(1, int(sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(duration)))))


def _field(text: str, word: str, name: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    """Read one field into the set of its values."""
    field = _Field(text, name, low, high, names)
    return frozenset(value for part in word.split(",") for value in field.values(part))


@dataclass(frozen=True, slots=True)
class _Field:
    """What may stand in one field: its numbers, and names for them."""

    text: str
    name: str
    low: int
    high: int
    names: tuple[str, ...]

    def values(self, part: str) -> range:
        """Read one member of a list: `*`, `5`, `1-5`, `*/2`, `mon-fri`."""
        span, slash, step = part.partition("/")
        if slash and not (step.isascii() and step.isdigit() and int(step)):
            raise self._refused(part, "expected a step from 1 after the /")
        start, end = self._span(span, open_end=bool(slash))
        if start > end:
            raise self._refused(part, "the range ends before it begins")
        return range(start, end + 1, int(step or 1))

    def _span(self, span: str, *, open_end: bool) -> tuple[int, int]:
        if span in ("*", "?"):
            return self.low, self.high
        first, dash, last = span.partition("-")
        start = self._number(first)
        if dash:
            return start, self._number(last)
        return start, self.high if open_end else start

    def _number(self, part: str) -> int:
        if part.lower() in self.names:
            return self.low + self.names.index(part.lower())
        if not part.isascii() or not part.isdigit() or not self.low <= int(part) <= self.high:
            raise self._refused(part, f"expected {self.low} to {self.high}")
        return int(part)

    def _refused(self, part: str, problem: str) -> ScheduleError:
        return ScheduleError(self.text, f"{part!r} is no {self.name}; {problem}")
