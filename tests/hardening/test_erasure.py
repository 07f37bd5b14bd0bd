"""Erasing a patient's record, and how long it must be kept (security-reliability.md 4.6, 4.7.5)."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.core.errors import FhirError
from fhir_server.interactions import retention
from fhir_server.rest.dispatch import session
from fhir_server.security import key_ring, sealing, shred_list
from fhir_server.settings import settings
from fhir_server.storage import operator
from tests.client import Client
from tests.conftest import TestTenant

NewTenant = Callable[[], TestTenant]
CANARY = "zz-canary-4471"


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path) -> Iterator[None]:
    """A shred list and a key ring of the test's own."""
    before = settings.secret_key_file
    (tmp_path / "secret.key").write_bytes(settings.secret_key())
    settings.secret_key_file = str(tmp_path / "secret.key")
    yield
    settings.secret_key_file = before


def call(*arguments: object, fails: str = "") -> Any:
    """Run a command of the operator."""
    result = CliRunner().invoke(commands, [*map(str, arguments), "--json"], standalone_mode=False)
    if fails:
        assert isinstance(result.exception, FhirError), result.output
        assert fails in str(result.exception)
        return None
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


@pytest.fixture
def place(new_tenant: NewTenant) -> tuple[Client, TestTenant]:
    """A tenant with the record of patient p (with history), that of q, and what both share."""
    tenant = new_tenant()
    client = tenant.client()
    for id_ in ("p", "q"):
        patient = {"resourceType": "Patient", "id": id_, "birthDate": "1950-02-28", "name": [{"family": CANARY + id_}]}
        assert client.put(f"Patient/{id_}", patient).status == 201
        assert client.put(f"Patient/{id_}", {**patient, "active": True}).status == 200
        for n in range(3):
            assert client.put(f"Observation/o{id_}{n}", observation(id_, f"o{id_}{n}")).status == 201
        assert client.put(f"Observation/o{id_}0", {**observation(id_, f"o{id_}0"), "status": "amended"}).status == 200
        assert client.delete(f"Observation/o{id_}1").status == 204
        assert client.put(f"Encounter/e{id_}", {"resourceType": "Encounter", "id": f"e{id_}", "status": "finished",
            "class": {"code": "AMB"}, "subject": {"reference": f"Patient/{id_}"},
            "period": {"start": "1990-01-01", "end": "1990-01-02"}}).status == 201  # fmt: skip
    both = [{"entity": {"reference": "Patient/p"}}, {"entity": {"reference": "Patient/q"}}]
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": both}
    assert client.put("Group/g", group).status == 201
    # It was filed under the wrong patient first.
    assert client.put("Observation/moved", observation("p", "moved", note=CANARY + "p")).status == 201
    assert client.put("Observation/moved", observation("q", "moved")).status == 200
    return client, tenant


def observation(patient: str, id_: str, note: str = "") -> dict[str, Any]:
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": {"text": note or CANARY + patient},
            "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": "1990-01-01"}  # fmt: skip


def rows(tenant: TestTenant, needle: str) -> int:
    """In how many rows of all tables of the tenant the text stands."""
    found = 0
    with psycopg.connect(settings.owner_conninfo()) as db:
        db.execute(f"SET app.tenant = '{tenant.id}'")
        tables = db.execute("SELECT table_name FROM information_schema.columns WHERE table_schema = 'public'"
                            " AND column_name = 'tenant_id' AND table_name <> 'tenant'").fetchall()  # fmt: skip
        for (table,) in tables:
            sql = f"SELECT count(*) FROM {table} t WHERE tenant_id = %s AND t::text ILIKE %s"
            found += (db.execute(sql, [tenant.id, f"%{needle}%"]).fetchone() or (0,))[0]
    return found


def erase(tenant: TestTenant, patient: str = "p") -> Any:
    made = call("erase", "propose", "--tenant", tenant.slug, "--patient", patient, "--reason", "asked for", "--by", "Amina")
    return call("erase", "approve", "--tenant", tenant.slug, made["erasure"], "--by", "Binta")


# sec-44
def test_the_record_is_gone_from_every_table(place: tuple[Client, TestTenant]) -> None:
    client, tenant = place
    assert rows(tenant, CANARY + "p") >= 6
    before = rows(tenant, CANARY + "q")
    made = call("erase", "propose", "--tenant", tenant.slug, "--patient", "p", "--reason", "asked for", "--by", "Amina")
    assert made["resources"] == {"Encounter": 1, "Observation": 3, "Patient": 1}
    assert made["shared"] == ["Group/g"]
    assert client.get("Patient/p").status == 200, "a proposal does nothing"
    done = call("erase", "approve", "--tenant", tenant.slug, made["erasure"], "--by", "Binta")
    assert (done["status"], done["deleted"], done["past_versions"]) == ("done", 5, 1)
    assert done["shared"] == ["Group/g"]
    assert rows(tenant, CANARY + "p") == 0
    assert rows(tenant, CANARY + "q") == before
    for path in ("Patient/p", "Patient/p/_history/1", "Observation/op0", "Observation/op1", "Observation/op0/_history/1",
                 "Observation/moved/_history/1", "Encounter/ep"):  # fmt: skip
        assert client.get(path).status == 404, path
    assert client.get("Observation/moved").json["subject"]["reference"] == "Patient/q"


