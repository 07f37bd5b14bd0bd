"""Who may ask: tokens, and what their scopes allow. RFC 6750, SMART App Launch 2.2"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.storage import tenants
from tests.client import Client
from tests.rest.answers import entries, refused, resources
from tests.rest.bodies import bundle, entry, mark, patient, weight

if TYPE_CHECKING:
    from tests.conftest import TestTenant

CLOSED = [
    ("GET", "Patient"),
    ("GET", "Patient/x"),
    ("GET", ""),
    ("GET", "_history"),
    ("POST", ""),
    ("POST", "Patient"),
    ("PUT", "Patient/x"),
    ("PATCH", "Patient/x"),
    ("DELETE", "Patient/x"),
    ("POST", "Patient/_search"),
    ("GET", "ValueSet/$expand"),
    ("POST", "Patient/$validate"),
]
BAD_TOKENS = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer nonsense",
    "Basic dXNlcjpwYXNz",
    "nonsense",
    "Bearer a b",
    "Bearer \x00",
    "Bearer é",
    "Bearer " + "x" * 5000,
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nothing_is_open_without_a_token(client: Client, method: str, path: str) -> None:
    """smart-83"""
    body = None if method in ("GET", "DELETE") else {"resourceType": "Patient"}
    answer = Client(client.slug, None).request(method, path, body)
    assert "token" in refused(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.issues[0]["code"] == "login"


@pytest.mark.parametrize("header", BAD_TOKENS)
def test_a_token_that_is_none(client: Client, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = Client(client.slug, None).get("Patient", **headers)
    refused(answer, 401)
    assert "Patient" not in answer.headers["WWW-Authenticate"]


def test_an_expired_token(new_tenant: "Callable[[], TestTenant]") -> None:
    """smart-84: before it is known here, and when it expires or is revoked while it is."""
    tenant = new_tenant()
    fresh = Client(tenant.slug, tenant.token(minutes=-1)).get("Patient")
    refused(fresh, 401)
    known = tenant.client()
    assert known.get("Patient").status == 200
    db, state = session(), tenants.find(session(), tenant.slug)
    db.enter(tenant.id, None, state.registry_version)
    db.run([("UPDATE access_token SET expires_at = now() WHERE tenant_id = $1", (tenant.id,))], final=True)
    for answer in (fresh, known.get("Patient")):
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_token_is_checked_at_every_request(tenant: "TestTenant") -> None:
    from fhir_server.rest.dispatch import session
    from fhir_server.security.authenticate import token_digest
    from fhir_server.storage import tenants, wire

    client = tenant.client()
    assert client.get("Patient").status == 200
    db, state = session(), tenants.find(session(), tenant.slug)
    db.enter(tenant.id, None, state.registry_version)
    digest = wire.Binary(token_digest(str(client.token)))
    db.run(
        [("UPDATE access_token SET revoked_at = now() WHERE tenant_id = $1 AND hash = $2", (tenant.id, digest))],
        final=True,
    )
    refused(client.get("Patient"), 401)
    refused(client.post("Patient", patient(mark())), 401)


def test_another_tenants_token(tenant: "TestTenant", new_tenant: "Callable[[], TestTenant]") -> None:
    refused(Client(tenant.slug, new_tenant().token()).get("Patient"), 401)


ALLOWED: list[tuple[str, str]] = [
    ("system/*.cruds", "crudsh"),
    ("system/Patient.cruds", "crudsh"),
    ("user/Patient.rs", "rsh"),
    ("system/Patient.read", "rsh"),
    ("system/Patient.write", "cud"),
    ("system/Patient.c", "c"),
    ("system/Patient.u", "u"),
    ("system/Patient.d", "d"),
    ("system/Patient.s", "s"),
    ("system/Patient.r", "rh"),
    ("system/Observation.cruds", ""),
    ("system/Observation.cruds system/Patient.r", "rh"),
]


@pytest.mark.parametrize(("scope", "letters"), ALLOWED)
def test_what_a_scope_allows(tenant: "TestTenant", client: Client, scope: str, letters: str) -> None:
    limited = tenant.client(scope)
    ids = [client.create(patient(mark()))["id"] for _ in range(3)]
    change = [{"op": "add", "path": "/active", "value": True}]
    tried = {
        "c": limited.post("Patient", patient(mark())),
        "r": limited.get(f"Patient/{ids[0]}"),
        "u": limited.put(f"Patient/{ids[0]}", {**patient(mark()), "id": ids[0]}),
        "d": limited.delete(f"Patient/{ids[1]}"),
        "s": limited.get("Patient?_count=1"),
        "h": limited.get(f"Patient/{ids[0]}/_history"),
    }
    assert "".join(letter for letter, answer in tried.items() if answer.status < 300) == letters
    for answer in tried.values():
        if answer.status >= 300:
            assert "system/Patient." in refused(answer, 403)
            assert answer.issues[0]["code"] == "forbidden"
    patched = limited.patch(f"Patient/{ids[2]}", change, content_type="application/json-patch+json")
    assert (patched.status == 200) == ("u" in letters)


def test_update_as_create_needs_the_right_to_update(tenant: "TestTenant") -> None:
    """SMART 2.2: the letter u includes it, the letter c does not."""
    id_ = mark()
    refused(tenant.client("system/Patient.cr").put(f"Patient/{id_}", patient(id_, id=id_)), 403)
    limited = tenant.client("system/Patient.ru")
    refused(limited.get(f"Patient/{id_}"), 404)
    assert limited.put(f"Patient/{id_}", patient(id_, id=id_)).status == 201


def test_conditionals_need_the_right_to_search(tenant: "TestTenant") -> None:
    limited, word = tenant.client("system/Patient.cud"), mark()
    refused(limited.post("Patient", patient(word), if_none_exist=f"identifier={word}"), 403)
    refused(limited.put(f"Patient?identifier={word}", patient(word)), 403)
    refused(limited.delete(f"Patient?identifier={word}"), 403)


def test_other_types_are_invisible_in_lists(tenant: "TestTenant", client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    client.create(weight(local))
    limited = tenant.client("system/Observation.rs")
    for path in ("_history?_count=1000", "?_count=1000&_type=Observation,Patient", "?_count=1000"):
        answer = limited.get(path)
        if answer.status == 200:
            assert {found["resourceType"] for found in resources(answer)} <= {"Observation"}
        else:
            refused(answer, 403)
    included = limited.get(f"Observation?subject={local}&_include=Observation:subject")
    assert [found["resourceType"] for found in resources(included)] == ["Observation"]
    for path in (f"Patient?_has:Observation:subject:code=x&_id={stored['id']}", f"{local}/Patient", f"{local}/$everything"):
        refused(limited.get(path), 403)


def test_a_chain_does_not_reveal_what_may_not_be_searched(tenant: "TestTenant", client: Client) -> None:
    word = mark()
    stored = client.create(patient(word))
    client.create(weight(f"Patient/{stored['id']}"))
    limited = tenant.client("system/Observation.rs")
    answer = limited.get(f"Observation?subject:Patient.identifier={word}")
    if answer.status == 200:
        assert resources(answer) == []
    else:
        refused(answer, 403)


def test_a_batch_is_checked_entry_by_entry(tenant: "TestTenant") -> None:
    limited, word = tenant.client("system/Observation.cruds"), mark()
    sent = [entry("POST", "Patient", patient(word)), entry("POST", "Observation", weight("Patient/p"))]
    found = entries(limited.post("", bundle("batch", *sent)))
    assert [one["response"]["status"][:3] for one in found] == ["403", "201"]
    refused(limited.post("", bundle("transaction", *sent)), 403, "Bundle.entry[0]")


def test_only_an_operator_may_ask_for_the_plan(tenant: "TestTenant", client: Client) -> None:
    refused(tenant.client("system/*.cruds").get("Patient?_explain=true"), 403)
    assert client.get("Patient?_explain=true").status == 200


@pytest.mark.parametrize("scope", ["", "patient", "system/Patient.xyz", "system/Patient.sr", "patien/*.rs"])
def test_a_scope_that_cannot_be_enforced_makes_no_token(tenant: "TestTenant", scope: str) -> None:
    from fhir_server.core.errors import Invalid

    with pytest.raises(Invalid):
        tenant.token(scope)


def test_no_error_repeats_the_token(client: Client) -> None:
    secret: Any = "s3cret-token-value"
    assert secret not in Client(client.slug, secret).get("Patient").text
