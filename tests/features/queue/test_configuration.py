"""What a queue's configuration may say, and what it says by default."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from fhir_server.features.queue import configuration
from fhir_server.features.queue.configuration import CONFIGURATION, STATE, QueueConfig, QueueState
from tests.client import Client


def service(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "HealthcareService", "extension": [{"url": CONFIGURATION, "extension": list(parts)}]}


def part(name: str, **value: Any) -> dict[str, Any]:
    return {"url": name, **value}


def test_a_service_without_configuration_is_no_queue() -> None:
    assert configuration.of({"resourceType": "HealthcareService"}) is None
    assert configuration.issues({"resourceType": "HealthcareService"}) == []


def test_an_empty_configuration_is_a_queue_with_the_usual_rules() -> None:
    assert configuration.of(service(), "Africa/Dakar") == QueueConfig(timezone="Africa/Dakar")


def test_every_part_is_read() -> None:
    given = service(
        part("prefix", valueString="B"), part("width", valuePositiveInt=4), part("kinds", valueCode="normal"),
        part("kinds", valueCode="vip"), part("graceMinutes", valueUnsignedInt=10), part("maxRecalls", valueUnsignedInt=1),
        part("returnPlaces", valuePositiveInt=2), part("maxReturns", valuePositiveInt=1),
        part("starvationBound", valuePositiveInt=5), part("paidEvery", valuePositiveInt=4),
        part("maxWaiting", valuePositiveInt=50), part("maxPerDay", valuePositiveInt=200),
        part("stopMinutesBeforeClosing", valueUnsignedInt=30), part("earlyTolerance", valueUnsignedInt=45),
        part("lateTolerance", valueUnsignedInt=5), part("remoteTickets", valueBoolean=False),
        part("selfCheckIn", valueBoolean=True),
        part("transferTo", valueReference={"reference": "HealthcareService/x"}), part("display", valueCode="initials"),
        part("serviceMinutes", valuePositiveInt=20), part("closesAt", valueTime="17:30:00"),
        part("timezone", valueCode="Africa/Casablanca"),
    )  # fmt: skip
    assert configuration.issues(given) == []
    assert configuration.of(given) == QueueConfig(
        "B", 4, ("normal", "vip"), 10, 1, 2, 1, 5, 4, 50, 200, 30, 45, 5, False, True, ("HealthcareService/x",), "initials",
        20, time(17, 30), "Africa/Casablanca",
    )  # fmt: skip


REFUSED = [
    (part("prefix", valueString="LONGER"), "one to four"),
    (part("prefix", valueString="A-1"), "one to four"),
    (part("width", valuePositiveInt=7), "1 to 6"),
    (part("kinds", valueCode="royal"), "normal, vip"),
    (part("paidEvery", valueUnsignedInt=0), "1 to 100"),
    (part("graceMinutes", valueUnsignedInt=241), "0 to 240"),
    (part("transferTo", valueReference={"reference": "Location/x"}), "HealthcareService/[id]"),
    (part("transferTo", valueReference={"display": "x"}), "HealthcareService/[id]"),
    (part("display", valueCode="name"), "initials-digits"),
    (part("timezone", valueCode="Mars/Olympus"), "Africa/Casablanca"),
    (part("timezone", valueCode="../../etc/passwd"), "Africa/Casablanca"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_is_refused(given: dict[str, Any], said: str) -> None:
    (issue,) = configuration.issues(service(given))
    assert said in issue.text
    assert (issue.expression or "").startswith("HealthcareService.extension[0].extension[0]")


FORM = [
    [part("prefixx", valueString="A")],
    [part("width", valueString="3")],
    [part("width", valuePositiveInt=3), part("width", valuePositiveInt=4)],
    [part("kinds", valueCode="normal", extension=[])],
    [{"url": "kinds", "extension": [{"url": "x", "valueCode": "normal"}]}],
    [part("closesAt", valueTime="25:00:00")],
    [part("closesAt", valueString="17:00:00")],
]


@pytest.mark.parametrize("parts", FORM)
def test_a_wrong_form_is_refused_before_it_is_read(client: Client, parts: list[dict[str, Any]]) -> None:
    answer = client.post("HealthcareService", service(*parts))
    assert answer.status == 422, answer.text
    assert answer.issues[0]["expression"][0].startswith("HealthcareService.extension[0]")


def test_the_table_of_forms_would_notice_a_good_one(client: Client) -> None:
    assert client.post("HealthcareService", service(part("closesAt", valueTime="17:00:00"))).status == 201


def test_numbers_as_people_see_them() -> None:
    assert [QueueConfig().number(n) for n in (1, 42, 1000)] == ["A-001", "A-042", "A-1000"]


def test_the_day_begins_where_the_queue_is() -> None:
    late = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert QueueConfig(timezone="Africa/Casablanca").day(late) == date(2026, 7, 2)
    assert QueueConfig(timezone="Africa/Dakar").day(late) == date(2026, 7, 1)
    assert QueueConfig(timezone="Africa/Casablanca").end_of_day(late) == datetime(2026, 7, 2, 23, 0, tzinfo=UTC)


def test_closing_is_a_wall_clock_time() -> None:
    morning = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
    config = QueueConfig(closes_at=time(17, 30), timezone="Africa/Casablanca")
    assert config.closing(morning) == datetime(2026, 7, 1, 16, 30, tzinfo=UTC)
    assert QueueConfig().closing(morning) is None
    midnight = QueueConfig(closes_at=time(0), timezone="Africa/Casablanca")
    assert midnight.closing(morning) == datetime(2026, 7, 1, 23, 0, tzinfo=UTC)


def test_a_queue_that_was_never_opened_is_closed() -> None:
    assert configuration.state({}) == QueueState("closed")
    parts = [part("state", valueCode="paused"), part("since", valueInstant="2026-02-10T09:00:00Z"),
             part("message", valueString="Back at ten")]  # fmt: skip
    given = {"extension": [{"url": STATE, "extension": parts}]}
    assert configuration.state(given) == QueueState("paused", "2026-02-10T09:00:00Z", None, "Back at ten")