def test_everything_else_goes_on(place: tuple[Client, TestTenant]) -> None:
    client, tenant = place
    erase(tenant)
    assert sorted(r["id"] for r in client.search("Patient")) == ["q"]
    assert sorted(r["id"] for r in client.search("Observation?subject=Patient/q")) == ["moved", "oq0", "oq2"]
    assert client.search("Observation?subject=Patient/p") == []
    assert client.search(f"Patient?name={CANARY}p") == []
    assert client.get("Patient/q/$everything").status == 200
    # Histories page through without gaps or ends too early.
    listed: list[str] = []
    url: str | None = "_history?_count=2"
    while url:
        page = client.get(url).json
        listed += [entry["fullUrl"] for entry in page.get("entry", [])]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert len(listed) == 12 - 2
    assert not any(name in url for url in listed for name in ("Patient/p", "Observation/op", "Encounter/ep"))
    assert client.put("Patient/p", {"resourceType": "Patient", "id": "p"}).status == 201, "the id is free again"


def test_the_index_is_whole_afterwards(place: tuple[Client, TestTenant]) -> None:
    _, tenant = place
    erase(tenant)
    repaired = call("reindex", "--tenant", tenant.slug)
    assert (repaired["repaired"], repaired["rows_of_nothing"]) == (0, 0)


def test_two_people_are_needed(place: tuple[Client, TestTenant]) -> None:
    client, tenant = place
    at = ("--tenant", tenant.slug)
    made = call("erase", "propose", *at, "--patient", "p", "--reason", "r", "--by", "Amina")["erasure"]
    call("erase", "approve", *at, made, "--by", " amina ", fails="Somebody else")
    call("erase", "approve", *at, "nonsense", "--by", "Binta", fails="no erasure")
    call("erase", "propose", *at, "--patient", "p", "--reason", "r", "--by", "Binta", fails="proposed already")
    call("erase", "propose", *at, "--patient", "nobody", "--reason", "r", "--by", "Amina", fails="no Patient")
    call("erase", "propose", *at, "--patient", "q", "--reason", " ", "--by", "Amina", fails="reason")
    assert client.get("Patient/p").status == 200
    call("erase", "approve", *at, made, "--by", "Binta")
    call("erase", "approve", *at, made, "--by", "Binta", fails="done")


def test_a_hold_stops_it(place: tuple[Client, TestTenant]) -> None:
    client, tenant = place
    at = ("--tenant", tenant.slug)
    made = call("erase", "propose", *at, "--patient", "p", "--reason", "r", "--by", "Amina")["erasure"]
    held = call("erase", "hold", *at, "--patient", "p", "--reason", "case 12", "--by", "Court")["erasure"]
    call("erase", "approve", *at, made, "--by", "Binta", fails="rejected")
    call("erase", "propose", *at, "--patient", "p", "--reason", "r", "--by", "Amina", fails="hold")
    assert [row["status"] for row in call("erase", "list", *at)] == ["rejected", "held"]
    call("erase", "release", *at, held, "--by", "Court")
    erase(tenant)
    assert client.get("Patient/p").status == 404


# sec-55
def test_a_recent_record_is_kept_unless_the_law_says_otherwise(place: tuple[Client, TestTenant]) -> None:
    client, tenant = place
    at = ("--tenant", tenant.slug, "--patient", "p", "--reason", "asked for", "--by", "Amina")
    client.put("Observation/new", {**observation("p", "new"), "effectiveDateTime": "2020-05-05"})
    call("erase", "propose", *at, fails="must be kept until 2040-05-05")
    made = call("erase", "propose", *at, "--despite-retention", "court order 7/2026")
    (row,) = call("erase", "list", "--tenant", tenant.slug)
    assert row["reason"] == "asked for [before 2040-05-05: court order 7/2026]"
    call("erase", "approve", "--tenant", tenant.slug, made["erasure"], "--by", "Binta")
    assert client.get("Patient/p").status == 404


