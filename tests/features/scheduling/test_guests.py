"""Visitors without account become patients: by a code, once, and nobody else's record is opened by it."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.security import accounts
from fhir_server.storage import accounts as account_rows
from fhir_server.storage import guests as guest_rows
from tests.client import Client
from tests.features.scheduling.clinic_day import Practice, detail, in_days
from tests.features.scheduling.visitor import (
    Visitor,
    code_for,
    enter,
    fresh,
    holding,
    mails,
    mobile,
    out,
    parameters,
    sql,
    texts,
)

if TYPE_CHECKING:
    from tests.conftest import TestTenant


@pytest.fixture
def visitor(tenant: "TestTenant") -> Visitor:
    """A new browser."""
    return Visitor(tenant)


@pytest.fixture
def times(client: Client) -> Practice:
    """A practice with a whole free day."""
    return Practice(client)


# -- booking -----------------------------------------------------------------------------------------------------------


def test_a_new_patient_books(tenant: "TestTenant", client: Client, visitor: Visitor, times: Practice) -> None:
    held, email = holding(visitor, times), fresh()
    said = out(visitor.register(email=f" {email.upper()} ", gender="female"))
    assert (said["channel"], said["sent-to"]) == ("email", f"{email[0]}•••@mail.example")
    done = out(visitor.prove(code_for(tenant, email), held["id"], comment="Mal au dos"))
    assert done["account"] == "new"
    booked = done["appointment"]
    assert (booked["id"], booked["status"], booked["comment"]) == (held["id"], "booked", "Mal au dos")
    patient = client.get(done["patient"]["reference"]).json
    assert patient["meta"]["tag"] == [{"system": "urn:salam:CodeSystem:registration", "code": "self-registered"}]
    assert (patient["active"], patient["birthDate"], patient["gender"]) == (True, "1990-02-03", "female")
    assert patient["telecom"][0]["value"] == email
    assert done["patient"]["reference"] in [each["actor"]["reference"] for each in booked["participant"]]
    agreed = client.search(f"Provenance?target={done['patient']['reference']}")
    assert agreed[0]["policy"] == ["urn:salam:policy:terms"]
    db, _ = enter(tenant)
    account = account_rows.by_email(db, tenant.id, email)
    db.commit()
    assert account is not None and accounts.by_code_alone(account)
    assert (account.role, account.fhir_user, account.phone) == ("patient", done["patient"]["reference"], "")


@pytest.mark.parametrize("typed", ["06 12 34 56 7{}", "+212 6 12-34-56-7{}", "00212 612 34 56 7{}", "٠٦١٢٣٤٥٦٧{}"])
def test_a_number_is_one_number(typed: str) -> None:
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import operator
    from tests.conftest import TestTenant

    slug = f"maroc-{secrets.token_hex(4)}"
    row = operator.create_tenant(session(), slug, slug, {"notifications": {"phone_region": "MA"}})
    tenant = TestTenant(row["id"], slug)
    answer = Visitor(tenant).register(phone=typed.format("8"))
    assert answer.status == 200, answer.text
    assert texts(tenant)[-1].address == "+212612345678"


def test_by_telephone(tenant: "TestTenant", visitor: Visitor, times: Practice) -> None:
    held, number = holding(visitor, times), mobile()
    said = out(visitor.register(phone=number))
    assert (said["channel"], said["sent-to"]) == ("sms", f"+212 •••• {number[-2:]}")
    assert len(texts(tenant)[-1].text) <= 160
    done = out(visitor.prove(code_for(tenant, number), held["id"]))
    db, _ = enter(tenant)
    account = account_rows.by_phone(db, tenant.id, number)
    db.commit()
    assert account is not None and (account.email, account.phone) == ("", number)
    assert done["appointment"]["status"] == "booked"


def test_the_same_code_twice_books_once(tenant: "TestTenant", client: Client, visitor: Visitor, times: Practice) -> None:
    held, email = holding(visitor, times), fresh()
    visitor.register(email=email)
    code = code_for(tenant, email)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: visitor.prove(code, held["id"]), range(4)))
    found = [out(answer) for answer in answers]
    assert {each["appointment"]["id"] for each in found} == {held["id"]}
    assert len({each["patient"]["reference"] for each in found}) == 1
    assert [each["account"] for each in found].count("new") == 1
    assert len(client.search(f"Patient?email={email}")) == 1


def test_two_browsers_prove_one_new_address(tenant: "TestTenant", client: Client, times: Practice) -> None:
    email, both = fresh(), (Visitor(tenant), Visitor(tenant))
    held = [holding(each, times, days) for days, each in enumerate(both, 4)]
    codes = []
    for each in both:
        each.register(email=email)
        codes.append(code_for(tenant, email))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda n: both[n].prove(codes[n], held[n]["id"]), range(2)))
    found = [out(answer) for answer in answers]
    assert sorted(each["account"] for each in found) == ["known", "new"]
    # The same person by name and birthday: one record, two visits.
    assert len({each["patient"]["reference"] for each in found}) == 1


def test_two_browsers_prove_the_address_of_an_account(tenant: "TestTenant", client: Client) -> None:
    email, first = fresh(), Visitor(tenant)
    first.register(email=email)
    out(first.prove(code_for(tenant, email)))
    both, codes = (Visitor(tenant), Visitor(tenant)), []
    for each in both:
        each.register(email=email, given="Yanis", birthDate="2019-05-06")
        codes.append(code_for(tenant, email))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda n: out(both[n].prove(codes[n])), range(2)))
    assert answers[0]["patient"] == answers[1]["patient"]
    assert len(client.search(f"Patient?email={email}")) == 2


def test_a_family_shares_an_address(tenant: "TestTenant", client: Client) -> None:
    number = mobile()
    first, second = Visitor(tenant), Visitor(tenant)
    first.register(phone=number)
    mine = out(first.prove(code_for(tenant, number)))
    second.register(phone=number, given="Yanis", birthDate="2019-05-06")
    child = out(second.prove(code_for(tenant, number)))
    assert (child["account"], child["patient"] != mine["patient"]) == ("known", True)
    db, _ = enter(tenant)
    account = account_rows.by_phone(db, tenant.id, number)
    db.commit()
    assert account is not None
    assert [f"Patient/{id_}" for id_ in account.patients] == [mine["patient"]["reference"], child["patient"]["reference"]]


def test_a_record_of_the_clinic_is_not_opened_by_its_number(tenant: "TestTenant", client: Client) -> None:
    number, visitor = mobile(), Visitor(tenant)
    theirs = client.create(
        {"resourceType": "Patient", "name": [{"family": "Alami", "given": ["Sara"]}], "birthDate": "1990-02-03",
         "telecom": [{"system": "phone", "value": number}]}
    )  # fmt: skip
    visitor.register(phone=number)
    done = out(visitor.prove(code_for(tenant, number)))
    assert done["patient"]["reference"] != f"Patient/{theirs['id']}"


@pytest.mark.parametrize(
    ("role", "status", "given"),
    [("practitioner", "active", {}), ("receptionist", "active", {}), ("patient", "disabled", {"patients": ("p1",)})],
)
def test_a_code_opens_no_account_of_staff(
    tenant: "TestTenant", visitor: Visitor, times: Practice, role: str, status: str, given: dict[str, Any]
) -> None:
    email = fresh()
    db, _ = enter(tenant)
    made = accounts.create(db, tenant.id, email=email, role=role, password="rivage-lampe-ortie-42", **given)
    if status == "disabled":
        accounts.disable(db, tenant.id, made)
    db.commit()
    held = holding(visitor, times)
    visitor.register(email=email)
    done = out(visitor.prove(code_for(tenant, email), held["id"]))
    assert (done["account"], "ticket" in done, done["appointment"]["status"]) == ("none", False, "booked")
    assert sql(tenant, "SELECT patients FROM user_account WHERE tenant_id = $1 AND user_id = $2", made.id) != []
    # No ticket fits, not even none.
    db, _ = enter(tenant)
    assert guest_rows.use_ticket(db, tenant.id, visitor.id, sha256(b"").digest()) == ""
    db.commit()


def test_what_has_a_password_is_booked_for_and_not_signed_in(tenant: "TestTenant", client: Client, times: Practice) -> None:
    email, visitor = fresh(), Visitor(tenant)
    mine = client.create(
        {"resourceType": "Patient", "name": [{"family": "ALAMI", "given": ["sara"]}], "birthDate": "1990-02-03"}
    )
    db, _ = enter(tenant)
    accounts.create(db, tenant.id, email=email, role="patient", password="rivage-lampe-ortie-42",
                    fhir_user=f"Patient/{mine['id']}")  # fmt: skip
    db.commit()
    held = holding(visitor, times)
    visitor.register(email=email)
    done = out(visitor.prove(code_for(tenant, email), held["id"]))
    assert (done["account"], "ticket" in done) == ("known", False)
    assert done["patient"]["reference"] == f"Patient/{mine['id']}"


def test_a_taken_time_leaves_the_code_good(tenant: "TestTenant", client: Client, times: Practice) -> None:
    visitor, email = Visitor(tenant), fresh()
    proposal = times.proposal(in_days(3), visitor.client)
    visitor.register(email=email)
    times.booked(times.patient(), in_days(3))
    code = code_for(tenant, email)
    answer = visitor.prove(code, proposal["id"])
    assert (answer.status, detail(answer)) == (409, "slot-taken")
    assert answer.json["contained"][0]["status"] == "proposed"
    assert client.search(f"Patient?email={email}") == []
    assert out(visitor.prove(code))["account"] == "new"
    other = answer.json["contained"][0]["id"]
    again = out(visitor.prove(code, other))
    assert (again["account"], again["appointment"]["status"]) == ("known", "booked")
    assert len(client.search(f"Patient?email={email}")) == 1


# -- codes -------------------------------------------------------------------------------------------------------------


def test_five_wrong_codes_are_the_end(tenant: "TestTenant", visitor: Visitor) -> None:
    email = fresh()
    visitor.register(email=email)
    right = code_for(tenant, email)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    assert [detail(visitor.prove(wrong)) for _ in range(5)] == ["code-wrong"] * 5
    answer = visitor.prove(right)
    assert (answer.status, detail(answer)) == (422, "code-over")


def test_a_code_is_for_who_asked(tenant: "TestTenant", new_tenant: Any, visitor: Visitor) -> None:
    email = fresh()
    visitor.register(email=email)
    code = code_for(tenant, email)
    assert detail(Visitor(tenant).prove(code)) == "code-over"
    foreign = Visitor(new_tenant(), holder=visitor.holder)
    assert detail(foreign.prove(code)) == "code-over"
    other = Visitor(tenant)
    other.register(email=fresh())
    assert detail(other.prove(code)) in ("code-wrong",)
    # A new code ends the old one.
    visitor.register(email=email)
    newer = code_for(tenant, email)
    if newer != code:
        assert detail(visitor.prove(code)) == "code-wrong"
    assert out(visitor.prove(newer))["account"] == "new"


def test_a_code_ends(tenant: "TestTenant", visitor: Visitor) -> None:
    email = fresh()
    visitor.register(email=email)
    sql(tenant, "UPDATE guest_proof SET expires_at = now() WHERE tenant_id = $1 AND guest_id = $2", visitor.id)
    assert detail(visitor.prove(code_for(tenant, email))) == "code-over"


def test_whether_an_address_is_known_shows_nowhere(tenant: "TestTenant") -> None:
    known, unknown = fresh(), fresh()
    db, _ = enter(tenant)
    accounts.create(db, tenant.id, email=known, role="nurse", password="rivage-lampe-ortie-42")
    db.commit()
    answers = [Visitor(tenant).register(email=each) for each in (known, unknown)]
    shown = [{name: value for name, value in out(answer).items() if name != "expires"} for answer in answers]
    assert shown[0] == shown[1]
    assert [each.to for each in mails(tenant)[-2:]] == [known, unknown]


@pytest.mark.usefixtures("one_window")
def test_codes_to_one_address_are_few(tenant: "TestTenant") -> None:
    email = fresh()
    answers = [Visitor(tenant).register(email=email) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]


def test_what_is_wrong_is_said_at_its_field(visitor: Visitor) -> None:
    answer = visitor.register(given=" ", family="7", birthDate="1990-13-40", phone="+212 5 37 00 00 00", consent=False)
    assert answer.status == 400
    assert [each["expression"] for each in answer.issues] == [
        ["http.given"], ["http.family"], ["http.birthDate"], ["http.phone"], ["http.consent"]
    ]  # fmt: skip
    for more in ({"email": "x"}, {"email": "a@b"}, {"phone": "12"}, {"phone": "abc"}, {"phone": "06", "email": "a@b.ma"}):
        assert visitor.register(**more).status == 400, more
    assert visitor.register(birthDate="2199-01-01").status == 400
    assert visitor.register(birthDate="1790-01-01").status == 400
    assert visitor.register(family="x" * 101).status == 400
    assert visitor.register(email=f"{'x' * 60}@{'y' * 250}.ma").status == 400


def test_a_new_code_without_saying_it_all_again(tenant: "TestTenant", visitor: Visitor) -> None:
    email = fresh()
    visitor.register(email=email, comment="Tard le soir")
    again = visitor.client.post("Patient/$register", parameters({"again": True}))
    assert out(again)["channel"] == "email"
    assert [each.to for each in mails(tenant)[-2:]] == [email, email]
    assert out(visitor.prove(code_for(tenant, email)))["account"] == "new"
    assert detail(visitor.client.post("Patient/$register", parameters({"again": True}))) == "code-over"
    assert detail(Visitor(tenant).client.post("Patient/$register", parameters({"again": True}))) == "code-over"


def test_only_guests_register(tenant: "TestTenant", client: Client, visitor: Visitor) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueString": "000000"}]}
    assert client.post("Patient/$prove", body).status == 403
    assert visitor.looking.post("Patient/$prove", body).status == 403


def test_a_crash_in_the_middle_leaves_nothing(
    tenant: "TestTenant", client: Client, visitor: Visitor, times: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, email = holding(visitor, times), fresh()
    visitor.register(email=email)
    code = code_for(tenant, email)
    with monkeypatch.context() as patch:
        patch.setattr(guest_rows, "proved", lambda *_: ("SELECT 1 / 0", ()))
        assert visitor.prove(code, held["id"]).status == 500
    assert client.search(f"Patient?email={email}") == []
    assert client.get(f"Appointment/{held['id']}").json["status"] == "pending"
    assert sql(tenant, "SELECT 1 FROM user_account WHERE tenant_id = $1 AND email = $2", email) == []
    assert out(visitor.prove(code, held["id"]))["appointment"]["status"] == "booked"
