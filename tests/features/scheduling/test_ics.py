"""iCalendar text: RFC 5545's form whatever the names are, zones with their changes, the same bytes for the same visits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from fhir_server.features.scheduling.ics import Person, Visit, calendar

CASABLANCA = ZoneInfo("Africa/Casablanca")
VISIT = Visit(
    uid="a1@clinic",
    sequence=2,
    status="CONFIRMED",
    start=datetime(2026, 2, 9, 8, tzinfo=UTC),
    end=datetime(2026, 2, 9, 8, 30, tzinfo=UTC),
    zone="Africa/Casablanca",
    changed=datetime(2026, 2, 1, 12, 0, 0, 123456, tzinfo=UTC),
    summary="Appointment",
)


def lines(body: bytes) -> list[str]:
    """Content lines, unfolded."""
    return body.decode().replace("\r\n ", "").split("\r\n")


def at(visit: Visit, day: int, hour: int) -> Visit:
    start = datetime(2026, 2, day, hour, tzinfo=CASABLANCA).astimezone(UTC)
    return replace(visit, uid=f"d{day}@clinic", start=start, end=start + timedelta(minutes=30))


def test_nine_o_clock_stays_nine_o_clock_over_ramadan_of_casablanca() -> None:
    series = [at(VISIT, day, 9) for day in range(9, 23)]
    assert len({visit.start.hour for visit in series}) == 2, "the instant moves: Morocco leaves +01 on 2026-02-15"
    parsed = Calendar.from_ical(calendar(series, name="x"))
    starts = [event.decoded("dtstart") for event in parsed.walk("VEVENT")]
    assert [start.strftime("%d %H:%M") for start in starts] == [f"{day:02} 09:00" for day in range(9, 23)]
    assert [start.astimezone(UTC) for start in starts] == [visit.start for visit in series]


def test_the_zone_s_changes_are_in_the_calendar_itself() -> None:
    parsed = Calendar.from_ical(calendar([at(VISIT, 9, 9)], name="x"))
    (zone,) = parsed.walk("VTIMEZONE")
    text = zone.to_ical().decode()
    summer, standard = (
        text.split("BEGIN:DAYLIGHT")[1].split("END:")[0],
        text.split("BEGIN:STANDARD")[-1].split("END:")[0],
    )
    assert "20260215T030000" in summer
    assert "TZOFFSETTO:+0000" in summer
    assert "20260322T030000" in standard
    assert "TZOFFSETTO:+0100" in standard
    assert b"BEGIN:VTIMEZONE" not in calendar([replace(VISIT, zone="UTC")], name="x")


@pytest.mark.parametrize("text", ["د. فاطمة " * 30, "é" * 400, "🩺" * 120, "a" * 74 + "é", "漢" * 25])
def test_long_lines_are_folded_between_characters(text: str) -> None:
    body = calendar([replace(VISIT, summary=text)], name=text)
    for line in body.split(b"\r\n"):
        assert len(line) <= 75
        line.decode()
    assert Calendar.from_ical(body).walk("VEVENT")[0]["summary"] == " ".join(text.split())


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85"])
def test_no_text_can_begin_a_line_of_its_own(line_end: str) -> None:
    evil = f"x{line_end}ATTENDEE:mailto:evil@example.org{line_end}BEGIN:VALARM"
    visit = replace(
        VISIT,
        summary=evil,
        description=evil,
        place=evil,
        url=f"https://a.example/{evil}",
        organizer=Person(evil, f"a@b.example{line_end}X-EVIL:1"),
        attendees=[Person(f'"{evil}', f"a@b{line_end}c.example")],
    )
    body = calendar([visit], name=evil)
    found = lines(body)
    assert not [line for line in found if line.startswith(("ATTENDEE:", "BEGIN:VALARM", "X-EVIL", "URL"))]
    assert sum(line.startswith("ATTENDEE;") for line in found) == 1
    parsed = Calendar.from_ical(body)
    assert [part.name for part in parsed.walk()].count("VALARM") == 0
    assert b"\r" not in body.replace(b"\r\n", b"")


def test_special_characters_are_escaped() -> None:
    found = lines(calendar([replace(VISIT, summary=r"a;b,c\d", description="one\ntwo")], name="x"))
    assert r"SUMMARY:a\;b\,c\\d" in found
    assert r"DESCRIPTION:one\ntwo" in found


def test_a_feed_is_the_same_to_the_byte_until_something_changes() -> None:
    assert calendar([VISIT], name="x") == calendar([VISIT], name="x")
    assert calendar([VISIT], name="x") != calendar([replace(VISIT, sequence=3)], name="x")


def test_a_message_names_its_method_and_who_is_invited() -> None:
    visit = replace(
        VISIT,
        status="CANCELLED",
        organizer=Person("Clinique Atlas"),
        attendees=[Person("Amina El Idrissi", "amina@example.org")],
    )
    found = lines(calendar([visit], name="x", method="CANCEL"))
    assert "METHOD:CANCEL" in found
    assert "STATUS:CANCELLED" in found
    assert "SEQUENCE:2" in found
    assert "TRANSP:TRANSPARENT" in found
    assert not [line for line in found if line.startswith(("X-WR", "X-PUBLISHED"))]
    assert any(line.startswith("ATTENDEE;") and line.endswith(":mailto:amina@example.org") for line in found)
    assert any(line.startswith("ORGANIZER;") and "Clinique Atlas" in line for line in found)


def test_a_feed_says_when_to_ask_again() -> None:
    found = lines(calendar([], name="Dr Ba"))
    assert "X-PUBLISHED-TTL:PT15M" in found
    assert "X-WR-CALNAME:Dr Ba" in found
    assert "METHOD" not in "".join(found)


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_a_visit_at_the_edge_of_the_calendar_is_in_it(moment: datetime) -> None:
    edge = replace(VISIT, start=moment, end=moment)
    assert b"BEGIN:VEVENT" in calendar([edge], name="x")
