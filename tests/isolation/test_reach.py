"""Nothing that reaches from one resource to another leads out of what the caller may see: includes, chains, `_has`,
lists, operations, page links. smart-137 to smart-144, sec-T4, sec-15, sec-16
"""

from typing import Any

import pytest

from fhir_server.search import include
from fhir_server.search.asked import Asker
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.isolation.attackers import ids_of, put_all, shown

# What stands in the other patient's record only; it must be in no answer to the first patient.
SECRET = "Zephyrine"
LAB = "http://terminology.hl7.org/CodeSystem/observation-category"


def _ref(target: str) -> dict[str, str]:
    return {"reference": target}


def _observation(id_: str, patient: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"coding": [{"system": "urn:c", "code": code}]},
        "category": [{"coding": [{"system": LAB, "code": "laboratory"}]}],
        "subject": _ref(f"Patient/{patient}"), "effectiveDateTime": "2024-01-01", **more,
    }  # fmt: skip


def _record(who: str, other: str, word: str) -> list[dict[str, Any]]:
    """A patient's record, in which everything that can refers to the other's too."""
    me, tag = _ref(f"Patient/{who}"), {"tag": [{"system": "urn:t", "code": word}]}
    return [
        {
            "resourceType": "Patient", "id": who, "meta": tag, "name": [{"family": word}], "gender": "female",
            "generalPractitioner": [_ref("Practitioner/shared")],
            "link": [{"other": _ref(f"Patient/{other}"), "type": "seealso"}] if who == "p" else [],
        },
        {"resourceType": "Encounter", "id": f"{who}-enc", "meta": tag, "status": "finished", "class": {"code": "AMB"},
         "subject": me, "episodeOfCare": [_ref(f"EpisodeOfCare/{other}-episode")]},
        {"resourceType": "EpisodeOfCare", "id": f"{who}-episode", "status": "active", "patient": me},
        _observation(f"{who}-obs1", who, f"{who}1", encounter=_ref(f"Encounter/{other}-enc"), valueString=word,
                     hasMember=[_ref(f"Observation/{other}-obs1"), _ref(f"Observation/{who}-obs2")]),
        _observation(f"{who}-obs2", who, f"{who}2", encounter=_ref(f"Encounter/{who}-enc"), note=[{"text": word}],
                     derivedFrom=[_ref(f"Observation/{other}-obs2")], performer=[_ref("Practitioner/shared")]),
        _observation(f"{who}-obs3", who, f"{who}3", focus=[_ref(f"Patient/{other}")]),
        {"resourceType": "List", "id": f"{who}-list", "status": "current", "mode": "working", "title": word,
         "subject": me, "entry": [{"item": _ref(f"Observation/{who}-obs1")}, {"item": _ref(f"Observation/{other}-obs1")}]},
        {"resourceType": "Provenance", "id": f"{who}-prov", "recorded": "2024-01-01T00:00:00Z",
         "target": [_ref(f"Observation/{who}-obs1"), me], "agent": [{"who": _ref(f"Patient/{who}")}]},
        {"resourceType": "Device", "id": f"{who}-device", "patient": me, "lotNumber": word},
        {"resourceType": "Binary", "id": f"{who}-binary", "contentType": "text/plain", "data": "WmVwaHlyaW5l",
         "securityContext": me},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def world(tenant: TestTenant, client: Client) -> TestTenant:
    """Patients p and q with one record each, in which all refers to the other's, and what is nobody's."""
    resources = [*_record("p", "q", "Plain"), *_record("q", "p", SECRET)]
    for each in resources:
        if each.get("link") == []:
            del each["link"]
    shared: list[dict[str, Any]] = [
        {"resourceType": "Practitioner", "id": "shared", "name": [{"family": "Common"}]},
        {"resourceType": "Device", "id": "free", "lotNumber": "1"},
        {"resourceType": "Device", "id": "named", "patient": {"display": SECRET}},
        {"resourceType": "Device", "id": "known", "patient": {"identifier": {"value": SECRET}}},
        {"resourceType": "Binary", "id": "loose", "contentType": "text/plain", "data": "WmVwaHlyaW5l"},
    ]
    put_all(client, [*resources, *shared])
    return tenant


@pytest.fixture(scope="module")
def mine(world: TestTenant) -> Client:
    """The token of patient p."""
    return world.client("patient/*.cruds", patient="p")


OWN = {
    "Patient/p", "Encounter/p-enc", "EpisodeOfCare/p-episode", "Observation/p-obs1", "Observation/p-obs2",
    "Observation/p-obs3", "List/p-list", "Provenance/p-prov",
}  # fmt: skip
SHARED = {"Practitioner/shared"}
DEVICES = {"Device/p-device", "Device/free"}

REACHES = [
    "Observation?_include=*",
    "Observation?_include=Observation:has-member",
    "Observation?_include=Observation:*",
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:episode-of-care",
    "Observation?_include=Observation:has-member&_include:iterate=*",
    "Observation?_revinclude=*&_revinclude:iterate=*&_include:iterate=*",
    "Observation?_revinclude=Observation:has-member",
    "Observation?_revinclude=Provenance:target",
    "Observation?_revinclude=List:item&_include:iterate=List:item",
    "Patient?_revinclude=*&_include=*&_revinclude:iterate=*",
    "Patient?_revinclude=Observation:focus&_revinclude=Patient:link",
    "List?_include=List:item&_include:iterate=Observation:has-member",
    "Device?_include=Device:patient&_revinclude=*",
    "Practitioner?_revinclude=*&_revinclude:iterate=*&_include:iterate=*",
    "?_type=Patient,Observation,Encounter,List&_include=*&_revinclude=*",
    "Patient/p/*?_include=*&_include:iterate=*",
    "Patient/p/Observation?_include=*",
    "Encounter/p-enc/Observation?_include=*&_revinclude=*",
    "Patient/p/$everything",
    "Patient/p/$everything?_type=Observation,Patient,Encounter",
    "Patient/p/$everything?_since=2000-01-01",
    "Encounter/p-enc/$everything",
    "Observation/$lastn?max=9&category=laboratory",
    "_history",
    "Observation/_history",
    "Patient/p/_history",
]


@pytest.mark.parametrize("path", REACHES)
def test_nothing_of_another_patient(path: str, mine: Client) -> None:
    """smart-137, smart-139"""
    answer = mine.get(path)
    assert SECRET not in answer.text
    assert ids_of(answer) <= OWN | SHARED | DEVICES | {"Binary/p-binary"}
    assert ids_of(answer)


def test_the_whole_record_is_there(mine: Client) -> None:
    """The known good: what may be seen is seen. smart-132"""
    assert ids_of(mine.get("Patient/p/$everything")) >= OWN
    assert ids_of(mine.get("Observation?_include=Observation:has-member")) == {
        f"Observation/p-obs{n}" for n in (1, 2, 3)
    }
    assert ids_of(mine.get("_history?_count=100")) == OWN | SHARED | DEVICES | {"Binary/p-binary"}


@pytest.mark.parametrize(
    "path",
    [
        "Observation?subject=Patient/q", "Observation?patient=q&_total=accurate", "Observation?_id=q-obs1",
        "Observation?value-string=Zephyrine", "Observation?has-member.code=q1", "Observation?has-member.value-string=Z",
        "Observation?encounter.status=finished&_id=p-obs1", "Observation?has-member:Observation.subject:Patient.name=Z",
        "Patient?_has:Observation:performer:code=q1", "Patient?_has:Observation:patient:has-member.code=q1",
        "Observation?_has:Observation:has-member:code=q1", "Observation?_has:Provenance:target:agent=Patient/q",
        "Patient?_has:Observation:focus:code=q3", "Observation?_list=q-list", "Observation?_list=List/q-list",
        "Observation?_filter=value-string eq Zephyrine", "Observation?_filter=has-member.code eq q1",
        "Observation?_content=Zephyrine", "Observation?_text=Zephyrine", "Patient?name=Zephyrine", "Patient?_tag=urn:t|Zephyrine",
        "Patient/q/Observation",  "Encounter/q-enc/Observation?_id=q-obs2", "Device?patient=q",
        "?_type=Patient,Observation&_tag=urn:t|Zephyrine", "?_type=Observation&_id=q-obs1", "Device?_id=known,named",
        "Observation/$lastn?patient=q&max=3", "Patient?link=Patient/p&_elements=name", "Binary?_id=q-binary,loose",
        "Patient?link:Patient.name=Zephyrine", "Observation?code:not=p1&code:not=p2&code:not=p3",
        "Observation?_id=q-obs1,q-obs2&_sort=-date,code", "Observation?focus=Patient/p",
    ],
)  # fmt: skip
def test_no_question_reaches_another_patient(path: str, mine: Client) -> None:
    """smart-138, smart-139, sec-T3: an empty answer, with a total of 0 however it is asked for."""
    answer = mine.get(path)
    assert ids_of(answer) == set(), path
    if "$" not in path:
        sign = "&" if "?" in path else "?"
        for more in ("_summary=count", "_total=accurate", "_total=estimate"):
            assert mine.get(f"{path}{sign}{more}").json["total"] == 0, more


@pytest.mark.parametrize(
    "path",
    [
        "Patient/q/$everything", "Encounter/q-enc/$everything", "Patient/q", "Observation/q-obs1/_history",
        "Observation/q-obs1/$meta", "Observation/q-obs1/$validate", "Binary/q-binary", "Binary/loose", "Device/q-device",
        "Device/known", "Device/named", "Patient/q/$graphql", "Patient/q/$export", "Composition/q-enc/$document",
        "Patient/q/$match", "Observation/q-obs1/$graph", "List/q-list/$find", "Provenance/q-prov/_history/1",
    ],
)  # fmt: skip
def test_an_instance_of_another_is_as_missing(path: str, mine: Client) -> None:
    """smart-139, smart-141, smart-142, smart-143"""
    name, id_ = path.split("/")[:2]
    # The operations that are not here say so of every id.
    other = mine.get(path.replace(f"{name}/{id_}", f"{name}/nosuch"))
    assert shown(mine.get(path), f"{name}/{id_}") == shown(other, f"{name}/nosuch")
    assert mine.get(path).status in (400, 404)


FORBIDDEN = [
    ("system/Observation.rs", "Observation?subject:Patient.name=Z"),
    ("system/Observation.rs", "Observation?patient.name=Z"),
    ("system/Observation.rs", "Observation?encounter.status=finished"),
    ("system/Observation.rs", "Observation?_has:Provenance:target:agent=Patient/p"),
    ("system/Observation.rs", "Observation?_list=p-list"),
    ("system/Observation.rs", "Observation?_filter=patient.name eq Z"),
    ("system/Observation.rs", "Observation/$lastn?max=1&patient.name=Z"),
    ("system/Observation.rs system/Patient.r", "Observation?patient.name=Z"),
    ("system/Patient.rs", "Patient?_has:Observation:patient:code=q1"),
    ("system/Patient.rs system/Observation.cr", "Patient?_has:Observation:patient:code=q1"),
    ("system/Patient.rs system/Observation.rs", "Patient?_has:Observation:patient:encounter.status=finished"),
    ("system/Patient.rs system/Observation.rs", "Patient?_has:Observation:patient:_has:Provenance:target:agent=x"),
    ("system/Patient.rs", "Patient?_type=Observation"),
    ("system/Patient.rs", "?_type=Patient,Observation"),
    ("system/Patient.rs", "Patient/p/Observation"),
    ("system/Patient.rs", "Observation/$meta"),
    ("system/Observation.s", "Patient/p/$everything"),
]


@pytest.mark.parametrize(("scope", "path"), FORBIDDEN)
def test_a_type_that_may_not_be_searched_is_not_asked_about(scope: str, path: str, world: TestTenant) -> None:
    """smart-138: refused, because a filtered answer would be an answer."""
    for client in (world.client(scope), world.client(scope.replace("system", "patient"), patient="p")):
        answer = client.get(path)
        assert answer.status == 403, answer.text
        assert SECRET not in answer.text


@pytest.mark.parametrize("path", [each for each in REACHES if each.startswith(("Observation", "?", "Patient/p"))])
def test_only_the_types_of_the_token(path: str, world: TestTenant) -> None:
    """smart-137: whatever an include leads to, and in every record, since the token is of the system."""
    answer = world.client("system/Observation.rs system/Patient.rs").get(path)
    if answer.status != 403:
        assert {each.partition("/")[0] for each in ids_of(answer)} <= {"Observation", "Patient"}


def _next(answer: Answer) -> str:
    return next(str(each["url"]) for each in answer.json["link"] if each["relation"] == "next")


@pytest.mark.parametrize(
    "path", ["Observation?_count=1", "Observation?_count=1&_sort=code", "Observation/_history?_count=1",
             "_history?_count=1", "Patient/p/$everything?_count=2", "?_type=Patient,Observation&_count=1"],
)  # fmt: skip
def test_a_page_link_is_good_for_its_caller_only(path: str, mine: Client, world: TestTenant, new_tenant: Any) -> None:
    """smart-140"""
    after = _next(mine.get(path)).partition("/fhir")[2].lstrip("/")
    assert mine.get(after).status == 200
    # Another token of the same client with the same rights goes on; every other one starts anew.
    assert world.client("patient/*.cruds", patient="p").get(after).status == 200
    for other in (
        world.client("patient/*.cruds", patient="q"),
        world.client("patient/Observation.rs patient/Patient.rs", patient="p"),
        world.client("system/*.cruds"),
        new_tenant().client("patient/*.cruds", patient="p"),
    ):
        answer = other.get(after)
        assert answer.status in (400, 403, 404), answer.text
        assert SECRET not in answer.text
    assert mine.get(after.replace("_cursor=", "_cursor=A")).status == 400


def test_the_carrier_opens_a_binary(world: TestTenant, client: Client, mine: Client) -> None:
    """smart-141: a Binary is as visible as its securityContext."""
    assert mine.get("Binary/p-binary").status == 200
    assert mine.get("Binary/p-binary", accept="text/plain").body == b"Zephyrine"
    for id_ in ("q-binary", "loose"):
        assert mine.get(f"Binary/{id_}", accept="text/plain").status == 404


def test_a_binary_needs_the_right_to_its_context(world: TestTenant, client: Client) -> None:
    """smart-141"""
    carrier = {"resourceType": "Binary", "id": "of-list", "contentType": "text/plain", "data": "WmVwaHlyaW5l"}
    put_all(client, [{**carrier, "securityContext": _ref("List/q-list")}])
    assert world.client("system/Binary.rs system/List.rs").get("Binary/of-list").status == 200
    assert world.client("system/Binary.rs").get("Binary/of-list").status == 404
    assert ids_of(world.client("system/Binary.rs").get("Binary?_id=of-list")) == set()


def test_a_binary_of_the_patients_own_document(world: TestTenant, client: Client, mine: Client) -> None:
    """smart-141"""
    carrier = {"resourceType": "Binary", "id": "of-mine", "contentType": "text/plain", "data": "UGxhaW4="}
    put_all(client, [{**carrier, "securityContext": _ref("List/p-list")}])
    assert mine.get("Binary/of-mine").status == 200


def test_shared_types_may_be_read_not_written(mine: Client) -> None:
    """smart-143"""
    assert ids_of(mine.get("Device")) == DEVICES
    assert mine.get("Practitioner/shared").status == 200
    for answer in (
        mine.put("Practitioner/shared", {"resourceType": "Practitioner", "id": "shared"}),
        mine.delete("Practitioner/shared"),
        mine.post("Practitioner", {"resourceType": "Practitioner"}),
        mine.put("Device/free", {"resourceType": "Device", "id": "free", "patient": _ref("Patient/p")}),
        mine.put("Device/p-device", {"resourceType": "Device", "id": "p-device"}),
        mine.post(
            "Group",
            {"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": _ref("Patient/p")}]},
        ),
    ):
        assert answer.status in (201, 403), answer.text
    assert mine.get("Device/free").json["meta"]["versionId"] == "1"


