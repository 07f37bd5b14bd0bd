"""Search at HTTP's surface: GET and POST, lenient handling, compartments, conditions, errors as OperationOutcome."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.client import Client


@pytest.fixture(scope="module", autouse=True)
def _filled(client: "Client") -> None:
    for number, gender in enumerate(["male", "female", "female"]):
        patient = {"resourceType": "Patient", "id": f"p{number}", "gender": gender, "name": [{"family": "Ünal"}]}
        assert client.put(f"Patient/p{number}", patient).status == 201
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    assert client.post("Observation", observation | {"subject": {"reference": "Patient/p1"}}).status == 201


def ids(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]


def test_get_post_and_next(client: "Client") -> None:
    """The same answer by GET and by POST, and the next link leads on."""
    first = client.get("Patient?family=unal&_count=2")
    assert first.status == 200
    posted = client.request("POST", "Patient/_search", "family=unal&_count=2", content_type="application/x-www-form-urlencoded")
    assert ids(posted.json) == ids(first.json)
    url = next(link["url"] for link in first.json["link"] if link["relation"] == "next")
    rest = client.get(f"Patient?{urlsplit(url).query}").json
    assert sorted(ids(first.json) + ids(rest)) == ["p0", "p1", "p2"]


def test_unknown_parameter(client: "Client") -> None:
    """Refused by default with the nearest name; ignored and reported when the client is lenient."""
    refused = client.get("Patient?genderr=male")
    assert refused.status == 400
    assert refused.issues[0]["expression"] == ["http.genderr"]
    assert "'gender'" in refused.issues[0]["details"]["text"]
    lenient = client.get("Patient?genderr=male&family=unal", prefer="handling=lenient").json
    assert len(ids(lenient)) == 3
    assert [entry["search"]["mode"] for entry in lenient["entry"]].count("outcome") == 1


def test_compartment_and_system(client: "Client") -> None:
    """Search in a patient's compartment and over all types."""
    assert len(ids(client.get("Patient/p1/Observation").json)) == 1
    assert ids(client.get("Patient/p0/Observation").json) == []
    assert len(ids(client.get("Patient/p1/*").json)) == 2
    assert len(ids(client.get("?_type=Patient,Observation").json)) == 4


def test_a_write_is_found_at_once_and_no_longer_after_its_deletion(client: "Client") -> None:
    """Index rows change in the transaction of the write."""
    created = client.post("Patient", {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "77"}]})
    assert ids(client.get("Patient?identifier=urn:s|77").json) == [created.id]
    client.put(f"Patient/{created.id}", {"resourceType": "Patient", "id": created.id, "gender": "other"})
    assert ids(client.get("Patient?identifier=urn:s|77").json) == []
    assert ids(client.get("Patient?gender=other").json) == [created.id]
    client.delete(f"Patient/{created.id}")
    for query in ("gender=other", f"_id={created.id}", "_lastUpdated=gt2020-01-01", "_sort=-_lastUpdated", "gender:not=male"):
        assert created.id not in ids(client.get(f"Patient?{query}&_count=50").json), query


def test_racing_conditional_creates_make_one(client: "Client") -> None:
    """The condition is searched under a lock: of many equal creates one acts."""
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:race", "value": "1"}]}

    def create(_: int) -> int:
        return client.post("Patient", patient, if_none_exist="identifier=urn:race|1").status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(16)))
    assert sorted(set(statuses)) == [200, 201]
    assert statuses.count(201) == 1
    assert len(ids(client.get("Patient?identifier=urn:race|1").json)) == 1


def test_explain_is_for_operators(client: "Client", tenant: Any) -> None:
    """_explain shows the plan to an operator and is forbidden to others."""
    assert b"Index" in client.get("Patient?family=unal&_explain=true").body
    assert tenant.client("system/*.rs").get("Patient?family=unal&_explain=true").status == 403


def test_previous_links_lead_back_page_by_page(client: "Client") -> None:
    tag = "http://pages.example|back"
    for number in range(9):
        client.create({"resourceType": "Basic", "code": {"text": str(number)}, "meta": {"tag": [
            {"system": "http://pages.example", "code": "back"}]}})  # fmt: skip
    bundles = [client.get(f"Basic?_tag={tag}&_count=2&_sort=_lastUpdated").json]
    while (onward := _link(bundles[-1], "next")) is not None:
        bundles.append(client.get(onward).json)
    pages = [_ids(bundle) for bundle in bundles]
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert _ids(client.get(_link(bundles[3], "self") or "").json) == pages[3]
    here, back = bundles[-1], [pages[-1]]
    while (behind := _link(here, "previous")) is not None:
        here = client.get(behind).json
        back.append(_ids(here))
    assert back == pages[::-1]
    assert _link(bundles[0], "previous") is None


def _link(bundle: Any, relation: str) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == relation), None)


def _ids(bundle: Any) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("ge2026-05-01", [9, 10, 11]),
        ("ge2026-05-01T10:00:00Z", [10, 11]),
        ("ge2026-05-01T12:00:00%2B02:00", [10, 11]),
        ("ge2026-05-01T10:30", [11]),
        ("sa2026-05-01T10:00:00Z", [11]),
        ("gt2026-05-01T09:00:00Z", [10, 11]),
        ("lt2026-05-01T10:00:00Z", [9]),
        ("ge2026-05-02", []),
    ],
)
def test_slots_from_a_moment_on(client: "Client", condition: str, expected: list[int]) -> None:
    schedule = "Schedule/from-a-moment-on"
    for hour in (9, 10, 11):
        slot = {"resourceType": "Slot", "id": f"at-{hour}", "status": "free", "schedule": {"reference": schedule},
                "start": f"2026-05-01T{hour:02}:00:00Z", "end": f"2026-05-01T{hour:02}:30:00Z"}  # fmt: skip
        assert client.put(f"Slot/at-{hour}", slot).status in (200, 201)
    found = client.get(f"Slot?schedule={schedule}&status=free&start={condition}&_sort=start").json
    assert _ids(found) == [f"at-{hour}" for hour in expected]


def test_a_profile_is_found_as_claimed_and_in_any_version(client: "Client") -> None:
    for number, claimed in enumerate(["urn:pro", "urn:pro|1.0", "urn:pro|2.0", "urn:pro-two|1.0"]):
        resource = {"resourceType": "Basic", "id": f"b{number}", "code": {"text": "x"}, "meta": {"profile": [claimed]}}
        assert client.put(f"Basic/b{number}", resource).status == 201
    found = {asked: sorted(ids(client.get(f"Basic?{asked}").json)) for asked in
             ("_profile=urn:pro", "_profile=urn:pro|2.0", "_profile:below=urn:pro", "_profile:below=urn:pro|1.0",
              "_profile:below=urn:p", "_profile:below=urn:none,urn:pro-two")}  # fmt: skip
    assert list(found.values()) == [["b0"], ["b2"], ["b0", "b1", "b2"], ["b1"], [], ["b3"]]
    assert client.get("Basic?_source:below=urn:a").status == 400
