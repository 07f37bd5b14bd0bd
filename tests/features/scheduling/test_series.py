"""Series: when their occurrences are, and that all of them are booked or none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.core.errors import Unprocessable
from fhir_server.features.scheduling.fields import RECURRENCE_TEMPLATE
from fhir_server.features.scheduling.recurrence import MOST, starts
from tests.client import Client
from tests.features.scheduling.clinic_day import (
    Practice,
    all_matched,
    body,
    detail,
    given,
    in_days,
    iso,
    matched,
)

if TYPE_CHECKING:
    from tests.conftest import TestTenant

CASABLANCA, PARIS, DAKAR = ZoneInfo("Africa/Casablanca"), ZoneInfo("Europe/Paris"), ZoneInfo("Africa/Dakar")


def template(kind: str = "wk", *parts: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A recurrenceTemplate: `count`, `until`, and further parts."""
    found: list[dict[str, Any]] = [{"url": "recurrenceType", "valueCodeableConcept": {"coding": [{"code": kind}]}}]
    if "count" in values:
        found.append({"url": "occurrenceCount", "valuePositiveInt": values["count"]})
    if "until" in values:
        found.append({"url": "lastOccurrenceDate", "valueDate": values["until"]})
    return {"url": RECURRENCE_TEMPLATE, "extension": [*found, *parts]}


def weekly(interval: int = 1, *days: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"url": "weekInterval", "valuePositiveInt": interval}]
    return {"url": "weeklyTemplate", "extension": [*parts, *({"url": day, "valueBoolean": True} for day in days)]}


def at(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def local(appointment: dict[str, Any], first: str, zone: ZoneInfo) -> list[str]:
    found = starts({"extension": [appointment]}, at(first, zone), zone)
    return [when.astimezone(zone).strftime("%m-%d %H:%M") for _, when in found]


def test_nine_o_clock_stays_nine_o_clock_around_ramadan() -> None:
    days = local(template(count=8), "2026-02-02T09:00", CASABLANCA)
    assert days == [f"{day} 09:00" for day in ("02-02", "02-09", "02-16", "02-23", "03-02", "03-09", "03-16", "03-23")]
    found = starts({"extension": [template(count=8)]}, at("2026-02-02T09:00", CASABLANCA), CASABLANCA)
    assert [when.hour for _, when in found] == [8, 8, 9, 9, 9, 9, 9, 8]


def test_paris_over_both_changes_and_dakar_without_any() -> None:
    assert local(template(count=3), "2026-03-22T14:30", PARIS) == ["03-22 14:30", "03-29 14:30", "04-05 14:30"]
    assert local(template(count=3), "2026-10-18T14:30", PARIS) == ["10-18 14:30", "10-25 14:30", "11-01 14:30"]
    assert local(template(count=2), "2026-03-28T08:00", DAKAR) == ["03-28 08:00", "04-04 08:00"]


def test_a_time_that_the_day_does_not_have_is_moved_on_and_one_twice_is_the_first() -> None:
    assert local(template("d", count=3), "2026-03-28T02:30", PARIS) == ["03-28 02:30", "03-29 03:30", "03-30 02:30"]
    found = starts({"extension": [template("d", count=2)]}, at("2026-10-24T02:30", PARIS), PARIS)
    assert [when.isoformat() for _, when in found] == ["2026-10-24T00:30:00+00:00", "2026-10-25T00:30:00+00:00"]


def test_several_days_a_week_every_second_week() -> None:
    rule = template("wk", weekly(2, "monday", "thursday"), until="2026-03-31")
    days = ["03-02 10:00", "03-05 10:00", "03-16 10:00", "03-19 10:00", "03-30 10:00"]
    assert local(rule, "2026-03-02T10:00", DAKAR) == days


def test_exceptions_keep_the_numbers_of_the_others() -> None:
    leave_out = [
        {"url": "excludingDate", "valueDate": "2026-03-09"},
        {"url": "excludingRecurrenceId", "valuePositiveInt": 4},
    ]
    found = starts({"extension": [template("wk", *leave_out, count=5)]}, at("2026-03-02T10:00", DAKAR), DAKAR)
    assert [number for number, _ in found] == [1, 3, 5]


def test_named_dates() -> None:
    dates = [{"url": "occurrenceDate", "valueDate": day} for day in ("2026-05-20", "2026-04-11")]
    assert local(template("d", *dates), "2026-03-02T10:00", DAKAR) == ["03-02 10:00", "04-11 10:00", "05-20 10:00"]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (template(), "needs an end"),
        (template(count=MOST + 1), "more than 52"),
        (template("d", until="2026-12-31"), "more than 52"),
        (template("yr", count=3), "recurrenceType"),
        (
            template(
                "wk", {"url": "monthlyTemplate", "extension": [{"url": "dayOfMonth", "valuePositiveInt": 2}]}, count=3
            ),
            "not supported",
        ),
        (template("wk", {"url": "weeksInterval", "valuePositiveInt": 2}, count=3), "not supported"),
        (template("wk", {"url": "excludingDate", "valueDate": "2026-03"}, count=3), "day of a date"),
        (template("wk", {"url": "excludingDate", "valueDate": "2026-03-02"}, count=1), "leaves no occurrence"),
        (template(until="2026-03-01"), "leaves no occurrence"),
    ],
)
def test_what_is_refused(rule: dict[str, Any], says: str) -> None:
    with pytest.raises(Unprocessable, match=says) as refused:
        starts({"extension": [rule]}, at("2026-03-02T10:00", DAKAR), DAKAR)
    assert RECURRENCE_TEMPLATE in str(refused.value.issues[0].expression)


