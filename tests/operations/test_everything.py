"""$everything: complete, each resource once, in pages of any size, within what the caller may see."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.client import Answer, Client
from tests.conftest import TestTenant


@dataclass(slots=True)
class Record:
    """A patient's record as it was stored: references of what belongs to it, and of what it refers to."""

    patient: str
    members: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)

    @property
    def everything(self) -> set[str]:
        return {self.patient} | self.members | self.shared


def stored(client: Client, resource: dict[str, Any]) -> str:
    made = client.create(resource)
    return f"{made['resourceType']}/{made['id']}"


def observation(patient: str, when: str | None, performer: str | None = None) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "urn:codes", "code": "weight"}]},
        "subject": {"reference": patient},
    }
    if when:
        resource["effectiveDateTime"] = when
    if performer:
        resource["performer"] = [{"reference": performer}]
    return resource


def encounter(patient: str, place: str, start: str, end: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": patient},
        "period": {"start": start, "end": end},
        "location": [{"location": {"reference": place}}],
    }


@pytest.fixture(scope="module")
def record(client: Client) -> Record:
    """A record of 21 resources beside another patient's, whose observation it refers to."""
    doctor = stored(client, {"resourceType": "Practitioner", "name": [{"family": "Alaoui"}]})
    house = stored(client, {"resourceType": "Organization", "name": "Clinic"})
    room = stored(client, {"resourceType": "Location", "name": "Room 1"})
    other = stored(client, {"resourceType": "Patient"})
    strange = stored(client, observation(other, "2024-01-01", doctor))
    patient = stored(client, {"resourceType": "Patient", "managingOrganization": {"reference": house}})
    record = Record(patient, shared={doctor, house, room})
    visit = stored(client, encounter(patient, room, "2023-12-30", "2024-01-02"))
    record.members.add(visit)
    for day in range(1, 11):
        record.members.add(stored(client, observation(patient, f"2024-01-{day:02}", doctor)))
    record.members.add(stored(client, observation(patient, None)))
    for number in range(4):
        record.members.add(
            stored(
                client,
                {
                    "resourceType": "Condition",
                    "subject": {"reference": patient},
                    "encounter": {"reference": visit},
                    "onsetDateTime": f"2020-0{number + 1}-01",
                },
            )
        )
    linked = {**observation(patient, "2024-01-20"), "hasMember": [{"reference": strange}]}
    record.members.add(stored(client, linked))
    return record


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    found = []
    for entry in answer.json.get("entry", []):
        name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        assert entry["fullUrl"].endswith(f"/fhir/{name}")
        found.append(name)
    return found


def following(answer: Answer) -> str | None:
    return next((link["url"] for link in answer.json["link"] if link["relation"] == "next"), None)


def pages(client: Client, path: str) -> Iterator[list[str]]:
    url: str | None = path
    for _ in range(100):
        answer = client.get(url or "")
        yield names(answer)
        url = following(answer)
        if url is None:
            return
    pytest.fail("the pages do not end")


def test_everything_once_and_the_patient_first(client: Client, record: Record) -> None:
    answer = client.get(f"{record.patient}/$everything")
    found = names(answer)
    assert found[0] == record.patient
    assert len(found) == len(set(found))
    assert set(found) == record.everything
    assert (answer.json["type"], answer.json["total"]) == ("searchset", len(found))
    assert following(answer) is None
    modes = {
        f"{e['resource']['resourceType']}/{e['resource']['id']}": e["search"]["mode"] for e in answer.json["entry"]
    }
    assert {name for name, mode in modes.items() if mode == "include"} == record.shared


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 21, 22])
def test_pages_of_any_size_cover_it_without_repeating(client: Client, record: Record, count: int) -> None:
    found = list(pages(client, f"{record.patient}/$everything?_count={count}"))
    assert all(0 < len(page) <= count for page in found)
    flat = [name for page in found for name in page]
    assert flat[0] == record.patient
    assert sorted(flat) == sorted(record.everything)


