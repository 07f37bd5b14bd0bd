"""The scheduling parameters of services and Schedules: what comes before what, and what cannot be."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.core.errors import Unprocessable
from fhir_server.features.scheduling.hours import Weekly
from fhir_server.features.scheduling.parameter_values import Needed
from fhir_server.features.scheduling.parameters import Rules, check_parameters, rules_of
from tests.client import Client
from tests.features.scheduling.town import agenda, closed, doctor, extra, hours, needs, reserve, rules, service

SERVICE = "HealthcareService/s"


def of_service(*parts: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"resourceType": "HealthcareService", "id": "s", "extension": [rules(*parts, **values)]}


def of_schedule(*extensions: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Schedule", "id": "me", "extension": list(extensions)}


def test_without_parameters_there_are_defaults() -> None:
    assert rules_of(None, None, "Africa/Dakar") == Rules(zone="Africa/Dakar")
    assert rules_of({"resourceType": "HealthcareService", "id": "s"}).online is False


def test_the_schedule_for_the_service_comes_before_the_schedule_before_the_service() -> None:
    general = of_service(duration=10, bufferBefore=1, bufferAfter=1, onlineBooking=True)
    schedule = of_schedule(
        rules(of="HealthcareService/other", duration=99, bufferBefore=99),
        rules(of=SERVICE, duration=20),
        rules(duration=15, bufferAfter=2),
    )
    found = rules_of(general, schedule)
    assert (found.duration, found.before, found.after, found.online) == (20, 1, 2, True)
    assert rules_of(None, schedule).duration == 15


@pytest.mark.parametrize(("duration", "interval"), [(30, 30), (20, 10), (45, 15), (50, 10), (60, 30), (25, 5), (7, 1)])
def test_the_grid_that_nobody_chose_divides_the_duration_and_half_an_hour(duration: int, interval: int) -> None:
    assert rules_of(of_service(duration=duration)).interval == interval


def test_every_part_is_read() -> None:
    found = rules_of(
        of_service(
            hours("08:00", "12:00", "mon", "tue", start="2026-01-01", end="2026-06-30"),
            hours("22:00", "06:00", "sat"),
            extra("2026-05-01T09:00:00Z", "2026-05-01T10:00:00Z"),
            closed("2026-08-01", "2026-08-15"),
            reserve(2, 90),
            needs("Schedule/a", "Schedule/b", role="laser"),
            {"url": "questionnaire", "valueCanonical": "urn:q|1"},
            {"url": "questionnaire", "valueReference": {"reference": "Questionnaire/q"}},
            {"url": "insurer", "valueReference": {"reference": "Organization/cnops"}},
            {"url": "requiresConfirmation", "valueBoolean": True},
            timezone="Africa/Casablanca", alignmentInterval=20, alignmentOffset=5, holidays="MA", minNotice=60, maxAdvance=90,
            holdMinutes=7, cancelCutoff=120, capacity=3, limitPerDay=10, limitPerWeek=40,
            eligibility="gender = 'female'", price={"value": Decimal("250.00"), "currency": "MAD"},
        )
    )  # fmt: skip
    assert found == Rules(
        interval=20, offset=5, zone="Africa/Casablanca",
        available=(Weekly(frozenset({0, 1}), 480, 720, 20454, 20634), Weekly(frozenset({5}), 1320, 360)),
        extra=(("2026-05-01T09:00:00Z", "2026-05-01T10:00:00Z"),), closed=(("2026-08-01", "2026-08-15"),), holidays="MA",
        min_notice=60, max_advance=90, hold_minutes=7, cancel_cutoff=120, requires_confirmation=True, capacity=3,
        limit_day=10, limit_week=40, reserve=2, reserve_release=90, eligibility="gender = 'female'",
        questionnaires=("urn:q|1", "Questionnaire/q"), insurers=("Organization/cnops",),
        resources=(Needed("laser", ("Schedule/a", "Schedule/b")),),
        price={"value": Decimal("250.00"), "currency": "MAD"},
    )  # fmt: skip


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"url": "duration", "valuePositiveInt": 0}, ""),
    ({"url": "duration", "valuePositiveInt": 1441}, ""),
    ({"url": "duration", "valuePositiveInt": True}, ""),
    ({"url": "duration", "valueString": "30"}, ""),
    ({"url": "duration"}, ""),
    ({"url": "bufferBefore", "valueUnsignedInt": -5}, ""),
    ({"url": "alignmentOffset", "valueUnsignedInt": 1440}, ""),
    ({"url": "timezone", "valueCode": "Africa/Atlantis"}, ""),
    ({"url": "timezone", "valueCode": "../../etc/passwd"}, ""),
    ({"url": "timezone", "valueCode": ""}, ""),
    ({"url": "holidays", "valueCode": "Morocco"}, ""),
    ({"url": "durations", "valuePositiveInt": 5}, ".url"),
    (hours("12:00", "12:00"), ""),
    (hours("12:00:30", None), ""),
    ({"url": "available", "extension": [{"url": "day", "valueCode": "monday"}]}, ".extension[0].valueCode"),
    ({"url": "available", "extension": [{"url": "from", "valueTime": "09:00:00"}]}, ".extension[0]"),
    (hours("09:00", "12:00", "mon", start="2026-06-30", end="2026-01-01"), ""),
    (extra("2026-05-01T10:00:00Z", "2026-05-01T09:00:00Z"), ""),
    (extra("2026-05-01T10:00:00Z", "2026-05-01T10:00:00Z"), ""),
    ({"url": "extra", "valuePeriod": {"start": "2026-05-01"}}, ""),
    ({"url": "closed", "extension": [{"url": "reason", "valueString": "Leave"}]}, ""),
    ({"url": "closed", "extension": [{"url": "period", "valuePeriod": {}}]}, ""),
    ({"url": "closed", "extension": [{"url": "period", "valuePeriod": {"start": "2026-02-30"}}]}, ""),
    ({"url": "emergencyReserve", "extension": [{"url": "releaseMinutes", "valuePositiveInt": 5}]}, ""),
    ({"url": "eligibility", "valueString": "birthDate <="}, ".valueString"),
    ({"url": "insurer", "valueReference": {"reference": "Patient/1"}}, ".valueReference.reference"),
    ({"url": "insurer", "valueReference": {"display": "Somebody"}}, ".valueReference.reference"),
    ({"url": "resource", "extension": [{"url": "role", "valueCode": "room"}]}, ""),
    ({"url": "price", "valueMoney": {"value": Decimal(-1), "currency": "MAD"}}, ".valueMoney"),
    ({"url": "price", "valueMoney": {"value": Decimal(1)}}, ".valueMoney"),
]


@pytest.mark.parametrize(("part", "path"), WRONG)
def test_what_cannot_be_is_named_with_its_path(part: dict[str, Any], path: str) -> None:
    issues = check_parameters(of_service({"url": "holdMinutes", "valuePositiveInt": 5}, part))
    path = path or next((f".{name}" for name in part if name.startswith("value")), "")
    assert [issue.expression for issue in issues] == [f"HealthcareService.extension[0].extension[1]{path}"]
    assert issues[0].severity == "error" and len(issues[0].text) > 15
    with pytest.raises(Unprocessable):
        rules_of(of_service(part))


@pytest.mark.parametrize(
    "resource",
    [
        of_service(of=SERVICE),
        {**of_service(), "extension": [rules(duration=5), rules(duration=6)]},
        of_schedule(rules(of=SERVICE), rules(), rules(of=SERVICE)),
        of_schedule(rules(needs("Schedule/me"))),
        of_schedule(rules(needs("Schedule/a"), needs("Schedule/b"), needs("Schedule/c"))),
        of_service(minNotice=3000, maxAdvance=2),
        of_service(limitPerDay=9, limitPerWeek=8),
        of_service({"url": "duration", "valuePositiveInt": 5}, duration=6),
    ],
)
def test_what_does_not_fit_together(resource: dict[str, Any]) -> None:
    assert len(check_parameters(resource)) == 1


def test_others_extensions_are_others_business() -> None:
    assert check_parameters({"resourceType": "Schedule", "extension": [{"url": "urn:x", "valueCode": "y"}]}) == []


def test_what_is_wrong_is_refused_when_it_is_written(client: Client) -> None:
    offered = service(client)
    answer = client.post("HealthcareService", {**of_service(timezone="Nowhere"), "id": "x"})
    assert answer.status == 422, answer.text
    assert answer.issues[0]["expression"] == ["HealthcareService.extension[0].extension[0].valueCode"]
    unknown = client.post("HealthcareService", of_service(eligibility="birthDay <= today()"))
    assert unknown.status == 422
    stored = client.get(agenda(client, doctor(client), rules(of=offered))).json
    stored["extension"].append(rules(of=offered))
    assert client.put(f"Schedule/{stored['id']}", stored).status == 422