EMPTY = {"resourceType": "Parameters"}
RECURRENCE_ID = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceId"


def series(practice: Practice, who: str, start: datetime, rule: dict[str, Any], **more: Any) -> dict[str, Any]:
    return given(practice.appointment(who, start, extension=[rule], **more))


def identifiers(appointments: list[dict[str, Any]]) -> set[str]:
    return {each["value"] for one in appointments for each in one["identifier"] if each["system"] == "urn:salam:series"}


def test_all_occurrences_are_booked(client: Client) -> None:
    practice = Practice(client, {"timezone": "Europe/Paris"})
    start = in_days(3)
    answer = client.post("Appointment/$book", series(practice, practice.patient(), start, template(count=6)))
    booked = all_matched(answer)
    assert len(booked) == answer.json["total"] == 6
    assert len(identifiers(booked)) == 1
    assert {each["status"] for each in booked} == {"booked"}
    numbers = [each["valuePositiveInt"] for one in booked for each in one["extension"] if each["url"] == RECURRENCE_ID]
    assert numbers == [1, 2, 3, 4, 5, 6]
    walls = {each["start"][11:16] for each in booked}
    assert len(walls) == 1
    assert [any(each["url"] == RECURRENCE_TEMPLATE for each in one["extension"]) for one in booked] == [True] + [
        False
    ] * 5
    assert "Location" not in answer.headers
    assert practice.book(practice.patient(), start + timedelta(weeks=0)).status == 409


def test_all_or_none_and_which_are_taken(client: Client) -> None:
    practice = Practice(client)
    start = in_days(3)
    for week in (1, 3):
        practice.booked(practice.patient(), start + timedelta(weeks=week))
    who = practice.patient()
    refused = client.post("Appointment/$book", series(practice, who, start, template(count=5)))
    assert refused.status == 409
    assert [issue["details"]["text"][:12] for issue in refused.issues] == ["Occurrence 2", "Occurrence 4"]
    assert detail(refused) == "slot-taken"
    days = {each["start"][:10] for each in refused.json["contained"]}
    assert {iso(start + timedelta(weeks=week))[:10] for week in (1, 3)} <= days
    assert client.search(f"Appointment?patient={who}") == []
    skipping = template("wk", *({"url": "excludingRecurrenceId", "valuePositiveInt": n} for n in (2, 4)), count=5)
    assert len(all_matched(client.post("Appointment/$book", series(practice, who, start, skipping)))) == 3


