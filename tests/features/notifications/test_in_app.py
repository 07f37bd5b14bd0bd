"""Whoever an in-app message is for says that it was read, and nobody else."""

from tests.client import Answer, Client
from tests.features.notifications.sending import Clinic


def mark(client: Client, communication: str) -> Answer:
    return client.post(f"Communication/{communication}/$mark-read", {"resourceType": "Parameters"})


def me(clinic: Clinic) -> Client:
    return clinic.tenant.client("patient/*.rs", patient=clinic.patient.split("/")[1])


def test_the_person_has_read_it_once(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", "in-app", ""))
    id_ = clinic.communication("o1/in-app")["id"]
    answer = mark(me(clinic), id_)
    assert answer.status == 200, answer.text
    assert answer.json["received"] >= answer.json["sent"]
    assert mark(me(clinic), id_).json["received"] == answer.json["received"]
    assert clinic.communication("o1/in-app")["meta"]["versionId"] == "2"


def test_nobody_else_has_read_it(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", "in-app", ""))
    id_ = clinic.communication("o1/in-app")["id"]
    other = clinic.tenant.client().create({"resourceType": "Patient"})
    assert mark(clinic.tenant.client("patient/*.rs", patient=other["id"]), id_).status == 404
    assert mark(clinic.tenant.client(), id_).status == 403
    assert "received" not in clinic.communication("o1/in-app")


def test_an_sms_is_not_read_here(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1"))
    answer = mark(me(clinic), clinic.communication("o1/sms")["id"])
    assert answer.status == 422 and answer.issues[0]["expression"] == ["Communication.medium"]
