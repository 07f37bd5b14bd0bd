"""Nonsense in every parameter of every operation of this server: 4xx with a sentence, and nothing half-done."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.conformance.own_definitions import own_definitions
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.attacks.tries import Json, given
from tests.features.queue.counter import Counter
from tests.features.scheduling.clinic_day import Practice, in_days, iso

START = in_days()
FEATURES = ("Appointment", "HealthcareService", "Task", "Practitioner", "PractitionerRole", "Schedule", "Location", "Patient", "Communication")  # fmt: skip
DATES = [
    "", "2026", "2026-13-01", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2026-03-29T02:30:00+01:00", "2026-12-05T25:00:00Z", "2026-12-05T09:00:00+99:00", "-2026-01-01", "now",
    "2026-12-05T09:00:60Z", 5, None, [],
]  # fmt: skip
TEXTS = ["", " ", "\0", "x" * 100_000, "{{ ''.__class__ }}", "{% for x in range(9999999999) %}{% endfor %}", 5, None]
REFERENCES = ["", "/", "Patient/", "Patient/nope", "Practitioner/nope", "http://elsewhere.example/Patient/1", "#x",
              "Patient/" + "a" * 65, "Appointment/proposal-", "Appointment/proposal-" + "A" * 48, "\0", "a" * 5000]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "dateTime": DATES,
    "string": TEXTS,
    "code": [*TEXTS, "sms", "emergency"],
    "boolean": ["true", 1, None],
    "positiveInt": [0, -1, 2**31 - 1, 2**31, 10**30, 1.5, "1", None],
    "Reference": [{"reference": each} for each in REFERENCES] + [{}, {"display": "x"}, {"reference": 5}],
    "Period": [{"start": each, "end": "2026-12-06T00:00:00Z"} for each in DATES] + [
        {}, {"start": "0001-01-01", "end": "9999-12-31"}, {"start": "2026-12-06", "end": "2026-12-01"}],
    "CodeableConcept": [{}, {"text": ""}, {"text": "x" * 100_000}, {"coding": []}, {"coding": [{}]}],
    "Timing": [{}, {"repeat": {"timeOfDay": ["25:00:00"]}}, {"repeat": {"count": 10**9, "period": 1, "periodUnit": "s"}}],
    "Identifier": [{}, {"system": "x" * 10_000}],
    "url": ["", "x", "http://127.0.0.1/", "https://[::1", "https://push.example:abc/", "https://x:99999/", 5],
    "Patient": [{}, {"resourceType": "Observation"}, {"resourceType": "Patient", "id": "nope"},
                {"resourceType": "Patient", "identifier": [{"system": "a|b,c$\\", "value": ",|"}]}],
}  # fmt: skip
BODIES: list[Any] = [b"", b"{", b"[]", {"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": {}},
                     given({}), given({"name": "unknown", "valueString": "x"}), given(*[{"name": "zz"}] * 10_000)]  # fmt: skip
RECURRENCE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceTemplate"


@pytest.fixture(scope="module")
def ids(tenant: TestTenant, client: Client) -> dict[str, str]:
    """A resource of each type, `booked` for an Appointment in full."""
    practice, counter = Practice(client), Counter(client, tenant.id)
    who = practice.patient()
    role = client.create({"resourceType": "PractitionerRole", "practitioner": {"reference": practice.practitioner[0]}})
    message = client.create({"resourceType": "Communication", "status": "completed", "subject": {"reference": who}})
    found = {
        "Appointment": practice.booked(who, START)["id"],
        "HealthcareService": counter.id,
        "PractitionerRole": role["id"],
        "Communication": message["id"],
        "Location": client.create({"resourceType": "Location"})["id"],
        "Task": counter.take()["id"],
    }
    for name in (who, practice.practitioner[0], practice.schedule[0]):
        found[name.split("/")[0]] = name.split("/")[1]
    VALUES["Appointment"] = list(_appointments(practice.appointment(who, START + timedelta(hours=2))))
    return found


def _appointments(good: Json) -> Iterator[Json]:
    for name in good:
        yield {key: value for key, value in good.items() if key != name}
    yield {**good, "participant": []}
    yield {**good, "participant": good["participant"] * 300}
    yield {**good, "start": good["end"], "end": good["start"]}
    yield {**good, "start": "9999-12-31T23:00:00Z", "end": "9999-12-31T23:30:00Z"}
    yield {**good, "start": "0001-01-01T00:00:00Z", "end": "0001-01-01T00:30:00Z"}
    yield {**good, "end": "2036-12-05T09:00:00Z"}
    yield {**good, "slot": [{"reference": "Patient/nope"}]}
    yield {**good, "id": "proposal-x"}
    yield {**good, "meta": {"tag": [{}]}}
    for period in ({}, {"start": "2026-12-09", "end": "2026-12-01"}, {"start": "9999-12-31"}, {"start": "0001-01-01"}):
        yield {**good, "requestedPeriod": [period]}
    for parts in (
        [{"url": "occurrenceCount", "valuePositiveInt": 10_000}],
        [{"url": "timezone", "valueCode": "Mars/Base"}],
        [{"url": "lastOccurrenceDate", "valueDate": "9999-12-31"}],
        [{"url": "weeklyTemplate", "extension": [{"url": "weekInterval", "valuePositiveInt": 10**9}]}],
    ):
        yield {**good, "extension": [{"url": RECURRENCE, "extension": parts}]}


def _parameter(definition: Json, value: Any) -> Json:
    kind = definition["type"]
    if kind in ("Appointment", "Patient"):
        return {"name": definition["name"], "resource": value}
    return {"name": definition["name"], f"value{kind[0].upper()}{kind[1:]}": value}


def _bodies(definition: Json) -> Iterator[Any]:
    yield from BODIES
    inputs = [each for each in definition.get("parameter", ()) if each["use"] == "in"]
    good = {
        "dateTime": iso(START),
        "Period": {"start": iso(START), "end": iso(START + timedelta(hours=1))},
        "code": "sms",
    }
    for one in inputs:
        others = [_parameter(each, good.get(each["type"], VALUES[each["type"]][0]))
                  for each in inputs if each["min"] and each is not one]  # fmt: skip
        for value in VALUES[one["type"]]:
            yield given(*others, _parameter(one, value))
        for wrong in ({"valueString": "x"}, {"valueDecimal": 1.5}, {"valueFoo": 1}, {"resource": []}, {}):
            yield given(*others, {"name": one["name"], **wrong})


OPERATIONS = sorted(
    (kind, each["code"])
    for each in own_definitions("operations")
    for kind in each.get("resource", ())
    if kind in FEATURES and each["code"] not in ("break-glass", "end-break-glass", "disclosures")
)


@pytest.mark.parametrize(("kind", "code"), OPERATIONS)
def test_nonsense_is_refused(client: Client, ids: dict[str, str], kind: str, code: str) -> None:
    definition = next(d for d in own_definitions("operations") if d["code"] == code and kind in d["resource"])
    path = f"{kind}/{ids[kind]}/${code}" if definition["instance"] else f"{kind}/${code}"
    for body in _bodies(definition):
        answer = client.post(path, body)
        assert answer.status < 500, body
        if answer.status >= 400:
            assert answer.issues[0]["details"]["text"], body


def test_what_is_stored_after_all_that_is_valid(client: Client, ids: dict[str, str]) -> None:
    for kind in ("Appointment", "Slot", "Task", "Encounter", "Communication", "Provenance", "HealthcareService"):
        for resource in client.search(f"{kind}?_count=60"):
            answer = client.post(f"{kind}/$validate", resource)
            assert not [each for each in answer.issues if each["severity"] in ("error", "fatal")], resource
