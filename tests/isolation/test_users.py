"""A user's token gives what its scopes and the user's role both give, as they are now. smart-145, sec-13"""

import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.interactions.worlds import world as place_of
from fhir_server.rest.dispatch import session
from fhir_server.security import access
from fhir_server.security.roles import roles
from fhir_server.storage import access_tokens, accounts
from fhir_server.storage.session import Statement
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.isolation.attackers import ids_of, person, put_all

SECRET = "Zephyrine"
_FORM = "application/x-www-form-urlencoded"
# With a body that no type accepts, so that nothing is written: what is allowed is refused for its content.
ASKS: dict[str, Callable[[Client, str], Answer]] = {
    "c": lambda c, t: c.post(t, {"resourceType": t, "nonsense": 1}),
    "r": lambda c, t: c.get(f"{t}/nosuch"),
    "u": lambda c, t: c.put(f"{t}/nosuch", {"resourceType": t, "id": "nosuch", "nonsense": 1}),
    "d": lambda c, t: c.delete(f"{t}/nosuch"),
    "s": lambda c, t: c.post(f"{t}/_search", "_count=0", content_type=_FORM),
}
# AuditEvents have rules of their own (tests/audit).
TYPES = tuple(name for name in base_registry().resource_types if name != "AuditEvent")


def _may(role: str, name: str, letter: str) -> bool:
    return any(letter in right.letters and right.type in ("*", name) for right in roles()[role].rights)


def _unlike(client: Client, allowed: Callable[[str, str], bool]) -> list[str]:
    """The types and letters at which the caller may more or less than `allowed` says."""
    return [
        f"{name}.{letter}"
        for name in TYPES
        for letter, ask in ASKS.items()
        if (ask(client, name).status != 403) != allowed(name, letter)
    ]


@pytest.mark.parametrize("role", [name for name, role in roles().items() if not role.personal])
def test_every_right_of_a_role(role: str, tenant: TestTenant) -> None:
    """smart-145: over every type and letter, what profiles/security/roles.json says and nothing else."""
    client = person(tenant, role, "user/*.cruds").client
    assert _unlike(client, lambda name, letter: _may(role, name, letter)) == []


@pytest.mark.parametrize("role", [name for name, role in roles().items() if role.personal])
def test_without_patients_a_personal_role_is_nothing(role: str, tenant: TestTenant) -> None:
    """smart-145"""
    assert _unlike(person(tenant, role, "user/*.cruds").client, lambda name, letter: False) == []


def test_scopes_and_role_meet(tenant: TestTenant) -> None:
    """smart-145: neither alone is enough, and what is for back-end systems gives a user nothing."""
    narrow = person(tenant, "nurse", "user/Observation.rs user/Patient.cruds").client
    wanted = {("Observation", "r"), ("Observation", "s"), *(("Patient", each) for each in "crus")}
    assert _unlike(narrow, lambda name, letter: (name, letter) in wanted) == []
    assert _unlike(person(tenant, "service", "system/*.cruds").client, lambda name, letter: False) == []
    assert _unlike(person(tenant, "service", "patient/*.cruds").client, lambda name, letter: False) == []


@pytest.fixture(scope="module")
def records(tenant: TestTenant, client: Client) -> TestTenant:
    """Patients p and q with an observation and a claim each."""
    for who in ("p", "q"):
        me = {"reference": f"Patient/{who}"}
        put_all(
            client,
            [
                {"resourceType": "Patient", "id": who, "name": [{"family": SECRET}]},
                {"resourceType": "Observation", "id": f"o{who}", "status": "final", "code": {"text": SECRET}, "subject": me},
                {"resourceType": "Account", "id": f"a{who}", "status": "active", "subject": [me]},
            ],
        )  # fmt: skip
    return tenant


