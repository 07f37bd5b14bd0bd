"""Addresses, tokens and names of one tenant, used at another. sec-T9, T30, T31; sec-10 to sec-12; smart-86, smart-242"""

from collections.abc import Callable
from typing import Any

from tests.client import ORIGIN, Client
from tests.conftest import TestTenant
from tests.isolation.attackers import put_all, shown

SECRET, IDENTIFIER = "Zephyrine", "urn:i"
New = Callable[[], TestTenant]


def _patient(id_: str, *identifiers: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Patient", "id": id_, **more}
    return (
        {**found, "identifier": [{"system": IDENTIFIER, "value": each} for each in identifiers]}
        if identifiers
        else found
    )


def test_the_same_ids_and_identifiers_in_two_tenants(new_tenant: New) -> None:
    """sec-T9: none of them knows of the other's."""
    clients = [new_tenant().client() for _ in range(2)]
    for number, client in enumerate(clients):
        body = _patient("same", "same", name=[{"family": f"tenant{number}"}])
        assert client.put("Patient/same", body, if_none_match="*").status == 201
        assert client.post("Patient", body, if_none_exist=f"identifier={IDENTIFIER}|same").status == 200
        assert client.put(f"Patient?identifier={IDENTIFIER}|same", body).status == 200
        parameter = {
            "resourceType": "SearchParameter", "id": "own", "url": "http://example.org/own", "name": "own", "status": "active",
            "description": "x", "code": "own", "base": ["Patient"], "type": "string", "expression": "Patient.name.family",
        }  # fmt: skip
        assert client.put("SearchParameter/own", parameter).status == 201
    for number, client in enumerate(clients):
        assert client.get("Patient/same").json["name"][0]["family"] == f"tenant{number}"


def test_definitions_stay_in_their_tenant(new_tenant: New) -> None:
    """sec-T31, sec-11: a search parameter of one tenant is unknown in the other, in searches and in its metadata."""
    one, other = new_tenant().client(), new_tenant().client()
    parameter = {
        "resourceType": "SearchParameter", "id": "zz", "url": f"http://example.org/{SECRET}", "name": SECRET, "status": "active",
        "description": SECRET, "code": "zzsecret", "base": ["Patient"], "type": "string", "expression": "Patient.name.family",
    }  # fmt: skip
    assert one.put("SearchParameter/zz", parameter).status == 201
    assert "still being indexed" in one.get("Patient?zzsecret=x").text
    assert "zzsecret" not in other.get("metadata").text
    assert "zzsecret" not in other.get("Patient?zzsecre=x").text
    third = new_tenant().client()
    assert shown(other.get("Patient?zzsecret=x"), other.slug) == shown(third.get("Patient?zzsecret=x"), third.slug)


PATHS = [
    "/t/{b}/../{a}/fhir/Patient/s", "/t/{b}/fhir/../../{a}/fhir/Patient/s", "/t/{b}/fhir/../{a}/Patient/s", "//t/{a}/fhir/Patient/s",
    "/t//{a}/fhir/Patient/s", "/t/{b}%2f..%2f{a}/fhir/Patient/s", "/t/{b}/fhir/%2e%2e/%2e%2e/{a}/fhir/Patient/s", "/t/{A}/fhir/Patient/s",
    "/t/{a}%00/fhir/Patient/s", "/t/{a}./fhir/Patient/s", "/t/{a};x=y/fhir/Patient/s", "/t/{b}/fhir//t/{a}/fhir/Patient/s",
    "/t/{b}/fhir/Patient/..%2f..%2f..%2f{a}%2ffhir%2fPatient%2fs", "/T/{a}/fhir/Patient/s", "/t/{a}/FHIR/Patient/s", "/t/{a}/fhir/Patient/s",
    "/t/{a}/fhir/Patient/s/", "/t/{a}//fhir/Patient/s", "/t/ {a}/fhir/Patient/s", "/t/{a}%20/fhir/Patient/s", "/./t/{a}/fhir/Patient/s",
]  # fmt: skip


def test_paths_that_are_not_canonical(new_tenant: New) -> None:
    """sec-T30, sec-10: with b's token, nothing of a, however its address is written."""
    a, b = new_tenant(), new_tenant()
    put_all(a.client(), [_patient("s", name=[{"family": SECRET}])])
    client = b.client()
    for path in PATHS:
        for method in ("GET", "POST", "TRACE"):
            extra = {
                "x_http_method_override": "GET",
                "x_original_url": f"/t/{a.slug}/fhir/Patient/s",
                "x_forwarded_prefix": f"/t/{a.slug}",
            }
            answer = client.request(method, path.format(a=a.slug, b=b.slug, A=a.slug.upper()), **extra)
            assert SECRET not in answer.text
            assert 400 <= answer.status < 500, (path, answer.status)
    assert SECRET in a.client().get("Patient/s").text


def test_entries_do_not_leave_the_tenant(new_tenant: New) -> None:
    """sec-T30: an entry's url names nothing of another tenant, however it is written."""
    a, b = new_tenant(), new_tenant()
    put_all(a.client(), [_patient("s", name=[{"family": SECRET}])])
    below = f"/t/{a.slug}/fhir/Patient/s"
    urls = (below, f"{ORIGIN}{below}", f"../..{below[2:]}", f"Patient/../..{below[2:]}", f"/{below}", f"%2e%2e{below}")
    for kind in ("batch", "transaction"):
        for method in ("GET", "DELETE"):
            for url in urls:
                bundle = {
                    "resourceType": "Bundle",
                    "type": kind,
                    "entry": [{"request": {"method": method, "url": url}}],
                }
                answer = b.client().post("", bundle)
                # To delete what is not there is no error, so that may be the answer to any id.
                wanted = ("4", "204") if method == "DELETE" else ("4",)
                assert answer.status >= 400 or answer.json["entry"][0]["response"]["status"].startswith(wanted), url
                assert SECRET not in answer.text
    assert a.client().get("Patient/s").status == 200


def test_a_token_elsewhere_is_garbage(new_tenant: New) -> None:
    """smart-86, smart-242"""
    a, b = new_tenant(), new_tenant()
    put_all(b.client(), [_patient("s", name=[{"family": SECRET}])])
    foreign, garbage = Client(b.slug, a.token()), Client(b.slug, "x" * 43)
    for path in ("Patient/s", "Patient", "_history", "Patient/s/$everything", "metadata", "Patient?_cursor=x"):
        assert shown(foreign.get(path)) == shown(garbage.get(path)), path
    assert foreign.get("Patient/s").status == 401


def test_the_addresses_tell(new_tenant: New) -> None:
    """Known bad: with the right token the plain address answers, so that each of the others was a real attempt."""
    a = new_tenant()
    put_all(a.client(), [_patient("s", name=[{"family": SECRET}])])
    assert SECRET in a.client().get(f"/t/{a.slug}/fhir/Patient/s").text
