"""Times that clocks and calendars do not have, have twice, or can hardly say."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.core import clock
from tests.client import Client
from tests.features.attacks.tries import raw
from tests.features.scheduling.clinic_day import Practice, body, in_days, iso, matched

NIGHTS = [
    ("Europe/Paris", date(2027, 3, 28)),
    ("Europe/Paris", date(2027, 10, 31)),
    ("Africa/Casablanca", date(2027, 2, 7)),
    ("Africa/Casablanca", date(2027, 3, 14)),
    ("Africa/Dakar", date(2027, 3, 28)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
]


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    yield
    clock.move(timedelta())


@pytest.mark.parametrize(("zone", "night"), NIGHTS)
def test_the_night_in_which_clocks_change(client: Client, zone: str, night: date) -> None:
    """Every place is offered once, in order, and lasts as long as it says."""
    days = [{"url": "day", "valueCode": day} for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")]
    opening: list[Any] = [{"url": "available", "extension": [*days, {"url": "start", "valueTime": "00:00:00"}]}]
    practice = Practice(client, {"timezone": zone, "available": opening})
    practice.add_schedule(available=opening)
    start = datetime.combine(night, time(), ZoneInfo(zone)) - timedelta(hours=2)
    clock.move(start.astimezone(UTC) - timedelta(days=10) - datetime.now(UTC))
    query = f"start={iso(start)}&end={iso(start + timedelta(hours=9))}&practitioner={practice.practitioner[1]}"
    found = [each["resource"] for each in client.get(f"Appointment/$find?{query}&_count=100").json["entry"]]
    visits = [each for each in found if each["resourceType"] == "Appointment"]
    starts = [datetime.fromisoformat(visit["start"]) for visit in visits]
    assert len(visits) > 25
    assert starts == sorted(set(starts))
    for visit in visits[::3]:
        named = {"reference": f"Appointment/{visit['id']}"}
        who = {"resourceType": "Patient", "name": [{"family": "Night"}]}
        booked = matched(client.post("Appointment/$book", body(appointment_reference=named, patient_resource=who)))
        begins, ends = (datetime.fromisoformat(booked[name]) for name in ("start", "end"))
        assert begins == datetime.fromisoformat(visit["start"])
        assert ends - begins == timedelta(minutes=30)


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00", "2026-12-31T23:59:60Z"])
def test_times_at_the_ends_of_time(client: Client, start: str) -> None:
    practice = Practice(client)
    end = start.replace(":00:00", ":30:00") if start[17:19] == "00" else "2027-01-01T00:30:00Z"
    visit = {**raw(practice, in_days()), "start": start, "end": end}
    slot = {
        "resourceType": "Slot",
        "status": "busy",
        "schedule": {"reference": practice.schedule[0]},
        "start": start,
        "end": end,
    }
    for resource in (visit, slot):
        assert client.post(resource["resourceType"], resource).status < 500


def test_a_calendar_is_not_written_by_a_comment(client: Client) -> None:
    practice, evil = Practice(client), "x\r\nATTENDEE:mailto:evil@example.org\nEND:VEVENT\nBEGIN:VEVENT"
    who = practice.patient()
    visit = practice.booked(who, in_days(), comment=evil, description=evil)
    link = client.post(f"{practice.schedule[0]}/$calendar-link").json["parameter"][0]["valueUrl"]
    feed = client.get(link).text.replace("\r\n ", "")
    for text in (client.get(f"Appointment/{visit['id']}/$ics").text.replace("\r\n ", ""), feed):
        assert text.count("BEGIN:VEVENT") == 1
        assert "\nATTENDEE:mailto:evil" not in text
    assert client.get(who).json["name"][0]["family"] not in feed
