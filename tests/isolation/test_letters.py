"""Each of c, r, u, d, s alone permits its own interactions and nothing else, over every type; also entry by entry of a
Bundle, and where an interaction needs two of them. smart-134, smart-135, smart-136, sec-T7, sec-T10
"""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.security.access import Access, Alternative
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.isolation.attackers import one_of_each, put_all
from tests.shared_data import needs_shared

JSON_PATCH = "application/json-patch+json"
TAG = "urn:letters"
HERE = "here"
# Their values that came with create are not readable by update or create.
SECRET = "Zephyrine"
Request = Callable[[Client, str, dict[str, Any]], Answer]
_FORM = "application/x-www-form-urlencoded"
_META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "added"}]}}]}
_TEST = [{"op": "test", "path": "/resourceType", "value": "None"}]

INTERACTIONS: dict[str, tuple[str, Request]] = {
    "create": ("c", lambda c, t, body: c.post(t, {k: v for k, v in body.items() if k != "id"})),
    "read": ("r", lambda c, t, body: c.get(f"{t}/{HERE}")),
    "head": ("r", lambda c, t, body: c.request("HEAD", f"{t}/{HERE}")),
    "vread": ("r", lambda c, t, body: c.get(f"{t}/{HERE}/_history/1")),
    "history-instance": ("r", lambda c, t, body: c.get(f"{t}/{HERE}/_history?_count=1")),
    "meta": ("r", lambda c, t, body: c.get(f"{t}/{HERE}/$meta")),
    "validate": ("r", lambda c, t, body: c.get(f"{t}/{HERE}/$validate")),
    "search": ("s", lambda c, t, body: c.get(f"{t}?_id={HERE}")),
    "search-count": ("s", lambda c, t, body: c.get(f"{t}?_summary=count")),
    "search-post": ("s", lambda c, t, body: c.post(f"{t}/_search", f"_id={HERE}", content_type=_FORM)),
    "search-system": ("s", lambda c, t, body: c.get(f"?_type={t}&_count=1")),
    "meta-type": ("s", lambda c, t, body: c.get(f"{t}/$meta")),
    "update": ("u", lambda c, t, body: c.put(f"{t}/{HERE}", {**body, "language": "fr"})),
    "patch": (
        "u",
        lambda c, t, body: c.patch(
            f"{t}/{HERE}", [{"op": "add", "path": "/language", "value": "es"}], content_type=JSON_PATCH
        ),
    ),
    "delete": ("d", lambda c, t, body: c.delete(f"{t}/{HERE}")),
}


def _body(name: str) -> dict[str, Any]:
    resource = {**one_of_each()[name], "id": HERE, "meta": {"tag": [{"system": TAG, "code": HERE}]}}
    if name == "Consent":
        resource["status"] = "draft"
    return resource


@pytest.fixture(scope="module")
def full(tenant: TestTenant) -> list[str]:
    """The types of which the tenant holds a resource."""
    put_all(tenant.client(), [_body(name) for name in one_of_each()])
    return list(one_of_each())


@needs_shared
@pytest.mark.parametrize("letter", ["c", "r", "s", "u", "d"])
def test_a_letter_alone(letter: str, tenant: TestTenant, full: list[str]) -> None:
    """smart-134"""
    client, found = tenant.client(f"system/*.{letter}"), []
    for name in full:
        for interaction, (needed, request) in INTERACTIONS.items():
            answer = request(client, name, _body(name))
            if (answer.status != 403) != (needed == letter) or answer.status >= 500:
                found.append(f"{interaction} {name}: {answer.status}")
    assert found == []


@needs_shared
def test_every_refusal_names_the_reason(tenant: TestTenant, full: list[str]) -> None:
    """smart-85"""
    client, found = tenant.client("system/Account.d"), []
    for interaction, (_, request) in INTERACTIONS.items():
        answer = request(client, "Patient", _body("Patient"))
        assert answer.status == 403, interaction
        if 'error="insufficient_scope"' not in answer.headers.get("WWW-Authenticate", ""):
            found.append(interaction)
    assert found == []


@pytest.mark.parametrize("path", ["Patient/_history", "_history"])
def test_history_of_a_type_is_search(path: str, tenant: TestTenant) -> None:
    """smart-134"""
    assert tenant.client("system/Patient.s").get(path).status == 200
    assert tenant.client("system/Patient.r").get(path).status == 403


