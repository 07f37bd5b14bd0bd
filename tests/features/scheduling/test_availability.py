"""When a visit can begin: seats, buffers, reserve, limits, notice."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.features.scheduling.availability import (
    Busy,
    Hours,
    avoiding,
    free,
    full_days,
    on_grid,
    online_bounds,
    opening,
    reserved,
    within,
)
from fhir_server.features.scheduling.free import visits, window
from fhir_server.features.scheduling.hours import DAY, Spans, Weekly, day_of, difference
from fhir_server.features.scheduling.parameters import Rules

MONDAY = day_of(date(2026, 11, 23)) * DAY
ALL = frozenset(range(7))
HERE = window("UTC", MONDAY, MONDAY + 7 * DAY)
SMALL = window("UTC", MONDAY, MONDAY + 120)
MORNING = Weekly(ALL, 540, 660)
claims = st.lists(st.tuples(st.integers(-30, 130), st.integers(1, 40), st.integers(0, 3)), max_size=8)


def minutes(spans: Spans) -> set[int]:
    return {minute - MONDAY for lo, hi in spans for minute in range(lo, hi)}


def at(hour: int, minute: int = 0, day: int = 0) -> int:
    return MONDAY + day * DAY + hour * 60 + minute


def settled(found: list[tuple[int, int, int]], most: int) -> list[Busy]:
    """Claims that do not overlap in their seats, as the constraint has it."""
    out: list[Busy] = []
    for start, length, seat in found:
        made = Busy(MONDAY + start, MONDAY + start + length, seat % (most + 1))
        if all(made.seat != each.seat or made.end <= each.start or each.end <= made.start for each in out):
            out.append(made)
    return out


@given(claims, st.integers(1, 3), st.integers(0, 10), st.integers(0, 10), st.integers(1, 40))
def test_what_is_free_is_what_has_a_seat_from_the_first_to_the_last_minute(
    found: list[tuple[int, int, int]], capacity: int, before: int, after: int, length: int
) -> None:
    busy = settled(found, capacity)
    rules = Rules(before=before, after=after)
    starts = minutes(free(busy, capacity, rules, length, SMALL))
    for start in range(120):
        whole = range(start - before, start + length + after)
        met = [each for each in busy if each.start - MONDAY < whole.stop and each.end - MONDAY > whole.start]
        seat = any(all(each.seat != number for each in met) for number in range(capacity))
        crowded = any(sum(each.start <= m + MONDAY < each.end for each in busy) >= capacity for m in whole)
        assert (start in starts) == (seat and not crowded), start


def test_the_buffers_of_two_visits_add_up() -> None:
    # 10:00 to 10:30, with 10 minutes after it, as they stand in the agenda.
    busy = [Busy(at(10), at(10, 30)), Busy(at(10, 30), at(10, 40))]
    starts = minutes(free(busy, 1, Rules(before=5, after=10), 30, HERE))
    # The next needs 5 minutes before it; the one before ends at 09:50.
    assert 10 * 60 + 44 not in starts and 10 * 60 + 45 in starts
    assert 9 * 60 + 20 in starts and 9 * 60 + 21 not in starts


def test_weekly_hours_closures_holidays_extra_and_horizon() -> None:
    rules = Rules(
        zone="UTC", available=(MORNING,), holidays="MA",
        closed=(("2026-11-24", "2026-11-25"), ("2026-11-26T09:30:00Z", "2026-11-26T10:00:00Z")),
        extra=(("2026-11-24T20:00:00Z", "2026-11-24T21:00:00Z"),),
    )  # fmt: skip
    found = opening(rules, Hours(horizons=(("", "2026-11-27"),)), HERE)
    inside = [(lo - MONDAY, hi - MONDAY) for lo, hi in found if MONDAY <= lo < MONDAY + 7 * DAY]
    assert inside == [
        (540, 660),
        (DAY + 1200, DAY + 1260),
        (3 * DAY + 540, 3 * DAY + 570),
        (3 * DAY + 600, 3 * DAY + 660),
        (4 * DAY + 540, 4 * DAY + 660),
    ]
    throne = window("UTC", day_of(date(2026, 7, 30)) * DAY, (day_of(date(2026, 7, 30)) + 1) * DAY)
    assert not [lo for lo, _ in opening(rules, Hours(), throne) if throne.lo <= lo < throne.hi]


def test_who_says_no_hours_is_never_open_but_a_room_is() -> None:
    assert opening(Rules(zone="UTC"), Hours(), HERE) == []
    assert opening(Rules(zone="UTC"), Hours(always=True), HERE)


def test_hours_of_several_hold_together_and_the_rules_come_first() -> None:
    other = (Weekly(ALL, 600, 720),)
    both = opening(Rules(zone="UTC"), Hours(weekly=((MORNING,), other)), HERE)
    assert (at(10), at(11)) in both and (at(9), at(11)) not in both
    assert (at(9), at(11)) in opening(Rules(zone="UTC", available=(MORNING,)), Hours(weekly=(other,)), HERE)


def test_the_reserve_is_the_last_visits_of_each_day_until_released() -> None:
    rules = Rules(zone="UTC", duration=30, interval=15, available=(MORNING, Weekly(ALL, 840, 870)), reserve=2,
                  reserve_release=60)  # fmt: skip
    open_ = opening(rules, Hours(), HERE)

    def left(now: int) -> list[int]:
        starts = difference(within(open_, 30), reserved(rules, open_, 30, HERE, now))
        return [start - MONDAY for start in on_grid(starts, rules, HERE.clock) if MONDAY <= start < MONDAY + DAY]

    # 14:00 and 10:30 are kept, and with them what would touch them.
    assert left(MONDAY - DAY) == [540, 555, 570, 585, 600]
    # At 09:30 the one of 10:30 is released.
    assert left(at(9, 30)) == [540, 555, 570, 585, 600, 615, 630]
    assert left(at(13)) == [540, 555, 570, 585, 600, 615, 630, 840]


def test_full_days_and_weeks() -> None:
    clock = HERE.clock
    starts = {1: at(9), 2: at(10), 3: at(9, day=2)}
    assert full_days(Rules(limit_day=2), starts, clock) == [(MONDAY, MONDAY + DAY)]
    assert full_days(Rules(limit_week=3), starts, clock) == [(MONDAY, MONDAY + 7 * DAY)]
    assert full_days(Rules(limit_week=4), starts, clock) == []
    assert full_days(Rules(), starts, clock) == []
    # A visit with its buffers counts once, an absence not at all.
    busy = [Busy(at(9), at(9, 10), visit=7), Busy(at(8, 55), at(9), visit=7), Busy(at(12), at(13))]
    assert visits(busy) == {7: at(8, 55)}


def test_notice_and_advance() -> None:
    assert online_bounds(Rules(min_notice=60), 1000)[0] == 1060
    assert online_bounds(Rules(max_advance=2), 1000) == (1000, 1000 + 2 * DAY + 1)


def test_starts_within_and_apart_from_spans() -> None:
    assert within([(0, 30), (40, 60)], 30) == [(0, 1)]
    assert avoiding([(100, 110)], 30) == [(71, 110)]
