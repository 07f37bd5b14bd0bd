"""fhir-server user …, and the accounts of the demo."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli.user import user
from fhir_server.demo.accounts import demo_accounts
from tests.signin.conftest import PASSWORD, Clinic


def _run(clinic: Clinic, *arguments: str, stdin: str = "") -> Any:
    result = CliRunner().invoke(user, [arguments[0], "--tenant", clinic.tenant.slug, *arguments[1:], "--json"], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def _database_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    import fhir_server.cli.user as module

    monkeypatch.setattr(module, "database", nullcontext)


def test_create_list_disable_enable(clinic: Clinic) -> None:
    made = _run(clinic, "create", "--email", "Doc@clinic.example", "--password", PASSWORD, "--role", "practitioner", "--resource", "Practitioner/p1", "--name", "Doc")
    assert made["email"] == "doc@clinic.example" and made["fhirUser"] == "Practitioner/p1" and made["status"] == "active"
    browser = clinic.browser()
    assert browser.sign_in("doc@clinic.example").status == 303
    assert [row["email"] for row in _run(clinic, "list")] == ["doc@clinic.example"]
    assert _run(clinic, "disable", "doc@clinic.example")["status"] == "disabled"
    assert browser.get("account").status == 303 and clinic.browser().sign_in("doc@clinic.example").status == 403
    assert _run(clinic, "enable", "--email", "doc@clinic.example")["status"] == "active"
    assert clinic.browser().sign_in("doc@clinic.example").status == 303


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--role", "wizard"], "no role"),
        (["--role", "patient", "--resource", "Practitioner/1"], "Patient/ID"),
        (["--role", "practitioner", "--resource", "Patient/1"], "Practitioner/ID"),
        (["--role", "operator", "--resource", "Practitioner/1"], "no resource"),
        (["--role", "patient"], "needs a patient"),
        (["--role", "proxy", "--resource", "RelatedPerson/none"], "needs a patient"),
        (["--role", "nurse", "--patient", "p1"], "not bound"),
        (["--role", "proxy", "--patient", "../x"], "id of the Patient"),
        (["--role", "nurse", "--password", "short"], "8 to 256"),
    ],
)
def test_create_refuses(clinic: Clinic, arguments: list[str], words: str) -> None:
    given = arguments if "--password" in arguments else [*arguments, "--password", PASSWORD]
    error = _run(clinic, "create", "--email", "refused@clinic.example", *given)
    assert words in str(error)
    assert not clinic.sql("SELECT 1 FROM user_account WHERE tenant_id = $1 AND email = 'refused@clinic.example'")


def test_addresses_are_taken_once(clinic: Clinic) -> None:
    _run(clinic, "create", "--email", "once@clinic.example", "--password", PASSWORD, "--role", "nurse")
    assert "already" in str(_run(clinic, "create", "--email", "ONCE@clinic.example", "--password", PASSWORD, "--role", "nurse"))
    assert "no e-mail" in str(_run(clinic, "create", "--email", "not an address", "--password", PASSWORD, "--role", "nurse"))
    assert "no account" in str(_run(clinic, "disable", "nobody@clinic.example"))


def test_patients_and_proxies_get_their_records(clinic: Clinic) -> None:
    made = _run(clinic, "create", "--email", "pat@clinic.example", "--password", PASSWORD, "--role", "patient", "--resource", "Patient/pat-1")
    assert made["patients"] == ["pat-1"]
    made = _run(clinic, "create", "--email", "mother@clinic.example", "--password", PASSWORD, "--role", "proxy", "--patient", "a", "--patient", "b")
    assert made["patients"] == ["a", "b"] and made["fhirUser"] is None


def test_a_proxys_patient_stands_in_the_related_person(clinic: Clinic) -> None:
    client = clinic.tenant.client()
    patient = client.create({"resourceType": "Patient"})
    related = client.create({"resourceType": "RelatedPerson", "patient": {"reference": f"Patient/{patient['id']}"}})
    made = _run(clinic, "create", "--email", "aunt@clinic.example", "--password", PASSWORD, "--role", "proxy", "--resource", f"RelatedPerson/{related['id']}")
    assert made["patients"] == [patient["id"]]


def test_change_of_role_ends_what_was_granted(clinic: Clinic) -> None:  # smart-117
    _run(clinic, "create", "--email", "riser@clinic.example", "--password", PASSWORD, "--role", "nurse")
    grant = clinic.app(clinic.account("riser"))
    assert _run(clinic, "change", "riser@clinic.example", "--role", "practitioner")["role"] == "practitioner"
    assert not clinic.live(grant)


def test_invite_and_reset(clinic: Clinic) -> None:
    made = _run(clinic, "invite", "--email", "guest@clinic.example", "--role", "nurse", "--language", "ar")
    assert made["status"] == "invited" and made["invitation"] in clinic.mails("guest@clinic.example")[-1]
    again = _run(clinic, "invite", "guest@clinic.example")
    assert again["invitation"] != made["invitation"]
    browser = clinic.browser()
    token = again["invitation"].partition("token=")[2]
    page = browser.get(f"invitation?token={token}")
    browser.submit(page.forms[0], name="Guest", password=PASSWORD)
    assert "has a password already" in str(_run(clinic, "invite", "guest@clinic.example"))
    reset = _run(clinic, "reset", "guest@clinic.example", "--factors")
    assert reset["status"] == "invited" and browser.get("account").status == 303
    assert clinic.browser().sign_in("guest@clinic.example").status == 403
    assert _run(clinic, "reset", "guest@clinic.example", "--password", "-", stdin="citron-tortue-nuage\n")["status"] == "active"
    assert clinic.browser().sign_in("guest@clinic.example", "citron-tortue-nuage").status == 303


def test_the_text_output_and_a_weak_password(clinic: Clinic) -> None:
    result = CliRunner().invoke(user, ["create", "--tenant", clinic.tenant.slug, "--email", "s@clinic.example", "--password", "Xk9#mQ2$", "--role", "owner"])
    assert result.exit_code == 0 and "weak" in result.stderr and "s@clinic.example is a owner" in result.stdout


def test_the_demo_has_somebody_in_every_role(new_clinic: Clinic) -> None:
    for _ in range(2):
        db = new_clinic.enter()
        found = demo_accounts(db, new_clinic.tenant.id, "p1")
        db.commit()
    assert [row["role"] for row in found] == ["operator", "owner", "manager", "practitioner", "nurse", "receptionist", "billing", "patient", "proxy", "board", "kiosk"]
    assert len({row["password"] for row in found}) == len(found) and all(len(row["password"]) >= 20 for row in found)
    for row in found:
        assert new_clinic.browser().sign_in(row["email"], row["password"]).status == 303