# sec-44: the backup was taken before the erasure.
def test_a_restored_backup_is_erased_again(place: tuple[Client, TestTenant]) -> None:
    client, tenant = place
    erase(tenant)
    with psycopg.connect(settings.owner_conninfo()) as db:
        db.execute(f"SET app.tenant = '{tenant.id}'")
        db.execute("DELETE FROM erasure WHERE tenant_id = %s", [tenant.id])
    client.put("Patient/p", {"resourceType": "Patient", "id": "p", "name": [{"family": CANARY + "p"}]})
    client.put("Observation/op0", observation("p", "op0"))
    done = call("erase", "replay", "--tenant", tenant.slug)
    assert (done["erasures"], done["deleted"]) == (1, 2)
    assert rows(tenant, CANARY + "p") == 0
    assert client.get("Patient/q").status == 200
    assert [row["status"] for row in call("erase", "list", "--tenant", tenant.slug)] == ["done"]
    assert call("erase", "replay", "--tenant", tenant.slug)["deleted"] == 0


def test_an_interrupted_erasure_goes_on(place: tuple[Client, TestTenant], monkeypatch: pytest.MonkeyPatch) -> None:
    from fhir_server.storage import erasures

    client, tenant = place
    at = ("--tenant", tenant.slug)
    made = call("erase", "propose", *at, "--patient", "p", "--reason", "r", "--by", "Amina")["erasure"]
    whole, calls = erasures.delete, []

    def dies(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        whole(*arguments)

    monkeypatch.setattr(erasures, "delete", dies)
    with pytest.raises(BaseException):  # noqa: B017
        call("erase", "approve", *at, made, "--by", "Binta")
    monkeypatch.undo()
    assert client.get("Patient/p").status == 200
    assert client.get("Observation/op0").status == 404
    call("erase", "approve", *at, made, "--by", "Chloé", fails="Binta approved it already")
    assert call("erase", "approve", *at, made, "--by", "Binta")["status"] == "done"
    assert rows(tenant, CANARY + "p") == 0


def test_the_lists_name_nobody(place: tuple[Client, TestTenant]) -> None:
    _, tenant = place
    erase(tenant)
    text = Path(shred_list.path()).read_text()
    assert Path(shred_list.path()).stat().st_mode & 0o777 == 0o600
    assert tenant.slug in text
    assert "Patient/p" not in text and '"p"' not in text
    assert rows(tenant, "Patient/p") == 1, "only the group, which the other patient shares"


def test_other_tenants_are_left_alone(place: tuple[Client, TestTenant], new_tenant: NewTenant) -> None:
    _, tenant = place
    other = new_tenant().client()
    other.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    erase(tenant)
    assert other.get("Patient/p").status == 200


# -- retention ---------------------------------------------------------------------------------------------------------

D = date
CASES = [
    # country, own years, born, died, last seen, earliest
    ("fr", None, D(1950, 1, 1), None, D(2000, 6, 1), D(2020, 6, 1)),
    ("fr", None, D(2000, 1, 1), None, D(2001, 6, 1), D(2028, 1, 1)),
    ("fr", None, D(1950, 1, 1), D(2005, 3, 3), D(2000, 6, 1), D(2015, 3, 3)),
    ("fr", None, D(1950, 1, 1), D(2015, 3, 3), D(2000, 6, 1), D(2020, 6, 1)),
    ("fr", 5, D(1950, 1, 1), None, D(2000, 6, 1), D(2020, 6, 1)),
    ("fr", 30, D(1950, 1, 1), None, D(2000, 6, 1), D(2030, 6, 1)),
    ("za", None, D(1950, 1, 1), None, D(2000, 6, 1), D(2006, 6, 1)),
    ("za", None, D(2000, 2, 29), None, D(2001, 1, 1), D(2021, 3, 1)),
    ("ma", None, D(1950, 1, 1), None, D(2000, 6, 1), D(2020, 6, 1)),
    ("ma", 10, D(1950, 1, 1), None, D(2000, 6, 1), D(2010, 6, 1)),
    ("", None, D(1950, 1, 1), None, D(2000, 6, 1), D(2020, 6, 1)),
    ("xx", None, None, None, D(2000, 6, 1), D(2028, 6, 1)),
]


# sec-55
@pytest.mark.parametrize(("country", "years", "born", "died", "seen", "earliest"), CASES)
def test_the_earliest_day(
    country: str, years: int | None, born: date | None, died: date | None, seen: date, earliest: date
) -> None:
    verdict = retention.judge(country, years, born=born, died=died, last_seen=seen)
    assert verdict.earliest == earliest
    assert not verdict.allows(D.fromordinal(earliest.toordinal() - 1))
    assert verdict.allows(earliest)


def test_every_rule_says_how_certain_it_is() -> None:
    assert {"default", "fr", "ma", "sn", "us", "za"} <= set(retention.packs())
    for pack in retention.packs().values():
        rule = pack["record"]
        assert rule["certainty"] in ("statute", "guidance", "unknown")
        assert rule["source"]
        assert rule["years"] >= 6


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("1990-05-06", D(1990, 5, 6), D(1990, 5, 6)), ("1990-02", D(1990, 2, 1), D(1990, 2, 28)),
     ("1992", D(1992, 1, 1), D(1992, 12, 31)), ("1990-05-06T10:00:00Z", D(1990, 5, 6), D(1990, 5, 6)),
     ("", None, None), ("x", None, None), (None, None, None), (5, None, None), ("1990-13", None, None)],
)  # fmt: skip
def test_days_of_dates(text: object, first: date | None, last: date | None) -> None:
    assert (retention.day_of(text, last=False), retention.day_of(text, last=True)) == (first, last)