def test_what_is_written_during_the_walk_repeats_nothing_old(client: Client, record: Record) -> None:
    first = client.get(f"{record.patient}/$everything?_count=5")
    late = stored(client, observation(record.patient, "2019-01-01"))
    seen = names(first)
    url = following(first)
    while url:
        answer = client.get(url)
        seen += names(answer)
        url = following(answer)
    client.delete(late)
    assert len(seen) == len(set(seen))
    assert record.everything <= set(seen) <= record.everything | {late}


def test_types(client: Client, record: Record) -> None:
    assert set(names(client.get(f"{record.patient}/$everything?_type=Condition,Practitioner"))) == {
        name for name in record.everything if name.split("/")[0] in ("Condition", "Practitioner")
    }
    (doctor,) = names(client.get(f"{record.patient}/$everything?_type=Practitioner"))
    assert doctor in record.shared
    assert names(client.get(f"{record.patient}/$everything?_type=Patient")) == [record.patient]
    assert client.get(f"{record.patient}/$everything?_type=Nothing").status == 400
    body = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Encounter"}]}
    assert [name.split("/")[0] for name in names(client.post(f"{record.patient}/$everything", body))] == ["Encounter"]


def test_dates_of_care(client: Client, record: Record) -> None:
    found = names(client.get(f"{record.patient}/$everything?start=2024-01-02&end=2024-01-04"))
    kinds = [name.split("/")[0] for name in found]
    # Three days, the observation without a time, and the stay that overlaps the first of the days.
    assert kinds.count("Observation") == 4
    assert kinds.count("Encounter") == 1
    assert kinds.count("Condition") == 0
    assert found[0] == record.patient
    assert client.get(f"{record.patient}/$everything?start=2024-02-01&end=2024-01-01").status == 400
    assert client.get(f"{record.patient}/$everything?start=soon").status == 400


def test_since(client: Client, record: Record) -> None:
    assert names(client.get(f"{record.patient}/$everything?_since=2100-01-01T00:00:00Z")) == []
    assert set(names(client.get(f"{record.patient}/$everything?_since=2000-01-01T00:00:00Z"))) == record.everything


def test_of_an_encounter(client: Client, record: Record) -> None:
    visit = next(name for name in record.members if name.startswith("Encounter/"))
    found = names(client.get(f"{visit}/$everything"))
    assert found[0] == visit
    assert len(found) == len(set(found))
    kinds = sorted(name.split("/")[0] for name in found)
    assert kinds == ["Condition"] * 4 + ["Encounter", "Location", "Patient"]
    assert record.patient in found


def test_scopes(tenant: TestTenant, record: Record) -> None:
    narrow = tenant.client("system/Patient.rs system/Condition.rs")
    kinds = {name.split("/")[0] for name in names(narrow.get(f"{record.patient}/$everything"))}
    assert kinds == {"Patient", "Condition"}
    assert tenant.client("system/Condition.rs").get(f"{record.patient}/$everything").status == 403


def test_cursors_are_not_transferable(
    client: Client, tenant: TestTenant, record: Record, new_tenant: Callable[[], TestTenant]
) -> None:
    url = following(client.get(f"{record.patient}/$everything?_count=2"))
    assert url is not None
    cursor = url.partition("_cursor=")[2]
    assert client.get(f"{record.patient}/$everything?_count=3&_cursor={cursor}").status == 400
    assert client.get(f"{record.patient}/$everything?_count=2&_cursor={_altered(cursor)}").status == 400
    query = url.partition("?")[2]
    assert tenant.client("system/Patient.rs").get(f"{record.patient}/$everything?{query}").status == 400
    elsewhere = new_tenant().client()
    elsewhere.put(record.patient, {"resourceType": "Patient", "id": record.patient.split("/")[1]})
    assert elsewhere.get(f"{record.patient}/$everything?{query}").status == 400
    assert names(elsewhere.get(f"{record.patient}/$everything")) == [record.patient]


def _altered(cursor: str) -> str:
    return ("B" if cursor[0] == "A" else "A") + cursor[1:]


def test_absent_and_deleted(client: Client) -> None:
    assert client.get("Patient/no-such/$everything").status == 404
    gone = stored(client, {"resourceType": "Patient"})
    client.delete(gone)
    assert client.get(f"{gone}/$everything").status == 410
    assert client.get("Patient/$everything").status == 400
    assert client.get("Practitioner/1/$everything").status == 404
