"""Wall clocks and opening hours: from weekly local hours to sets of minutes in UTC.

Everything here counts whole minutes since 1970-01-01T00:00: "wall" minutes are what the clock on the clinic's wall
says, "UTC" minutes are instants. Sets are sorted lists of disjoint half-open pairs (lo, hi).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

Span = tuple[int, int]
Spans = list[Span]

DAY = 1440
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MINUTE = timedelta(minutes=1)
# 1970-01-01 was a Thursday; Monday is 0.
_EPOCH_WEEKDAY = 3


@dataclass(frozen=True, slots=True)
class Weekly:
    """Hours that come back every week. `days`: 0 is Monday; `start`, `end`: minutes of the day, where an `end` that is
    not after `start` is on the next day; `first`, `last`: days since 1970 between which it holds, both included."""

    days: frozenset[int]
    start: int
    end: int
    first: int | None = None
    last: int | None = None


def minutes_of(moment: datetime) -> int:
    """UTC minutes of an aware moment, begun minutes not counted."""
    return (moment - _EPOCH) // _MINUTE


def moment_of(minutes: int, zone: ZoneInfo | None = None) -> datetime:
    """The aware moment of UTC minutes, in UTC or as the zone's clock says it."""
    moment = _EPOCH + timedelta(minutes=minutes)
    return moment if zone is None else moment.astimezone(zone)


def day_of(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH_DAY


def weekday(day: int) -> int:
    """0 is Monday. `day`: days since 1970."""
    return (day + _EPOCH_WEEKDAY) % 7


# -- sets ------------------------------------------------------------------------------------------------------------


def merged(spans: Iterable[Span]) -> Spans:
    """The union of any spans, touching ones joined."""
    out: Spans = []
    for lo, hi in sorted(spans):
        if out and lo <= out[-1][1]:
            if hi > out[-1][1]:
                out[-1] = (out[-1][0], hi)
        elif lo < hi:
            out.append((lo, hi))
    return out


def intersection(one: Sequence[Span], other: Sequence[Span]) -> Spans:
    """What is in both sets."""
    out: Spans = []
    i = j = 0
    most, others = len(one), len(other)
    # Written out, because $find comes here some hundred times with hundreds of spans.
    while i < most and j < others:
        lo, hi = one[i]
        start, end = other[j]
        if hi < end:
            i += 1
        else:
            j += 1
            hi = end
        if start > lo:
            lo = start
        if lo < hi:
            out.append((lo, hi))
    return out


def difference(one: Sequence[Span], other: Sequence[Span]) -> Spans:
    """What is in the first set only."""
    if not other or not one:
        return list(one)
    return intersection(one, complement(other, one[0][0], one[-1][1]))


def complement(spans: Sequence[Span], lo: int, hi: int) -> Spans:
    """What is missing from a set between `lo` and `hi`."""
    out: Spans = []
    for start, end in spans:
        if start > lo:
            out.append((lo, min(start, hi)))
        lo = max(lo, end)
        if lo >= hi:
            return out
    out.append((lo, hi))
    return out


def contains(spans: Sequence[Span], minute: int) -> bool:
    """Whether a minute is in a set."""
    index = bisect_right(spans, (minute, 1 << 62)) - 1
    return index >= 0 and minute < spans[index][1]


# -- the clock on the wall -------------------------------------------------------------------------------------------


class WallClock:
    """A zone's clock between two instants.

    Where the clock is set back, a wall time that comes twice means the first; where it is set forward, wall times in
    the gap do not exist. `pieces`: (first UTC minute, first wall minute, offset), each valid until the next one.
    """

    def __init__(self, zone: ZoneInfo, lo: int, hi: int) -> None:
        self.zone = zone
        offset = _offset(zone, lo)
        self.pieces: list[tuple[int, int, int]] = [(lo, lo + offset, offset)]
        for at in _changes(zone, lo, hi):
            new = _offset(zone, at)
            # The second of a doubled hour belongs to no piece's wall times.
            self.pieces.append((at, at + max(offset, new), new))
            offset = new
        self._walls = [piece[1] for piece in self.pieces]
        self._starts = [piece[0] for piece in self.pieces]

    def utc(self, wall: int) -> int:
        """The instant of a wall time; of one in a gap, the instant of the change."""
        index = max(bisect_right(self._walls, wall) - 1, 0)
        at = wall - self.pieces[index][2]
        return min(at, self._starts[index + 1]) if index + 1 < len(self._starts) else at

    def wall(self, utc: int) -> int:
        """What the clock says at an instant."""
        return utc + self.pieces[max(bisect_right(self._starts, utc) - 1, 0)][2]

    def day(self, utc: int) -> int:
        """The local day of an instant, in days since 1970."""
        return self.wall(utc) // DAY

    def spans(self, walls: Iterable[Span]) -> Spans:
        """Instants of spans of wall time."""
        return merged((self.utc(lo), self.utc(hi)) for lo, hi in walls)

    def grid(self, lo: int, hi: int, interval: int, offset: int) -> list[range]:
        """The instants in [lo, hi) whose wall time is a multiple of `interval` after local midnight + `offset`."""
        out = []
        for index, (_, wall, ahead) in enumerate(self.pieces):
            first = max(lo, wall - ahead) if index else lo
            last = min(hi, self._starts[index + 1]) if index + 1 < len(self._starts) else hi
            for from_, to in _days(first, last, ahead) if DAY % interval else ((first, last),):
                steps = range(from_ + (offset - (from_ + ahead) % DAY) % interval, to, interval)
                if steps:
                    out.append(steps)
        return out


def _days(lo: int, hi: int, ahead: int) -> Iterable[Span]:
    """[lo, hi) cut at local midnights."""
    while lo < hi:
        midnight = ((lo + ahead) // DAY + 1) * DAY - ahead
        yield lo, min(hi, midnight)
        lo = midnight


def _offset(zone: ZoneInfo, utc: int) -> int:
    offset = moment_of(utc, zone).utcoffset()
    return 0 if offset is None else offset // _MINUTE


def _changes(zone: ZoneInfo, lo: int, hi: int) -> list[int]:
    """The instants in (lo, hi) from which another offset holds."""
    first, last = lo // DAY, -(-hi // DAY)
    return [at for day in range(first, last) for at in _changes_of_day(zone.key, day) if lo < at < hi]


@lru_cache(maxsize=65536)
def _changes_of_day(key: str, day: int) -> tuple[int, ...]:
    zone, lo, hi = ZoneInfo(key), day * DAY, (day + 1) * DAY
    before = _offset(zone, lo)
    if _offset(zone, hi) == before:
        return ()
    while hi - lo > 1:
        middle = (lo + hi) // 2
        lo, hi = (middle, hi) if _offset(zone, middle) == before else (lo, middle)
    return (hi,)


def week(weekly: Iterable[Weekly], first: int, last: int) -> Spans:
    """The spans of wall time of weekly hours that begin on the days `first` to `last` (since 1970), both included."""
    out: Spans = []
    for rule in weekly:
        length = rule.end - rule.start if rule.end > rule.start else rule.end - rule.start + DAY
        low = first if rule.first is None else max(first, rule.first)
        high = last if rule.last is None else min(last, rule.last)
        out += [
            (day * DAY + rule.start, day * DAY + rule.start + length)
            for day in range(low, high + 1)
            if (day + _EPOCH_WEEKDAY) % 7 in rule.days
        ]
    return merged(out)
