"""Consents over HTTP: what they hide is as missing, at once, wherever rows come from. sec-46"""

import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.people import user
from tests.consent.words import actor, concept, consent, kind, label, observation, purpose


def patient(client: Client) -> str:
    """A new patient's id."""
    return str(client.create({"resourceType": "Patient"})["id"])


def deny(**conditions: Any) -> dict[str, Any]:
    """A deny under a root that permits."""
    return {"type": "permit", "provision": [{"type": "deny", **conditions}]}


def only(name: str) -> dict[str, Any]:
    """A deny of everything, but for one actor."""
    return {"type": "deny", "provision": [{"type": "permit", "actor": [actor(name)]}]}


# (provision, whether practitioner a reads the observation, whether nurse b does). Both treat; the app is "app".
SHAPES: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "sec-46 root deny": ({"type": "deny"}, False, False),
    "sec-46 root permit": ({"type": "permit"}, True, True),
    "sec-46 actor person": (deny(actor=[actor("Practitioner/a")]), False, True),
    "sec-46 actor role": (deny(actor=[actor("role:nurse")]), True, False),
    "sec-46 actor client": (deny(actor=[actor("client:app")]), False, False),
    "sec-46 actor other client": (deny(actor=[actor("client:other")]), True, True),
    "sec-46 actor organization by PractitionerRole": (deny(actor=[actor("Organization/o")]), False, True),
    "sec-46 actor PractitionerRole": (deny(actor=[actor("PractitionerRole/ra")]), False, True),
    "sec-46 actor organization of an ended role": (deny(actor=[actor("Organization/past")]), True, True),
    "sec-46 actor organization of an inactive role": (deny(actor=[actor("Organization/off")]), True, True),
    "sec-46 only one person": (only("Practitioner/a"), True, False),
    "sec-46 only one organization": (only("Organization/o"), True, False),
    "sec-46 purpose": (deny(purpose=[purpose("TREAT")]), False, False),
    "sec-46 other purpose": (deny(purpose=[purpose("HPAYMT")]), True, True),
    "sec-46 class": (deny(**{"class": [kind("Observation")]}), False, False),
    "sec-46 other class": (deny(**{"class": [kind("Condition")]}), True, True),
    "sec-46 code": (deny(code=[concept("718-7")]), False, False),
    "sec-46 other code": (deny(code=[concept("1-8")]), True, True),
    "sec-46 label": (deny(securityLabel=[label("PREGNANT")]), True, True),
    "sec-46 period over": (deny(period={"end": "2020"}), True, True),
    "sec-46 period to come": (deny(period={"start": "2999"}), True, True),
    "sec-46 period now": (deny(period={"start": "2020", "end": "2999"}), False, False),
    "sec-46 data period": (deny(dataPeriod={"start": "2026-03", "end": "2026-03"}), False, False),
    "sec-46 other data period": (deny(dataPeriod={"end": "2026-02"}), True, True),
    "sec-46 action reading": (
        deny(action=[{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "access"}]}]),
        False,
        False,
    ),
    "sec-46 action not reading": (
        deny(action=[{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "collect"}]}]),
        True,
        True,
    ),
}


@pytest.fixture(scope="module")
def doctor(tenant: TestTenant, client: Client) -> Client:
    """Practitioner a: works for Organization o; no longer for `past`; not active for `off`."""
    for name in ("o", "past", "off"):
        client.put(f"Organization/{name}", {"resourceType": "Organization", "id": name, "name": name})
    for name in ("a", "b"):
        client.put(f"Practitioner/{name}", {"resourceType": "Practitioner", "id": name})
    roles: dict[str, dict[str, Any]] = {
        "ra": {"organization": {"reference": "Organization/o"}, "period": {"start": "2020"}},
        "rp": {"organization": {"reference": "Organization/past"}, "period": {"end": "2020"}},
        "ro": {"organization": {"reference": "Organization/off"}, "active": False},
    }
    for name, more in roles.items():
        role = {"resourceType": "PractitionerRole", "id": name, "practitioner": {"reference": "Practitioner/a"}, **more}
        assert client.put(f"PractitionerRole/{name}", role).status == 201
    return user(tenant, "practitioner", "Practitioner/a")