# -- keys --------------------------------------------------------------------------------------------------------------


def sealed_for(tenant: TestTenant) -> bytes:
    db = session()
    db.enter(tenant.id, None, 1)
    return sealing.seal(db, tenant.id, b"secret", "test")


def opened(tenant: TestTenant, sealed: bytes) -> bytes:
    sealing.forget(tenant.id)
    db = session()
    db.enter(tenant.id, None, 1)
    return sealing.unseal(db, tenant.id, sealed, "test")


# sec-43
def test_keys_are_rotated_by_command(new_tenant: NewTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = new_tenant()
    # Of the tenants that there are, this one: the others' keys would be wrapped by one that ends with this test.
    every = operator.list_tenants
    monkeypatch.setattr(operator, "list_tenants", lambda db: [row for row in every(db) if row["slug"] == tenant.slug])
    sealed = sealed_for(tenant)
    assert call("keys", "rotate", "--tenant", tenant.slug)["key"] == 2
    done = call("keys", "rotate")
    assert done["rewrapped"] >= 2
    assert done["key"] in key_ring.names()
    rows = call("keys", "list", "--tenant", tenant.slug)
    assert [(row["key"], row["status"], row["wrapped_by"]) for row in rows] == [
        (1, "retired", done["key"]), (2, "current", done["key"])]  # fmt: skip
    assert opened(tenant, sealed) == b"secret"


# sec-44
def test_a_tenants_keys_are_destroyed_by_command(new_tenant: NewTenant) -> None:
    tenant = new_tenant()
    sealed, client = sealed_for(tenant), tenant.client()
    result = CliRunner().invoke(commands, ["keys", "destroy", "--tenant", tenant.slug, "--confirm", "other"])
    assert result.exit_code != 0
    assert opened(tenant, sealed) == b"secret"
    assert call("keys", "destroy", "--tenant", tenant.slug, "--confirm", tenant.slug)["destroyed"] == 1
    assert client.get("Patient").status == 404
    call("tenant", "resume", tenant.slug)
    with pytest.raises(sealing.Unsealable):
        opened(tenant, sealed)
    # A backup brings the wrapped key back; the list outside of the database takes it away again.
    with psycopg.connect(settings.owner_conninfo()) as db:
        db.execute(f"SET app.tenant = '{tenant.id}'")
        db.execute("UPDATE data_key SET destroyed_at = NULL, wrapped = '\\x00' WHERE tenant_id = %s", [tenant.id])
    assert call("erase", "replay", "--tenant", tenant.slug)["keys"] == 1


def test_what_features_know_of_the_person_goes_too(place: tuple[Client, TestTenant]) -> None:
    client, tenant = place
    parameters = [{"name": "channel", "valueCode": "sms"}, {"name": "wanted", "valueBoolean": False}]
    wish = {"resourceType": "Parameters", "parameter": parameters}
    for patient in "pq":
        assert client.post(f"Patient/{patient}/$set-message-preferences", wish).status == 200
    booked = {
        "resourceType": "Appointment", "status": "booked", "start": "1990-03-01T09:00:00Z", "end": "1990-03-01T09:30:00Z",
        "participant": [{"actor": {"reference": name}, "status": "accepted"} for name in ("Patient/p", "Practitioner/d")],
    }  # fmt: skip
    assert client.put("Practitioner/d", {"resourceType": "Practitioner", "id": "d"}).status == 201
    calendar = {"resourceType": "Schedule", "active": True, "actor": [{"reference": "Practitioner/d"}]}
    assert client.post("Schedule", calendar).status == 201
    assert client.post("Appointment", booked).status == 201
    erase(tenant)
    with psycopg.connect(settings.app_conninfo()) as db:
        db.execute(f"SET LOCAL app.tenant = '{tenant.id}'")
        assert db.execute("SELECT count(*) FROM message_preference").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM slot_claim").fetchone() == (0,)