def test_update_as_create_is_update(tenant: TestTenant) -> None:
    """smart-134"""
    answer = tenant.client("system/Basic.u").put(
        "Basic/as-create", {"resourceType": "Basic", "id": "as-create", "code": {"text": "x"}}
    )
    assert answer.status == 201


@pytest.mark.parametrize("operation", ["$meta-add", "$meta-delete"])
def test_changing_the_meta_shows_it(operation: str, tenant: TestTenant, client: Client) -> None:
    """smart-139: the answer is the meta, so both rights are needed."""
    path = f"Patient/{client.create({'resourceType': 'Patient'})['id']}/{operation}"
    asked = {**_META, "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": operation}]}}]}
    for letters, status in (("u", 403), ("r", 403), ("cds", 403), ("ru", 200)):
        assert tenant.client(f"system/Patient.{letters}").post(path, asked).status == status, letters


@pytest.fixture
def secret(client: Client) -> str:
    """The id of a Patient with a name that no token of these tests may read."""
    return str(client.create({"resourceType": "Patient", "name": [{"family": SECRET}]})["id"])


def test_update_alone_does_not_show(tenant: TestTenant, secret: str) -> None:
    """smart-134"""
    blind = tenant.client("system/Patient.u")
    nothing = [{"op": "add", "path": "/language", "value": "fr"}]
    answers = [
        blind.patch(f"Patient/{secret}", nothing, content_type=JSON_PATCH),
        blind.patch(f"Patient/{secret}", nothing, content_type=JSON_PATCH, prefer="return=representation"),
        blind.patch(f"Patient/{secret}", nothing, content_type=JSON_PATCH, if_match='W/"1"'),
    ]
    assert all(SECRET not in answer.text for answer in answers)


def test_who_may_change_and_read_is_shown(tenant: TestTenant, secret: str) -> None:
    """The known good that the test above is measured by."""
    nothing = [{"op": "add", "path": "/language", "value": "fr"}]
    answer = tenant.client("system/Patient.ru").patch(f"Patient/{secret}", nothing, content_type=JSON_PATCH)
    assert SECRET in answer.text


def _entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: str) -> dict[str, Any]:
    found: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        found["resource"] = resource
    return found


def _bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def _patient(code: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "meta": {"tag": [{"system": TAG, "code": code}]}}


_DATA = "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2xhbmd1YWdlIiwidmFsdWUiOiJmciJ9XQ=="  # adds language fr
_PATCH = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": _DATA}