def test_this_one_and_the_following_are_cancelled(tenant: "TestTenant", client: Client) -> None:
    practice = Practice(client)
    who = practice.patient()
    booked = all_matched(client.post("Appointment/$book", series(practice, who, in_days(3), template(count=5))))
    alone = practice.booked(who, in_days(60))
    me = tenant.client("patient/*.rs patient/Appointment.cru", patient=who.removeprefix("Patient/"))
    cancelled = all_matched(me.post(f"Appointment/{booked[2]['id']}/$cancel", body(series=True, comment="Cured")))
    assert [each["id"] for each in cancelled] == [each["id"] for each in booked[2:]]
    now = {each["id"]: each["status"] for each in client.search(f"Appointment?patient={who}")}
    assert [now[each["id"]] for each in booked] == ["booked", "booked", "cancelled", "cancelled", "cancelled"]
    assert now[alone["id"]] == "booked"
    one = matched(client.post(f"Appointment/{booked[0]['id']}/$cancel", EMPTY))
    assert one["status"] == "cancelled"
    assert client.get(f"Appointment/{booked[1]['id']}").json["status"] == "booked"


def test_a_series_to_confirm_is_confirmed_as_one(client: Client) -> None:
    practice = Practice(client, {"requiresConfirmation": True})
    asked = all_matched(
        client.post("Appointment/$book", series(practice, practice.patient(), in_days(3), template(count=4)))
    )
    assert {each["status"] for each in asked} == {"pending"}
    booked = all_matched(client.post(f"Appointment/{asked[1]['id']}/$confirm", body(series=True)))
    assert [each["id"] for each in booked] == [each["id"] for each in asked[1:]]
    assert client.get(f"Appointment/{asked[0]['id']}").json["status"] == "pending"


def test_one_occurrence_moves_alone(client: Client) -> None:
    practice = Practice(client)
    start = in_days(3)
    booked = all_matched(
        client.post("Appointment/$book", series(practice, practice.patient(), start, template(count=3)))
    )
    moved = matched(
        client.post(f"Appointment/{booked[1]['id']}/$reschedule", body(start=iso(start + timedelta(days=8))))
    )
    assert identifiers([moved]) == identifiers(booked)
    assert client.get(f"Appointment/{booked[2]['id']}").json == booked[2]


def test_the_series_itself_counts_for_limits(client: Client) -> None:
    practice = Practice(client, {"limitPerWeek": 3})
    monday = in_days(21) - timedelta(days=in_days(21).weekday())
    refused = client.post("Appointment/$book", series(practice, practice.patient(), monday, template("d", count=4)))
    assert (refused.status, detail(refused)) == (422, "limit-reached")
    assert "Occurrence 4" in refused.text
    weeks = template("wk", weekly(1, "monday", "wednesday"), count=6)
    assert len(all_matched(client.post("Appointment/$book", series(practice, practice.patient(), monday, weeks)))) == 6


def test_a_series_of_a_hold_is_refused(client: Client) -> None:
    practice = Practice(client)
    held = matched(
        client.post(
            "Appointment/$hold",
            body(appointment_reference={"reference": f"Appointment/{practice.proposal(in_days(3))['id']}"}),
        )
    )
    held["extension"].append(template(count=3))
    assert client.post("Appointment/$book", given(held, patient_resource={"resourceType": "Patient"})).status == 422


def test_fifty_two_weeks(client: Client, record_property: Callable[[str, object], None]) -> None:
    practice = Practice(client)
    begin = datetime.now(UTC)
    booked = all_matched(
        client.post("Appointment/$book", series(practice, practice.patient(), in_days(3), template(count=52)))
    )
    record_property("seconds", (datetime.now(UTC) - begin).total_seconds())
    assert len(booked) == 52