@pytest.fixture(scope="module")
def nurse(tenant: TestTenant, client: Client) -> Client:
    """Practitioner b, a nurse."""
    return user(tenant, "nurse", "Practitioner/b")


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(client: Client, doctor: Client, nurse: Client, shape: str) -> None:
    provision, doctor_reads, nurse_reads = SHAPES[shape]
    who = patient(client)
    seen = client.create(observation(who))["id"]
    answer = client.post("Consent", consent(who, provision))
    assert answer.status == 201, answer.text
    for asker, reads in ((doctor, doctor_reads), (nurse, nurse_reads)):
        assert asker.get(f"Observation/{seen}").status == (200 if reads else 404)
        assert len(asker.search(f"Observation?patient={who}")) == reads


def test_hidden_is_missing_everywhere(client: Client, doctor: Client) -> None:
    # T1, T3, T4, T5 of consents
    who = patient(client)
    hidden = client.create(observation(who, "718-7"))["id"]
    shown = client.create(observation(who, "1-8", hasMember=[{"reference": f"Observation/{hidden}"}]))["id"]
    made = client.create(consent(who, deny(code=[concept("718-7")])))
    missing = doctor.get("Observation/no-such-observation")
    got = doctor.get(f"Observation/{hidden}")
    assert (got.status, got.text) == (404, missing.text.replace("no-such-observation", hidden))
    for path in (f"Observation/{hidden}/_history", f"Observation/{hidden}/_history/1"):
        assert doctor.get(path).status == 404
    found = [
        f"Observation?patient={who}",
        f"Patient/{who}/Observation",
        f"Observation?patient={who}&_include=Observation:has-member",
        f"Observation?_id={shown}&_include=*",
        f"Patient?_id={who}&_revinclude=Observation:patient",
        f"Patient/{who}/$everything",
    ]
    for path in found:
        ids = {each["id"] for each in doctor.search(path)}
        assert shown in ids, path
        assert hidden not in ids, path
    assert doctor.get(f"Observation?patient={who}&_summary=count").json["total"] == 1
    assert doctor.search(f"Patient?_id={who}&_has:Observation:patient:code=718-7") == []
    assert doctor.search(f"Observation?_id={shown}&has-member.code=718-7") == []
    history = doctor.get("Observation/_history?_count=200").json["entry"]
    assert hidden not in {entry["resource"]["id"] for entry in history if "resource" in entry}
    # It cannot be changed either, and its consent is not hidden from who must be able to end it.
    assert doctor.put(f"Observation/{hidden}", {**observation(who), "id": hidden}).status == 404
    assert doctor.get(f"Consent/{made['id']}").status == 200


def test_what_was_hidden_and_is_deleted_is_missing(client: Client, doctor: Client) -> None:
    # T6: 410 would say that there was something.
    who = patient(client)
    hidden = client.create(observation(who))["id"]
    client.create(consent(who, {"type": "deny"}))
    client.delete(f"Observation/{hidden}")
    assert client.get(f"Observation/{hidden}").status == 410
    for path in (f"Observation/{hidden}", f"Observation/{hidden}/_history", f"Observation/{hidden}/_history/1"):
        assert doctor.get(path).status == 404, path
    history = doctor.get("Observation/_history?_count=200").json["entry"]
    assert all(hidden not in entry["fullUrl"] for entry in history)


def test_a_change_counts_with_the_next_request(client: Client, doctor: Client) -> None:
    who = patient(client)
    seen = client.create(observation(who))["id"]
    path = f"Observation/{seen}"
    made = client.create(consent(who, {"type": "deny"}))
    assert doctor.get(path).status == 404
    assert client.put(f"Consent/{made['id']}", {**made, "status": "inactive"}).status == 200
    assert doctor.get(path).status == 200
    assert client.put(f"Consent/{made['id']}", {**made, "status": "active"}).status == 200
    assert doctor.get(path).status == 404
    assert client.delete(f"Consent/{made['id']}").status in (200, 204)
    assert doctor.get(path).status == 200


