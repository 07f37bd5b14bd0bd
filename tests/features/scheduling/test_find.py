"""Appointment/$find over HTTP. https://profiles.ihe.net/ITI/Scheduling/OperationDefinition-appointment-find.html"""

from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.client import Client
from tests.features.scheduling.town import (
    DAY,
    NEXT,
    agenda,
    asked,
    at,
    busy,
    code,
    doctor,
    find,
    hours,
    make,
    notes,
    one,
    proposals,
    rules,
    service,
    starts,
)


def test_the_free_times_of_a_practitioner(client: Client) -> None:
    offered, who, schedule = one(client, price={"value": 200, "currency": "MAD"})
    busy(client, schedule, *at("09:30", "10:00"))
    answer = find(client, DAY, DAY, practitioner=who)
    assert starts(answer) == at("09:00", "10:00", "10:30")
    assert answer.json["total"] == 3
    first = proposals(answer)[0]
    assert first["status"] == "proposed" and first["id"].startswith("proposal-")
    assert first["end"] == at("09:30")[0] and first["minutesDuration"] == 30
    assert [each["actor"]["reference"] for each in first["participant"]] == [who, offered]
    assert all((each["required"], each["status"]) == ("required", "needs-action") for each in first["participant"])
    parts = {each["url"].rpartition(":")[2]: each for each in first["extension"]}
    assert parts["price"]["valueMoney"] == {"value": 200, "currency": "MAD"}
    assert [each.get("valueString", each.get("valueCode")) for each in parts["wall-time"]["extension"]] == [
        f"{DAY}T09:00",
        "UTC",
    ]
    assert client.post("Appointment/$validate", {k: v for k, v in first.items() if k != "id"}).status == 200


def test_what_is_stored_nowhere(client: Client) -> None:
    offered, who, _ = one(client)
    first = proposals(find(client, DAY, DAY, practitioner=who))[0]
    assert client.get(f"Appointment/{first['id']}").status == 404
    assert client.search(f"Appointment?actor={who}") == []
    assert client.search(f"Slot?schedule.actor={who}") == []


def test_the_self_link_says_what_was_used(client: Client) -> None:
    _, who, _ = one(client)

    def said(answer: Any) -> list[tuple[str, str]]:
        url = answer.json["link"][0]["url"]
        assert answer.json["link"][0]["relation"] == "self" and "/Appointment/$find?" in url
        return sorted(parse_qsl(url.partition("?")[2]))

    common = [("end", NEXT), ("practitioner", who), ("start", DAY)]
    answer = find(client, DAY, NEXT, practitioner=who, specialty=["urn:test|é&=", "x"], _count=2)
    assert said(answer) == [("_count", "2"), *common[:2], ("specialty", "urn:test|é&="), ("specialty", "x"), common[2]]
    timing = {"repeat": {"dayOfWeek": ["tue"]}}
    sent = asked(start=DAY, end=NEXT, practitioner={"reference": who}, timing=timing)
    assert said(client.post("Appointment/$find", sent)) == [("_count", "50"), *common]


@pytest.mark.parametrize(
    ("timing", "found"),
    [
        ({"event": ["2016-12-31T23:59:60Z"]}, []),
        ({"event": [f"{DAY}T09:29:60Z"]}, at("09:30", "10:00")),
        ({"repeat": {"boundsPeriod": {"start": f"{DAY}T09:59:60Z"}}}, at("10:00", "10:30")),
        ({"repeat": {"timeOfDay": ["10:00:60"]}}, at("10:00", "10:30")),
    ],
)
def test_leap_seconds(client: Client, timing: dict[str, Any], found: list[str]) -> None:
    _, who, _ = one(client)
    answer = client.post("Appointment/$find", asked(start=DAY, end=DAY, practitioner={"reference": who}, timing=timing))
    assert starts(answer) == found


def test_bounds_of_the_window_are_kept_and_a_date_is_all_of_its_day(client: Client) -> None:
    _, who, _ = one(client)
    assert starts(find(client, *at("09:10", "10:30"), practitioner=who)) == at("09:30", "10:00")
    assert len(starts(find(client, DAY, NEXT, practitioner=who))) == 8
    assert starts(find(client, *at("09:00", "09:29"), practitioner=who)) == []


def test_the_count_limits_entries_but_not_the_total(client: Client) -> None:
    _, who, _ = one(client)
    for count, entries in (("1", 1), ("0", 0), ("999999999999", 4)):
        answer = find(client, DAY, DAY, practitioner=who, _count=count)
        assert (len(starts(answer)), answer.json["total"]) == (entries, 4)
    assert find(client, DAY, DAY, _count="-1").status == 400


