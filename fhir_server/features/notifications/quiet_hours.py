"""Hours in which people are not disturbed. Pure functions on aware datetimes; the zone is the reader's."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True)
class Quiet:
    """From `start` to before `end` on the wall clock; through midnight when start > end; never when they are equal."""

    start: time
    end: time

    def holds(self, wall: time) -> bool:
        """Whether it is quiet at this time of day."""
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end


def allowed_from(moment: datetime, zone: tzinfo, quiet: Quiet) -> datetime:
    """`moment` in UTC when it is not quiet then; else the end of the quiet that holds then."""
    moment = moment.astimezone(UTC)
    wall = moment.astimezone(zone)
    if not quiet.holds(wall.time()):
        return moment
    for days in (0, 1):
        end = datetime.combine(wall.date() + timedelta(days=days), quiet.end, zone)
        for fold in (0, 1):
            # An end that the clock passes twice counts the first time; one that it leaps over counts where it lands.
            instant = end.replace(fold=fold).astimezone(UTC)
            if instant >= moment and not quiet.holds(instant.astimezone(zone).time()):
                return instant
    return moment


def parsed(text: str) -> time:
    """A time of day from `HH:MM`. Raises ValueError."""
    if len(text) != 5:
        raise ValueError("a time of day is HH:MM")
    return time.fromisoformat(text)


def zone_of(*names: str | None) -> tzinfo:
    """The zone of the first of these IANA names that there is; UTC when none is."""
    for name in names:
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return UTC