def test_a_change_between_two_pages(client: Client, doctor: Client) -> None:
    who = patient(client)
    for day in range(1, 5):
        client.create(observation(who, effectiveDateTime=f"2026-03-0{day}T10:00:00Z"))
    first = doctor.get(f"Observation?patient={who}&_count=2&_sort=-date").json
    assert len(first["entry"]) == 2
    client.create(consent(who, deny(dataPeriod={"end": "2026-03-01"})))
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = doctor.get(following).json
    assert [entry["resource"]["effectiveDateTime"][:10] for entry in second["entry"]] == ["2026-03-02"]


def test_deny_beats_permit_over_several_consents(client: Client, doctor: Client) -> None:
    who = patient(client)
    seen = client.create(observation(who))["id"]
    client.create(consent(who, only("Practitioner/a")))
    assert doctor.get(f"Observation/{seen}").status == 200
    client.create(consent(who, deny(**{"class": [kind("Observation")]})))
    assert doctor.get(f"Observation/{seen}").status == 404


def test_whom_consents_do_not_bind(tenant: TestTenant, client: Client) -> None:
    who = patient(client)
    seen = client.create(observation(who))["id"]
    client.put("RelatedPerson/kin", {"resourceType": "RelatedPerson", "id": "kin", "patient": {"reference": f"Patient/{who}"}})
    own = user(tenant, "patient", f"Patient/{who}", patient=who, purpose="PATRQT")
    kin = user(tenant, "proxy", "RelatedPerson/kin", patient=who, purpose="FAMRQT")
    assert own.get(f"Observation/{seen}").status == kin.get(f"Observation/{seen}").status == 200
    client.create(consent(who, {"type": "deny"}))
    assert own.get(f"Observation/{seen}").status == 200
    assert kin.get(f"Observation/{seen}").status == 404
    # A back-end system is bound like everybody else.
    system = tenant.client("system/*.rs")
    assert system.get(f"Observation/{seen}").status == 404