@pytest.mark.parametrize(
    ("values", "status", "expression"),
    [
        ({"end": DAY}, 400, "http.start"),
        ({"start": DAY}, 400, "http.end"),
        ({"start": DAY, "end": "soon"}, 400, "http.end"),
        ({"start": NEXT, "end": DAY}, 400, "http.end"),
        ({"start": "2030-01-01", "end": "2030-03-05"}, 422, "http.end"),
        ({"start": "9999-12-30T00:00:00Z", "end": "9999-12-31T23:59:59Z"}, 422, "http.end"),
        ({"start": "9999-12-31", "end": "9999-12-31"}, 422, "http.end"),
        ({"start": "0001-01-01T00:00:00%2B14:00", "end": "0001-01-01T00:00:00Z"}, 422, "http.start"),
        ({"start": DAY, "end": DAY, "visit-type": "only-a-system|"}, 400, "http.visit-type"),
        ({"start": DAY, "end": DAY, "practitioner": "Patient/1"}, 400, "http.practitioner"),
        ({"start": DAY, "end": DAY, "practitioner": "https://elsewhere.example/Practitioner/1"}, 400, "http.practitioner"),
        ({"start": DAY, "end": DAY, "patient-reference": "Patient/nobody"}, 404, None),
        ({"start": DAY, "end": DAY, "specialities": "x|y"}, 400, "http.specialities"),
        ({"start": DAY, "end": DAY, "service": "x"}, 400, "http.service"),
        ({"start": DAY, "end": DAY, "timing": "MORN"}, 400, "http.timing"),
        ({"start": DAY, "end": DAY, "insurance-reference": "Patient/1"}, 400, "http.insurance-reference"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(client: Client, values: dict[str, str], status: int, expression: str | None) -> None:
    answer = client.get("Appointment/$find?" + "&".join(f"{name}={value}" for name, value in values.items()))
    assert answer.status == status, answer.text
    assert expression is None or answer.issues[0]["expression"] == [expression]


def test_62_days_may_be_asked_at_once(client: Client) -> None:
    _, who, _ = one(client)
    assert find(client, "2030-01-01", "2030-03-03", practitioner=who).status == 200
    answer = find(client, "2030-01-01", "2030-03-04", practitioner=who)
    assert (answer.status, answer.issues[0]["code"]) == (422, "too-costly")


def test_several_values_are_alternatives_in_order_of_preference(client: Client) -> None:
    kind = code("echo")[0]["coding"][0]
    offered = service(client, type=[{"coding": [{**kind, "code": DAY}]}])
    people = [doctor(client) for _ in range(3)]
    for who in people:
        agenda(client, who, rules(hours("09:00", "10:00", "mon"), of=offered))
    answer = find(client, DAY, DAY, practitioner=[people[2], people[0]], visit_type=f"urn:test|{DAY}")
    found = [(each["start"], each["participant"][0]["actor"]["reference"]) for each in proposals(answer)]
    nine, half = at("09:00", "09:30")
    assert found == [(nine, people[2]), (nine, people[0]), (half, people[2]), (half, people[0])]
    assert find(client, DAY, DAY, visit_type=f"urn:test|{DAY}").json["total"] == 6
    assert find(client, DAY, DAY, visit_type=f"urn:other|{DAY}").json["total"] == 0


def test_without_preference_the_least_loaded_comes_first(client: Client) -> None:
    offered = service(client, type=code("load"))
    people = [doctor(client) for _ in range(2)]
    schedules = [agenda(client, who, rules(hours("09:00", "11:00", "mon"), of=offered)) for who in people]
    make(
        client, "Appointment", status="booked", start=at("10:30")[0], end=at("11:00")[0],
        slot=[{"reference": busy(client, schedules[0], *at("10:30", "11:00"))}],
        participant=[{"actor": {"reference": people[0]}, "status": "accepted"}],
    )  # fmt: skip
    answer = find(client, DAY, DAY, visit_type="urn:test|load")
    order = [each["participant"][0]["actor"]["reference"] for each in proposals(answer)]
    assert order[:4] == [people[1], people[0], people[1], people[0]]
    assert starts(answer)[-1] == at("10:30")[0] and order[-1] == people[1]


def test_different_parameters_hold_together(client: Client) -> None:
    clinic, other = (make(client, "Organization", name=name) for name in ("Clinic", "Other"))
    place = make(client, "Location", name="Centre", address={"city": "Ouarzazate", "postalCode": "45000"})
    offered = service(client, type=code("skin"), specialty=code("dermatology"), providedBy={"reference": clinic})
    who = doctor(client)
    make(client, "PractitionerRole", practitioner={"reference": who}, healthcareService=[{"reference": offered}],
         location=[{"reference": place}], organization={"reference": other})  # fmt: skip
    agenda(client, who, rules(hours("09:00", "10:00", "mon")))
    asked: dict[str, Any] = {
        "visit_type": "urn:test|skin", "specialty": "urn:test|dermatology", "organization": clinic,
        "location_reference": place, "practitioner": who,
    }  # fmt: skip
    answer = find(client, DAY, DAY, **asked)
    assert len(starts(answer)) == 2
    assert [each["actor"]["reference"] for each in proposals(answer)[0]["participant"]] == [who, place, offered]
    for name, value in (
        ("location_string", "Ouarza"), ("location_string", "45000"), ("organization", other),
        ("visit_type", "skin"), ("specialty", "dermatology"), ("specialty", ["cardiology", "dermatology"]),
    ):  # fmt: skip
        assert len(starts(find(client, DAY, DAY, **{**asked, name: value}))) == 2
    for name, value in (
        ("specialty", "urn:test|cardiology"), ("specialty", "|dermatology"), ("visit_type", "dermatology"),
        ("organization", "Organization/none"), ("location_string", "Zagora"),
        ("location_reference", "Location/none"), ("practitioner", "Practitioner/none"),
    ):  # fmt: skip
        assert starts(find(client, DAY, DAY, **{**asked, name: value})) == [], name


@pytest.mark.parametrize(
    ("timing", "found"),
    [
        ({"repeat": {"dayOfWeek": ["tue"]}}, at("09:00", "09:30", "10:00", "10:30", day=NEXT)),
        ({"repeat": {"dayOfWeek": ["mon"], "timeOfDay": ["09:30:00"]}}, at("09:30", "10:00")),
        ({"repeat": {"dayOfWeek": ["mon"], "when": ["AFT"]}}, []),
        ({"repeat": {"dayOfWeek": ["mon"], "when": ["MORN.early", "NOON"]}}, []),
        ({"repeat": {"boundsPeriod": {"start": NEXT, "end": NEXT}, "when": ["MORN"]}},
         at("09:00", "09:30", "10:00", "10:30", day=NEXT)),
        ({"event": at("10:00")}, at("10:00", "10:30")),
        ({"event": at("10:00"), "code": {"coding": [{"code": "PM"}]}}, []),
    ],
)  # fmt: skip
def test_preferred_times(client: Client, timing: dict[str, Any], found: list[str]) -> None:
    _, who, _ = one(client)
    body = asked(start=DAY, end=NEXT, practitioner={"reference": who}, timing=timing)
    assert starts(client.post("Appointment/$find", body)) == found


@pytest.mark.parametrize(
    ("timing", "path"),
    [
        ({"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}, "repeat.frequency"),
        ({"repeat": {"when": ["ACM"]}}, "repeat.when"),
        ({"code": {"coding": [{"code": "BID"}]}}, "code"),
    ],
)
def test_timings_that_are_no_single_visit(client: Client, timing: dict[str, Any], path: str) -> None:
    answer = client.post("Appointment/$find", asked(start=DAY, end=DAY, timing=timing))
    assert answer.status == 422
    assert answer.issues[0]["expression"][0].endswith(path)


def test_the_past_is_not_offered(client: Client) -> None:
    _, who, _ = one(client)
    answer = find(client, "2020-01-06", "2020-01-06", practitioner=who)
    assert starts(answer) == [] and notes(answer) == ["too-soon"]


def test_an_identifier_names_a_practitioner(client: Client) -> None:
    offered, who, _ = one(client)
    identifier = {"system": "urn:inpe", "value": who.rpartition("/")[2]}
    assert client.put(who, {**client.get(who).json, "identifier": [identifier]}).status == 200
    body = asked(start=DAY, end=DAY, practitioner={"identifier": identifier})
    assert len(starts(client.post("Appointment/$find", body))) == 4
    answer = client.post("Appointment/$find", asked(start=DAY, end=DAY, practitioner={"identifier": {"value": "none"}}))
    assert starts(answer) == [] and notes(answer)[0] == "not-found"


def test_separators_of_search_are_plain_characters_here(client: Client) -> None:
    text = "Rue 3, n\u00ba 5 | A $ B \\ C"
    place = make(client, "Location", name="Odd", address={"line": [text]})
    offered, who = service(client, location=[{"reference": place}]), doctor(client)
    agenda(client, who, rules(hours("09:00", "10:00", "mon"), of=offered))
    assert len(starts(find(client, DAY, DAY, location_string=text, practitioner=who))) == 2
    identifier = {"system": "urn:a,b", "value": "x|y,z$1\\2"}
    assert client.put(who, {**client.get(who).json, "identifier": [identifier]}).status == 200
    body = asked(start=DAY, end=DAY, practitioner={"identifier": identifier})
    assert len(starts(client.post("Appointment/$find", body))) == 2
