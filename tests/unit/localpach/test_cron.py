"""Schedules: which ticks follow a time, and what is no schedule."""

from datetime import UTC, datetime

import pytest

from localpach.errors import ScheduleError
from localpach.spec.cron import parse_schedule


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(moment):
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("schedule", "after", "tick"),
    [
        ("* * * * *", "2026-01-31 23:59:30", "2026-02-01 00:00:00"),
        ("* * * * *", "2026-01-31 23:58:00", "2026-01-31 23:59:00"),
        ("*/15 * * * *", "2026-01-01 00:15:00", "2026-01-01 00:30:00"),
        ("5/20 * * * *", "2026-01-01 00:06:00", "2026-01-01 00:25:00"),
        ("10-20/5,59 * * * *", "2026-01-01 00:20:00", "2026-01-01 00:59:00"),
        ("0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 03:00:00"),
        ("30 1,13 * * *", "2026-01-01 02:00:00", "2026-01-01 13:30:00"),
        ("0 0 1 * *", "2026-12-15 00:00:00", "2027-01-01 00:00:00"),
        ("0 0 * JAN *", "2026-02-01 00:00:00", "2027-01-01 00:00:00"),
        ("0 0 * * mon", "2026-01-01 00:00:00", "2026-01-05 00:00:00"),
        ("0 0 * * 1-5", "2026-01-02 00:00:00", "2026-01-05 00:00:00"),
        ("0 0 ? * 0", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("0 0 13 * fri", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),  # one of the two is enough
        ("0 0 13 * fri", "2026-01-10 00:00:00", "2026-01-13 00:00:00"),
        ("0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 31 2 *", "2026-01-01 00:00:00", None),
        ("@hourly", "2026-01-01 00:00:00", "2026-01-01 01:00:00"),
        ("@daily", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
        ("@midnight", "2026-01-01 23:00:00", "2026-01-02 00:00:00"),
        ("@weekly", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("@monthly", "2026-01-01 00:00:00", "2026-02-01 00:00:00"),
        ("@yearly", "2026-01-01 00:00:00", "2027-01-01 00:00:00"),
        ("@annually", "2026-01-02 00:00:00", "2027-01-01 00:00:00"),
        ("@every 10s", "2026-01-01 00:00:03", "2026-01-01 00:00:13"),
        ("@every 1h30m", "2026-01-01 00:00:00", "2026-01-01 01:30:00"),
        ("@every 1.5h", "2026-01-01 00:00:00", "2026-01-01 01:30:00"),
        ("@every 10ms", "2026-01-01 00:00:00", "2026-01-01 00:00:01"),
        ("@never", "2026-01-01 00:00:00", None),
    ],
)
def test_next_tick(schedule, after, tick):
    assert shown(parse_schedule(schedule).next(at(after))) == tick


@pytest.mark.parametrize(
    ("schedule", "after", "now", "tick"),
    [
        ("@every 10s", "2026-01-01 00:00:00", "2026-01-01 00:00:09", None),
        ("@every 10s", "2026-01-01 00:00:00", "2026-01-01 00:00:10", "2026-01-01 00:00:10"),
        ("@every 10s", "2016-01-01 00:00:03", "2026-01-01 00:00:15", "2026-01-01 00:00:13"),
        ("* * * * *", "2006-01-01 00:00:00", "2026-01-01 00:00:30", "2026-01-01 00:00:00"),
        ("0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 02:59:59", None),
        ("0 3 * * *", "2026-01-01 02:00:00", "2026-01-01 03:00:00", "2026-01-01 03:00:00"),
        ("0 3 * * *", "2026-01-01 02:00:00", "2026-01-09 02:00:00", "2026-01-08 03:00:00"),
        ("* * * 1 *", "2025-01-01 00:00:00", "2025-07-01 00:00:00", "2025-01-31 23:59:00"),
        ("0 0 * * *", "2026-01-03 00:00:00", "2026-01-01 00:00:00", None),
        ("@never", "2006-01-01 00:00:00", "2026-01-01 00:00:00", None),
    ],
)
def test_latest_tick_of_a_pause(schedule, after, now, tick):
    assert shown(parse_schedule(schedule).latest(at(after), at(now))) == tick


@pytest.mark.parametrize("schedule", ["*/7 3-5 * * *", "0 0 1,15 * 3", "@hourly", "@every 7m"])
def test_latest_tick_is_the_last_of_those_walked_one_by_one(schedule):
    found, begun, now = parse_schedule(schedule), at("2026-03-01 00:00:17"), at("2026-03-18 13:01:02")
    tick, walked = begun, None
    while (tick := found.next(tick)) is not None and tick <= now:
        walked = tick
    assert walked is not None
    assert found.latest(begun, now) == walked


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("", "expected 5 fields .*, found 0"),
        ("* * * *", "expected 5 fields .*, found 4"),
        ("0 * * * * *", "expected 5 fields .*, found 6"),
        ("60 * * * *", "'60' is no minute; expected 0 to 59"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day"),
        ("* * * foo *", "'foo' is no month"),
        ("* * * * 7", "'7' is no weekday"),
        ("-1 * * * *", "'' is no minute"),
        ("*/0 * * * *", "a step from 1"),
        ("*/x * * * *", "a step from 1"),
        ("5- * * * *", "'' is no minute"),
        ("9-5 * * * *", "ends before it begins"),
        ("@every", "expected a duration such as 10s"),
        ("@every day", "expected a duration such as 10s"),
        ("@every -5s", "expected a duration such as 10s"),
        ("@fortnightly", "expected 5 fields"),
        ("TZ=Europe/Zurich 0 3 * * *", "time zones are not supported; write the times in UTC"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule, message):
    with pytest.raises(ScheduleError, match=message):
        parse_schedule(schedule)
