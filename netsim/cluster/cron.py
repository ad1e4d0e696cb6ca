"""When a CronJob last ran: schedules as robfig/cron's standard parser reads them (kube-controller-manager)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = {
    name: i
    for i, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
DAYS = {name: i for i, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)
# No calendar repeats later than this: 29 February of a year that is a Sunday comes back within 28 (or 40) years.
DAYS_BACK = 366 * 41


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes a schedule names. `star_*`: the day field is `*`, so the other day field alone decides."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    star_day: bool
    star_weekday: bool

    def on(self, day: datetime) -> bool:
        """Whether the schedule runs on a day; if both day fields are restricted, either one suffices."""
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (in_month and in_week) if self.star_day or self.star_weekday else (in_month or in_week)


def parse_schedule(text: str) -> Schedule:
    """Return a schedule of five fields or a macro; raise ValueError for anything else."""
    fields = MACROS.get(text.strip(), text).split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{text}]")
    minutes, hours, days, months, weekdays = (_field(f, *bounds) for f, bounds in zip(fields, BOUNDS, strict=True))
    stars = [field[0] in "*?" for field in fields]
    return Schedule(minutes, hours, days, months, weekdays, star_day=stars[2], star_weekday=stars[4])


def _field(field: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    return frozenset(value for part in field.split(",") for value in _range(part, low, high, names))


def _range(part: str, low: int, high: int, names: dict[str, int]) -> Iterator[int]:
    words, _, step_text = part.partition("/")
    first_text, dash, last_text = words.partition("-")
    step = int(step_text) if "/" in part else 1
    if words in ("*", "?"):
        first, last = low, high
    else:
        first = _value(first_text, names)
        last = _value(last_text, names) if dash else high if "/" in part else first
    if not (low <= first <= last <= high and step > 0):
        raise ValueError(f"{part!r} is outside {low}-{high}")
    yield from range(first, last + 1, step)


def _value(text: str, names: dict[str, int]) -> int:
    return names[text.lower()] if text.lower() in names else int(text)


def last_run(schedule: Schedule, at: datetime, zone: tzinfo = UTC) -> datetime | None:
    """Return the latest minute of a schedule that is not after *at*, None when there is none; the result is in UTC."""
    local = at.astimezone(zone).replace(second=0, microsecond=0)
    for back in range(DAYS_BACK):
        day = local - timedelta(days=back)
        if schedule.on(day):
            for hour in sorted(schedule.hours, reverse=True):
                for minute in sorted(schedule.minutes, reverse=True):
                    run = day.replace(hour=hour, minute=minute).astimezone(UTC)
                    if run <= at:
                        return run
    return None


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time; raise ValueError for anything else, also for a time without zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return found.astimezone(UTC)
