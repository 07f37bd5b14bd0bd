"""Idempotency-Key: what was done is not done again, and what was answered is answered again."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.client import Client
from tests.conftest import TestTenant

TAG = {"system": "urn:example", "code": "a"}


def _patient(client: Client) -> str:
    return f"Patient/{client.post('Patient', {'resourceType': 'Patient'}).id}"


def _adding(code: str) -> dict[str, Any]:
    meta = {"tag": [{**TAG, "code": code}]}
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def test_the_same_request_is_done_once(client: Client) -> None:
    path = f"{_patient(client)}/$meta-add"
    first = client.post(path, _adding("a"), idempotency_key="k1")
    assert first.status == 200
    version = client.get(path.partition("/$")[0]).json["meta"]["versionId"]
    client.post(path, _adding("b"), idempotency_key="k2")
    again = client.post(path, _adding("a"), idempotency_key="k1")
    assert (again.status, again.body) == (first.status, first.body)
    assert client.get(path.partition("/$")[0]).json["meta"]["versionId"] == str(int(version) + 1)


def test_another_request_under_the_key_is_refused(client: Client) -> None:
    path = f"{_patient(client)}/$meta-add"
    assert client.post(path, _adding("a"), idempotency_key="k3").status == 200
    other = client.post(path, _adding("b"), idempotency_key="k3")
    assert other.status == 422 and other.issues[0]["expression"] == ["http.Idempotency-Key"]
    assert client.post(f"{_patient(client)}/$meta-add", _adding("a"), idempotency_key="k3").status == 422


def test_what_failed_may_be_tried_again(client: Client) -> None:
    missing = client.post("Patient/later/$meta-add", _adding("a"), idempotency_key="k4")
    assert missing.status == 404
    client.request("PUT", "Patient/later", {"resourceType": "Patient", "id": "later"})
    assert client.post("Patient/later/$meta-add", _adding("a"), idempotency_key="k4").status == 200


def test_keys_are_the_callers_own(client: Client, tenant: TestTenant) -> None:
    path = f"{_patient(client)}/$meta-add"
    assert client.post(path, _adding("a"), idempotency_key="k5").status == 200
    # Another client of the tenant; the tests' tokens are all of one client, so the patient tells them apart.
    other = tenant.client("patient/*.cruds", patient=path.split("/")[1])
    assert other.post(path, _adding("b"), idempotency_key="k5").status == 200


def test_racers_do_it_once(tenant: TestTenant, client: Client) -> None:
    path = _patient(client)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: client.post(f"{path}/$meta-add", _adding("r"), idempotency_key="k6"), range(16))
        )
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert client.get(path).json["meta"]["versionId"] == "2"


def test_a_key_that_is_none(client: Client) -> None:
    assert client.post(f"{_patient(client)}/$meta-add", _adding("a"), idempotency_key="").status == 400
    assert client.post(f"{_patient(client)}/$meta-add", _adding("a"), idempotency_key="x" * 256).status == 400
