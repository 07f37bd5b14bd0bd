"""Hours: the week, exceptions and closing days of a Schedule; what does not fit any more; what the form does not know."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.core import clock
from tests.ui.conftest import Demo, Person
from tests.ui.manage.forms import changed, form_of, text_of

PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"


def available(days: list[str], start: str, end: str, **more: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"url": "day", "valueCode": day} for day in days]
    parts += [{"url": "start", "valueTime": f"{start}:00"}, {"url": "end", "valueTime": f"{end}:00"}]
    if more:
        parts.append({"url": "period", "valuePeriod": more["period"]})
    return {"url": "available", "extension": parts}


SEASON = available(["mon"], "10:00", "15:00", period={"start": "2027-02-08", "end": "2027-03-09"})
STRANGE: dict[str, Any] = {
    "resourceType": "Schedule", "active": True, "actor": [{"reference": "Practitioner/demo-fall"}], "comment": "stays",
    "extension": [
        {"url": PARAMETERS, "extension": [
            {"url": "service", "valueReference": {"reference": "HealthcareService/demo-gynecology"}},
            {"url": "duration", "valuePositiveInt": 45}]},
        {"url": PARAMETERS, "id": "general", "extension": [
            {"url": "timezone", "valueCode": "Africa/Casablanca"},
            {"url": "cancelCutoff", "valueUnsignedInt": 90},
            available(["mon", "tue"], "09:00", "12:30"), SEASON, available(["mon"], "14:00", "17:00"),
            {"url": "extra", "valuePeriod": {"start": "2027-05-01T09:00:00+01:00", "end": "2027-05-01T12:00:00+01:00"}},
            {"url": "extra", "valuePeriod": {"start": "2027-06-01T20:00:00+01:00", "end": "2027-06-02T06:00:00+01:00"}},
            {"url": "closed", "extension": [{"url": "period", "valuePeriod": {"start": "2027-08-01", "end": "2027-08-15"}}, {"url": "reason", "valueString": "Congés"}]},
            {"url": "closed", "extension": [{"url": "period", "valuePeriod": {"start": "2027-09-01T10:00:00+01:00", "end": "2027-09-01T11:00:00+01:00"}}]},
            {"url": "holidays", "valueCode": "MA"}]},
    ],
}  # fmt: skip


@pytest.fixture
def strange(clinic: Demo) -> dict[str, Any]:
    return clinic.client().create(deepcopy(STRANGE))


@pytest.fixture
def manager(clinic: Demo) -> Person:
    return clinic.person("manager")


def stored(clinic: Demo, schedule: dict[str, Any]) -> dict[str, Any]:
    found = dict(clinic.client().get(f"Schedule/{schedule['id']}").json)
    found.pop("meta")
    return found


def rows(resource: dict[str, Any], name: str) -> list[dict[str, Any]]:
    general = next(each for each in resource["extension"] if each.get("id") == "general")
    return [each for each in general["extension"] if each["url"] == name]


def test_to_save_without_a_change_says_the_same_as_before(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path, before = f"manage/hours/{strange['id']}", stored(clinic, strange)
    answer = manager.post(path, form_of(manager.get(path), "holidays"))
    assert answer.status_code == 303, text_of(answer)
    after = stored(clinic, strange)
    for name in ("available", "extra", "closed", "holidays", "timezone", "cancelCutoff"):
        assert sorted(map(str, rows(after, name))) == sorted(map(str, rows(before, name))), name
    assert after["extension"][0] == before["extension"][0], "the rules for one service stay"
    assert after["comment"] == "stays"


def test_hours_are_added_changed_and_taken_away(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path = f"manage/hours/{strange['id']}"
    form = changed(
        form_of(manager.get(path), "holidays"), mon__start=["08:00"], mon__end=["12:00"], tue__start=[""], tue__end=[""],
        fri__start=["08:00", "15:00"], fri__end=["12:00", "00:00"], extra__date=["2027-07-03"], extra__start=["09:00"],
        extra__end=["10:30"], closed__first=["2027-12-31"], closed__last=[""], closed__reason=["Inventaire"], holidays="",
    )  # fmt: skip
    assert manager.post(path, form).status_code == 303
    after = stored(clinic, strange)
    weekly = [each for each in rows(after, "available") if each != SEASON]
    assert weekly == [available(["mon", "fri"], "08:00", "12:00"), available(["fri"], "15:00", "00:00")]
    assert SEASON in rows(after, "available")
    periods = [each["valuePeriod"]["start"] for each in rows(after, "extra")]
    assert periods == ["2027-06-01T20:00:00+01:00", "2027-07-03T09:00:00+01:00"], "the night that the form cannot show stays"
    closed = [each["extension"][0]["valuePeriod"] for each in rows(after, "closed")]
    assert {"start": "2027-12-31", "end": "2027-12-31"} in closed and len(closed) == 2
    assert rows(after, "holidays") == []


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"mon__start": ["12:00"], "mon__end": ["09:00"]}, "mon"),
        ({"mon__start": ["09:00", "10:00"], "mon__end": ["11:00", "12:00"]}, "mon"),
        ({"wed__start": ["09:00"], "wed__end": [""]}, "wed"),
        ({"sun__start": ["25:00"], "sun__end": ["26:00"]}, "sun"),
        ({"mon__start": ["09:00"] * 13, "mon__end": ["09:00"] * 13}, "mon"),
        ({"extra__date": ["2027-02-30"], "extra__start": ["09:00"], "extra__end": ["10:00"]}, "extra-0"),
        ({"extra__date": ["2027-02-03"], "extra__start": ["09:00"], "extra__end": ["08:00"]}, "extra-0"),
        ({"closed__first": ["2027-02-03"], "closed__last": ["2027-02-01"], "closed__reason": [""]}, "closed-0"),
        ({"holidays": "MAROC"}, "holidays"),
        ({"holidays": "M1"}, "holidays"),
    ],
)
def test_bad_hours_are_said_at_their_day_and_kept(clinic: Demo, manager: Person, strange: dict[str, Any], fields: dict[str, Any], at: str) -> None:
    path, before = f"manage/hours/{strange['id']}", stored(clinic, strange)
    answer = manager.post(path, changed(form_of(manager.get(path), "holidays"), **fields))
    assert answer.status_code == 422 and f'id="{at}-error"' in answer.text
    name, value = next(iter(fields.items()))
    assert form_of(answer, "holidays")[name.replace("__", "-")][: len(value)] == (value if isinstance(value, list) else [value])
    assert stored(clinic, strange) == before


def test_a_country_without_known_holidays_is_refused(manager: Person, strange: dict[str, Any]) -> None:
    path = f"manage/hours/{strange['id']}"
    answer = manager.post(path, changed(form_of(manager.get(path), "holidays"), holidays="ZZ"))
    assert answer.status_code == 422 and 'id="holidays-error"' in answer.text


def test_who_was_overtaken_keeps_what_was_typed(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path = f"manage/hours/{strange['id']}"
    form = changed(form_of(manager.get(path), "holidays"), sat__start=["09:00"], sat__end=["11:00"])
    other = clinic.person("owner")
    other.post(path, changed(form_of(other.get(path), "holidays"), sun__start=["09:00"], sun__end=["10:00"]))
    answer = manager.post(path, form)
    assert answer.status_code == 409 and 'id="overtaken"' in answer.text
    assert form_of(answer, "holidays")["sat-start"][0] == "09:00"
    assert manager.post(path, form_of(answer, "holidays")).status_code == 303


def test_visits_outside_of_the_new_hours_are_listed(clinic: Demo, manager: Person) -> None:
    from zoneinfo import ZoneInfo

    client = clinic.client()
    when = clock.now().astimezone(ZoneInfo("Africa/Casablanca")) + timedelta(days=40)
    when = (when + timedelta(days=(2 - when.weekday()) % 7)).replace(hour=9, minute=0, second=0, microsecond=0)
    found = client.get(f"Appointment/$find?start={when.date()}&end={when.date()}&practitioner=Practitioner/demo-ndiaye&_count=1").json
    proposal = next(e["resource"] for e in found["entry"] if e["resource"]["resourceType"] == "Appointment")
    patient = client.search("Patient?_count=1")[0]["id"]
    proposal = {**proposal, "participant": [*proposal["participant"], {"actor": {"reference": f"Patient/{patient}", "display": "Impacted PERSON"}, "status": "accepted"}]}
    proposal.pop("id")
    booked = client.post("Appointment/$book", {"resourceType": "Parameters", "parameter": [{"name": "appointment-resource", "resource": proposal}]})
    assert booked.status in (200, 201), booked.text
    path = "manage/hours/demo-ndiaye"
    assert "Impacted PERSON" not in manager.get(f"{path}/impacted").text
    form = form_of(manager.get(path), "holidays")
    assert manager.post(path, changed(form, wed__start=["18:00"], wed__end=["19:00"])).status_code == 303
    assert "Impacted PERSON" in manager.get(f"{path}/impacted").text
    form = form_of(manager.get(path), "holidays")
    assert manager.post(path, changed(form, wed__start=["09:00", "14:00"], wed__end=["12:30", "17:30"])).status_code == 303
    assert "Impacted PERSON" not in manager.get(f"{path}/impacted").text