@pytest.mark.parametrize(
    ("scope", "entry"),
    [
        ("system/Patient.c system/Basic.ruds", _entry("POST", "Basic", {"resourceType": "Basic", "code": {}})),
        ("system/Patient.c system/Basic.ruds", _entry("POST", "Group", {"resourceType": "Group", "type": "person"})),
        ("system/Patient.c system/Basic.cuds", _entry("GET", "Basic/x")),
        ("system/Patient.c system/Basic.crud", _entry("GET", "Basic?_id=x")),
        ("system/Patient.c system/Basic.crds", _entry("PUT", "Basic/x", {"resourceType": "Basic", "id": "x"})),
        ("system/Patient.c system/Basic.crds", _entry("PATCH", "Basic/x", _PATCH)),
        ("system/Patient.c system/Basic.crus", _entry("DELETE", "Basic/x")),
        ("system/Patient.c system/Basic.crud", _entry("DELETE", "Basic?code=y")),
        ("system/Patient.c system/Basic.crud", _entry("GET", "Observation/$lastn?max=1&code=x")),
        ("system/Patient.c", _entry("GET", "Patient/x/$everything")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value['request']['method']}-{value['request']['url']}",
)
def test_entries_are_judged_one_by_one(tenant: TestTenant, scope: str, entry: dict[str, Any]) -> None:
    """smart-135, sec-20"""
    entry = {**entry}
    if entry.get("resource", {}).get("resourceType") == "Basic":
        entry["resource"] = {**entry["resource"], "code": {"text": "x"}}
    if entry.get("resource", {}).get("resourceType") == "Group":
        entry["resource"] = {**entry["resource"], "actual": True}
    judge, everything = tenant.client(scope), tenant.client()
    before = everything.get("Patient?_summary=count").json["total"]
    good = _entry("POST", "Patient", _patient("in-bundle"))
    answer = judge.post("", _bundle("batch", good, entry, good))
    assert [each["response"]["status"][:3] for each in answer.json["entry"]] == ["201", "403", "201"]
    assert everything.get("Patient?_summary=count").json["total"] == before + 2
    for entries in ((good, entry), (entry, good)):
        answer = judge.post("", _bundle("transaction", *entries))
        # A patch of what may be neither read nor changed meets nothing, as any other id would.
        assert answer.status in ((403, 404) if entry["request"]["method"] == "PATCH" else (403,)), answer.text
    assert everything.get("Patient?_summary=count").json["total"] == before + 2


def test_an_entry_does_not_see_what_another_made(tenant: TestTenant) -> None:
    """sec-T10: create, then read it in the same Bundle without the right to read."""
    writer = tenant.client("system/Patient.cu system/Observation.rs")
    made = _entry("POST", "Patient", {**_patient("made"), "name": [{"family": SECRET}]})
    for kind in ("batch", "transaction"):
        answer = writer.post("", _bundle(kind, made, _entry("GET", f"Patient?_tag={TAG}|made")))
        assert SECRET not in answer.text
        assert answer.status == 403 or answer.json["entry"][1]["response"]["status"].startswith("403")


CONDITIONAL: dict[str, tuple[str, Callable[[Client, str], Answer]]] = {
    "create": ("c", lambda c, code: c.post("Patient", _patient(code), if_none_exist=f"_tag={TAG}|{code}")),
    "update": ("u", lambda c, code: c.put(f"Patient?_tag={TAG}|{code}", {**_patient(code), "language": "fr"})),
    "patch": (
        "u",
        lambda c, code: c.patch(
            f"Patient?_tag={TAG}|{code}", [{"op": "add", "path": "/language", "value": "es"}], content_type=JSON_PATCH
        ),
    ),
    "create-in-transaction": (
        "c",
        lambda c, code: c.post(
            "", _bundle("transaction", _entry("POST", "Patient", _patient(code), ifNoneExist=f"_tag={TAG}|{code}"))
        ),
    ),
    "update-in-transaction": (
        "u",
        lambda c, code: c.post(
            "", _bundle("transaction", _entry("PUT", f"Patient?_tag={TAG}|{code}", {**_patient(code), "active": True}))
        ),
    ),
    "reference-in-transaction": (
        "",
        lambda c, code: c.post(
            "",
            _bundle(
                "transaction",
                _entry(
                    "POST",
                    "Basic",
                    {
                        "resourceType": "Basic",
                        "code": {"text": "x"},
                        "subject": {"reference": f"Patient?_tag={TAG}|{code}"},
                    },
                ),
            ),
        ),
    ),
    "delete-in-transaction": (
        "d",
        lambda c, code: c.post("", _bundle("transaction", _entry("DELETE", f"Patient?_tag={TAG}|{code}"))),
    ),
    "delete": ("d", lambda c, code: c.delete(f"Patient?_tag={TAG}|{code}")),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_condition_is_a_search(name: str, tenant: TestTenant, client: Client) -> None:
    """smart-136: search and the write are both needed."""
    letter, request = CONDITIONAL[name]
    client.create(_patient(name))
    others = "".join(each for each in "crud" if each != letter)
    basic = "system/Basic.c "
    for scope in (
        f"{basic}system/Patient.crud",
        *([f"{basic}system/Patient.{others}s"] if letter else []),
        *([f"{basic}system/Patient.{letter}"] if letter else [f"{basic}system/Patient.r"]),
    ):
        answer = request(tenant.client(scope), name)
        assert answer.status == 403, (scope, answer.text)
        assert client.get(f"Patient?_tag={TAG}|{name}&_summary=count").json["total"] == 1, scope
    answer = request(tenant.client(f"{basic}system/Patient.{letter}s"), name)
    assert answer.status in (200, 201, 204), answer.text


@needs_shared
def test_the_table_tells(tenant: TestTenant, full: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: with the rule dropped every interaction is permitted, and the table says so."""
    client = tenant.client("system/Account.d")
    monkeypatch.setattr(Access, "rule", lambda self, resource_type, letter: (Alternative(),))
    body = _body("Patient")
    for interaction, (_, request) in INTERACTIONS.items():
        if interaction != "search-system":
            assert request(client, "Patient", body).status != 403, interaction
