"""$message-preferences and $set-message-preferences over HTTP: what is kept, for whom, and by whom."""

from typing import Any

import pytest

from fhir_server.features.notifications import preferences
from fhir_server.storage.message_preferences import of
from tests.client import Answer, Client
from tests.features.notifications.clinic import Clinic, soon


@pytest.fixture
def clinic(new_tenant: Any) -> Clinic:
    made = Clinic(new_tenant("Africa/Casablanca"))
    made.set(country="MA", language="fr", notifications={"quiet_from": "00:00", "quiet_until": "00:00"})
    return made


def say(by: Client, who: str, wanted: bool | None, kinds: tuple[str, ...] = (), channels: tuple[str, ...] = ()) -> Answer:
    given: list[dict[str, Any]] = [{"name": "kind", "valueCode": kind} for kind in kinds]
    given += [{"name": "channel", "valueCode": channel} for channel in channels]
    given += [] if wanted is None else [{"name": "wanted", "valueBoolean": wanted}]
    return by.post(f"{who}/$set-message-preferences", {"resourceType": "Parameters", "parameter": given} if given else None)


def now(answer: Answer) -> dict[str, list[str]]:
    """Channels that would be used, by kind."""
    assert answer.status == 200, answer.text
    found = {}
    for entry in answer.json["parameter"]:
        if entry["name"] == "now":
            kind = next(part["valueCode"] for part in entry["part"] if part["name"] == "kind")
            found[kind] = [part["valueCode"] for part in entry["part"] if part["name"] == "channel"]
    return found


def test_what_a_person_says_counts(clinic: Clinic) -> None:
    who = clinic.patient(telecom=[{"system": "phone", "use": "mobile", "value": "+212612345678"}, {"system": "email", "value": "f@example.org"}])
    before = now(clinic.client.get(f"{who}/$message-preferences"))
    assert before["reminder"] == ["sms", "email", "in-app"] and before["ticket-called"] == ["sms", "in-app"]
    assert "staff-change" not in before
    after = now(say(clinic.client, who, False, ("reminder", "confirmation"), ("sms",)))
    assert after["reminder"] == after["confirmation"] == ["email", "in-app"] and after["cancellation"][0] == "sms"
    assert now(say(clinic.client, who, False))["cancellation"] == []
    assert now(say(clinic.client, who, True, ("reminder",), ("sms",)))["reminder"] == ["sms"]
    assert now(say(clinic.client, who, None))["cancellation"][0] == "sms"
    said = clinic.client.get(f"{who}/$message-preferences").json["parameter"]
    assert [entry["part"][2]["valueBoolean"] for entry in said if entry["name"] == "preference"] == [False, True]
    clinic.visit(soon(3), who)
    clinic.follow()
    assert [draft.channel for draft in clinic.drafts()] == ["email"]


def test_stop_is_shown_and_stays(clinic: Clinic) -> None:
    who, other = clinic.patient(), clinic.patient()
    ctx = clinic.context()
    preferences.stop(ctx, "+212612345678")
    ctx.db.commit()
    answer = say(clinic.client, who, True)
    assert now(answer)["ticket-called"] == ["in-app"]
    stopped = [entry["valueCode"] for entry in answer.json["parameter"] if entry["name"] == "stopped"]
    assert sorted(stopped) == ["sms", "whatsapp"]
    assert now(clinic.client.get(f"{other}/$message-preferences"))["reminder"] == ["in-app"], "the number is everybody's"


def test_what_is_refused(clinic: Clinic) -> None:
    who, other = clinic.patient(), clinic.patient()
    for answer, expression in (
        (say(clinic.client, who, True, ("party",)), "http.kind"),
        (say(clinic.client, who, True, (), ("fax",)), "http.channel"),
    ):
        assert (answer.status, answer.issues[0]["expression"]) == (422, [expression])
    assert clinic.client.get(f"{who}/$set-message-preferences").status == 405
    assert say(clinic.client, "Patient/nobody", True).status == 404
    mine = clinic.tenant.client("patient/*.rs patient/Communication.c", patient=who.split("/")[1])
    assert say(mine, who, False, ("reminder",)).status == 200
    assert say(mine, other, False).status == 404
    assert mine.get(f"{other}/$message-preferences").status == 404
    reader = clinic.tenant.client("patient/*.rs", patient=who.split("/")[1])
    assert say(reader, who, True).status == 403
    assert reader.get(f"{who}/$message-preferences").status == 200


def test_the_table_names_nobody_and_tenants_have_hashes_of_their_own(clinic: Clinic, new_tenant: Any) -> None:
    other = Clinic(new_tenant())
    rows = []
    for place in (clinic, other):
        ctx = place.context()
        preferences.stop(ctx, "+212612345678")
        preferences.say(ctx, "Patient/1", ["reminder"], ["sms"], wanted=False, source="patient")
        ctx.db.commit()
        ctx = place.context()
        rows.append([bytes.fromhex((row[0] or b"").decode()) for row in ctx.db.run([("SELECT encode(whom, 'hex') FROM message_preference WHERE tenant_id = $1", (ctx.tenant.id,))], final=True)[0]])
    assert {len(hash_) for several in rows for hash_ in several} == {32}
    assert not set(rows[0]) & set(rows[1])
    ctx = clinic.context()
    assert of(ctx.db, ctx.tenant.id, []) == []
    preferences.forget_person(ctx, "Patient/1")
    assert preferences.said(ctx, "Patient/1") == [] and preferences.stopped(ctx, "+212 612 345 678")
    preferences.start(ctx, "+212612345678")
    assert not preferences.stopped(ctx, "+212612345678")
    ctx.db.commit()