def _over_http(origin: str, slug: str, token: str | None, path: str) -> int:
    request = urllib.request.Request(f"{origin}/t/{slug}/fhir/{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_another_role_counts_with_the_next_request(records: TestTenant, live_server: str) -> None:
    """smart-145: in this process and in another one."""
    user = person(records, "practitioner", "user/*.cruds")

    def statuses() -> set[tuple[int, int]]:
        found = set()
        for path in ("Observation/op", "Observation?_count=1", "Observation/op/_history"):
            found.add((user.client.get(path).status, _over_http(live_server, records.slug, user.client.token, path)))
        return found

    assert statuses() == {(200, 200)}
    user.change("receptionist")
    assert statuses() == {(403, 403)}
    user.change("proxy", patients=["p"])
    assert statuses() == {(200, 200)}
    assert user.client.get("Observation/oq").status == 404
    user.change("proxy", patients=["q"])
    assert user.client.get("Observation/op").status == 404
    assert ids_of(user.client.get("Observation")) == {"Observation/oq"}
    user.change("nonsense")
    assert statuses() == {(403, 403)}


def test_rights_go_in_the_middle_of_a_walk(records: TestTenant) -> None:
    """smart-140, smart-145: a page link opens nothing that is closed meanwhile."""
    user = person(records, "practitioner", "user/*.cruds")
    pages = [
        user.client.get(f"{path}_count=1").json["link"]
        for path in ("Observation?", "_history?", "Patient/p/$everything?")
    ]
    links = [each["url"] for links in pages for each in links if each["relation"] == "next"]
    assert len(links) == 3
    user.change("proxy", patients=["nobody"])
    for link in links:
        answer = user.client.get(link)
        assert answer.status in (400, 403, 404), answer.text
        assert SECRET not in answer.text


def _run(tenant: TestTenant, *statements: Statement) -> None:
    db = session()
    db.enter(tenant.id, None, place_of(db, tenant.slug).version)
    db.run(statements, final=True)


@pytest.mark.parametrize("how", ["disabled", "revoked"])
def test_an_account_that_is_closed(how: str, records: TestTenant, live_server: str) -> None:
    """smart-145: the token of a user who is no more is as any other text, at once and in every process."""
    user = person(records, "practitioner", "user/*.cruds")
    assert _over_http(live_server, records.slug, user.client.token, "Observation/op") == 200
    if how == "disabled":
        _run(
            records,
            accounts.set_status(records.id, user.id, "disabled"),
            access_tokens.raise_stamps(records.id, user.id),
        )
    else:
        _run(records, access_tokens.revoke_user(records.id, user.id))
    assert user.client.get("Observation/op").status == 401
    assert _over_http(live_server, records.slug, user.client.token, "Observation/op") == 401
    assert user.client.get("Observation/op").body == Client(records.slug, "x" * 32).get("Observation/op").body


@pytest.mark.parametrize(
    ("role", "patients", "patient", "seen"),
    [
        ("practitioner", (), "p", {"Observation/op"}),
        ("practitioner", (), "q", {"Observation/oq"}),
        ("proxy", ("p",), "p", {"Observation/op"}),
        ("proxy", ("p",), "q", None),
        ("proxy", ("p", "q"), "q", {"Observation/oq"}),
        ("patient", ("p",), "q", None),
        ("receptionist", (), "p", None),
        ("practitioner", (), None, None),
    ],
)
def test_patient_scopes_of_a_user(
    role: str, patients: Sequence[str], patient: str | None, seen: Any, records: TestTenant
) -> None:
    """smart-142, smart-145: the launch's patient, as far as the user may see that patient at all."""
    client = person(records, role, "patient/*.cruds", patients=patients, patient=patient).client
    answer = client.get("Observation")
    if seen is None:
        assert answer.status == 403
    else:
        assert ids_of(answer) == seen
    for id_ in ("op", "oq"):
        assert (client.get(f"Observation/{id_}").status == 200) == (f"Observation/{id_}" in (seen or ()))


def test_the_table_tells(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: without the role, the scopes alone decide, and the table says so."""
    monkeypatch.setattr(access.Access, "_of_role", lambda self, resource_type, letter: [access.Alternative()])
    client = person(tenant, "receptionist", "user/*.cruds").client
    assert "Observation.r" in _unlike(client, lambda name, letter: _may("receptionist", name, letter))