def test_what_belongs_to_two_patients_obeys_both(client: Client, doctor: Client) -> None:
    one, two = patient(client), patient(client)
    both = client.create({
        "resourceType": "Appointment",
        "status": "proposed",
        "participant": [{"actor": {"reference": f"Patient/{each}"}, "status": "accepted"} for each in (one, two)],
    })["id"]  # fmt: skip
    assert doctor.get(f"Appointment/{both}").status == 200
    client.create(consent(two, deny(**{"class": [kind("Appointment")]})))
    assert doctor.get(f"Appointment/{both}").status == 404


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "action": (deny(action=[{"text": "look"}]), "action[0]"),
    "actor group": (deny(actor=[actor("Group/1")]), "actor[0].reference.reference"),
    "actor elsewhere": (deny(actor=[actor("http://elsewhere/Practitioner/1")]), "actor[0].reference.reference"),
    "actor custodian": (
        deny(actor=[{"role": {"coding": [{"code": "CST"}]}, "reference": {"reference": "Organization/o"}}]),
        "actor[0].role",
    ),
    "actor role unknown": (deny(actor=[actor("role:wizard")]), "actor[0].role"),
    "actor role of patients": (deny(actor=[actor("role:patient")]), "actor[0].role"),
    "purpose": (deny(purpose=[{"system": "urn:x", "code": "TREAT"}]), "purpose[0]"),
    "class": (deny(**{"class": [{"system": "urn:ietf:bcp:13", "code": "text/xml"}]}), "class[0]"),
    "code without system": (deny(code=[{"coding": [{"code": "718-7"}]}]), "code[0]"),
    "code as text": (deny(code=[{"text": "haemoglobin"}]), "code[0]"),
    "data by relation": (
        deny(data=[{"meaning": "related", "reference": {"reference": "Encounter/1"}}]),
        "data[0].meaning",
    ),
    "a modifier": (deny(modifierExtension=[{"url": "urn:x", "valueBoolean": True}]), "modifierExtension"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_enforced_is_refused(client: Client, fault: str) -> None:
    provision, where = REFUSED[fault]
    who = patient(client)
    answer = client.post("Consent", consent(who, provision))
    assert answer.status == 422, answer.text
    assert answer.issues[0]["expression"] == [f"Consent.provision.provision[0].{where}"]
    assert client.search(f"Consent?patient={who}") == []
    # As a draft it can be kept.
    assert client.post("Consent", consent(who, provision, "draft")).status == 201


def test_an_exception_needs_its_type(client: Client) -> None:
    answer = client.post("Consent", consent(patient(client), {"type": "permit", "provision": [{}, {"purpose": []}]}))
    assert answer.status in (400, 422)
    answer = client.post(
        "Consent", consent(patient(client), {"type": "permit", "provision": [{"purpose": [purpose("TREAT")]}]})
    )
    assert answer.status == 422
    assert answer.issues[0]["expression"] == ["Consent.provision.provision[0].type"]


def test_a_policy_stands_for_the_type_of_the_root(client: Client, doctor: Client) -> None:
    # R4 has no type in the root provision: policyRule says what holds.
    for code, status in (("OPTOUT", 404), ("OPTIN", 200), ("HIPAAConsentCD", 200)):
        who = patient(client)
        seen = client.create(observation(who))["id"]
        system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        client.create(consent(who, None, policyRule={"coding": [{"system": system, "code": code}]}))
        assert doctor.get(f"Observation/{seen}").status == status, code


def test_levels_of_confidentiality(client: Client, doctor: Client) -> None:
    # sec-48: to deny R denies V too; to permit up to N permits what has no label.
    who = patient(client)
    ids = {level: client.create(observation(who, "718-7", *level.split()))["id"] for level in ("N", "R", "L", "")}

    def read() -> set[str]:
        return {level for level, each in ids.items() if doctor.get(f"Observation/{each}").status == 200}

    made = client.create(consent(who, deny(securityLabel=[label("R")])))
    assert read() == {"N", "L", ""}
    client.put(f"Consent/{made['id']}", {**made, "provision": deny(securityLabel=[label("N")])})
    assert read() == {"L"}
    tree = {"type": "deny", "provision": [{"type": "permit", "securityLabel": [label("N")]}]}
    client.put(f"Consent/{made['id']}", {**made, "provision": tree})
    assert read() == {"N", "L", ""}
    client.put(f"Consent/{made['id']}", {**made, "provision": {"type": "deny"}})
    assert read() == set()


def test_a_consent_in_a_transaction(client: Client, doctor: Client) -> None:
    who = patient(client)
    seen = client.create(observation(who))["id"]
    entry = {"resource": consent(who, {"type": "deny"}), "request": {"method": "POST", "url": "Consent"}}
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status == 200, answer.text
    assert doctor.get(f"Observation/{seen}").status == 404


def test_other_processes_know_at_once(new_tenant: Any, live_server: str) -> None:
    # The first consent of a tenant, and every later one.
    tenant = new_tenant()
    client, doctor = tenant.client(), user(tenant, "practitioner", "Practitioner/a")
    who = patient(client)
    seen = client.create(observation(who))["id"]
    request = urllib.request.Request(
        f"{live_server}/t/{tenant.slug}/fhir/Observation/{seen}", headers={"Authorization": f"Bearer {doctor.token}"}
    )

    def status() -> set[int]:
        found = set()
        for _ in range(8):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    found.add(answer.status)
            except urllib.error.HTTPError as error:
                found.add(error.code)
        return found

    assert status() == {200}
    made = client.create(consent(who, {"type": "deny"}))
    assert status() == {404}
    client.put(f"Consent/{made['id']}", {**made, "status": "inactive"})
    assert status() == {200}