def test_a_link_between_patients(world: TestTenant, mine: Client) -> None:
    """smart-144: the R4 compartment holds the patient and the Patients that link to it, not those it links to."""
    assert mine.get("Patient/q").status == 404
    theirs = world.client("patient/*.rs", patient="q")
    assert theirs.get("Patient/p").status == 200
    assert theirs.get("Observation/p-obs1").status == 404
    assert ids_of(theirs.get("Patient/q/$everything")) & OWN == {"Patient/p"}


def test_a_link_opens_for_reading_only(world: TestTenant, client: Client) -> None:
    """smart-144, sec-24: p links to q, so q sees the Patient p; it is not q's to change."""
    theirs = world.client("patient/*.cruds", patient="q")
    before = client.get("Patient/p").json
    try:
        change = [{"op": "add", "path": "/language", "value": "fr"}]
        answers = [
            theirs.patch("Patient/p", change, content_type="application/json-patch+json"),
            theirs.put("Patient/p", {**before, "language": "es"}),
            theirs.delete("Patient/p"),
        ]
    finally:
        client.put("Patient/p", before)
    assert [answer.status for answer in answers] == [403, 403, 403]


def test_the_includes_are_told(mine: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: without the rule in the include statement, the other's resources come along."""
    real = include.statement

    def careless(asker: Asker, *rest: Any) -> Any:
        free = Asker(
            asker.registry,
            asker.base,
            asker.zone,
            asker.now_us,
            None,
            asker.limits,
            asker.limits_of,
            lambda names: None,
        )
        return real(free, *rest)

    monkeypatch.setattr(include, "statement", careless)
    answer = mine.get("Observation?_include=Observation:has-member")
    assert "Observation/q-obs1" in ids_of(answer)
    assert SECRET in answer.text
