"""The patient picker and the encounter picker show what the person may open, and nothing else."""

import pytest

from fhir_server.authorization_server import picker
from tests.authorize.conftest import Clinic
from tests.authorize.surfer import Page, Surfer

ASKED = "launch/patient openid patient/Patient.rs"


def at_picker(clinic: Clinic, role: str = "practitioner", **changed: str | None) -> tuple[Surfer, Page]:
    """A browser that stands at the picker."""
    surfer = clinic.surfer(role)
    return surfer, surfer.go(clinic.url(**{"scope": ASKED, **changed}))


def find(surfer: Surfer, page: Page, text: str) -> Page:
    """The picker's answer to a line of text."""
    form = page.form("q")
    return surfer.go(form.action, [("csrf", dict(form.fields)["csrf"]), ("q", text)])


def found(page: Page) -> set[str]:
    """The ids that can be chosen."""
    return {value for form in page.forms for name, value in form.buttons if name == "patient"}


def pick(surfer: Surfer, page: Page, patient: str) -> Page:
    """Choose a patient, offered or not."""
    form = page.form("q")
    return surfer.go(form.action, [("csrf", dict(form.fields)["csrf"]), ("patient", patient)])


def test_nothing_is_shown_before_a_search(clinic: Clinic) -> None:
    # smart-156
    _, page = at_picker(clinic)
    assert not found(page) and "Amina" not in page.text


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Benali", {"amina", "omar"}), ("benali amina", {"amina"}), ("Amina BENALI", {"amina"}),
        ("1980-03-21", {"amina"}), ("21/03/1980", {"amina"}), ("Benali 1/7/2015", {"omar"}),
        ("0612345678", {"amina"}), ("06 12 34 56 78", {"amina"}), ("F-1003", {"zoe"}), ("Benali F-1003", set()),
        ("b", set()), ("", set()), ("%", set()), ("nobody at all", set()), ("Benali,Zidane", set()), ("*", set()),
        ("31/02/1980", set()), ("x" * 5000, set()),
    ],
)  # fmt: skip
def test_search_by_name_birth_phone_and_number(clinic: Clinic, text: str, who: set[str]) -> None:
    # smart-156
    surfer, page = at_picker(clinic)
    assert found(find(surfer, page, text)) == {clinic.patients[each] for each in who}


def test_search_by_id(clinic: Clinic) -> None:
    surfer, page = at_picker(clinic)
    assert found(find(surfer, page, clinic.patients["zoe"])) == {clinic.patients["zoe"]}


def test_chosen_patient_is_the_grants(clinic: Clinic) -> None:
    # smart-149, smart-156
    surfer, page = at_picker(clinic)
    page = surfer.press(find(surfer, page, "Zidane"), "patient", clinic.patients["zoe"])
    assert "Zoe Zidane" in page.text
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["context"]["patient"] == clinic.patients["zoe"]


def test_picker_comes_for_patient_scopes_without_launch_patient(clinic: Clinic) -> None:
    # smart-130
    _, page = at_picker(clinic, scope="openid patient/Observation.rs")
    assert 'name="q"' in page.text


def test_no_picker_without_need(clinic: Clinic) -> None:
    surfer, page = at_picker(clinic, scope="openid user/Patient.rs")
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert "patient" not in clinic.grant()["context"]


def test_missing_and_foreign_patients_are_refused(clinic: Clinic, other: Clinic) -> None:
    # smart-156: the choice is checked again when it is sent
    answers = []
    for each in (other.patients["amina"], "no-such-patient", "", "../Observation/1", "a b", "x" * 300):
        surfer, page = at_picker(clinic)
        answers.append(pick(surfer, page, each).answer)
    assert {answer["error"] for answer in answers} == {"access_denied"}
    assert len({answer["error_description"] for answer in answers}) == 1


def test_role_without_the_right_finds_nobody(clinic: Clinic) -> None:
    # smart-156
    clinic.person("operator")
    surfer = clinic.surfer("operator")
    page = surfer.go(clinic.url(scope="launch/patient openid"))
    assert found(find(surfer, page, "Benali")) == set()
    assert pick(surfer, page, clinic.patients["amina"]).answer["error"] == "access_denied"


def test_patient_gets_himself_without_being_asked(clinic: Clinic) -> None:
    # smart-156
    _, page = at_picker(clinic, "patient")
    assert "decision" in page.text and "Amina Benali" in page.text


def test_proxy_chooses_among_dependants_only(clinic: Clinic) -> None:
    # smart-156
    surfer, page = at_picker(clinic, "proxy")
    assert found(page) == {clinic.patients["omar"], clinic.patients["amina"]}
    assert 'name="q"' not in page.text
    token = dict(page.forms[0].fields)["csrf"]
    action = page.forms[0].action
    assert surfer.go(action, [("csrf", token), ("patient", clinic.patients["zoe"])]).answer["error"] == "access_denied"
    page = surfer.go(action, [("csrf", token), ("patient", clinic.patients["omar"])])
    assert "Omar Benali" in page.text


def test_search_is_audited(clinic: Clinic) -> None:
    # smart-156
    surfer, page = at_picker(clinic)
    before = clinic.rows("audit")
    find(surfer, page, "Benali")
    assert clinic.rows("audit") > before


def test_search_is_not_in_a_url(clinic: Clinic) -> None:
    # sec-T25
    surfer, page = at_picker(clinic)
    assert "Zidane" not in find(surfer, page, "Zidane").url


@pytest.mark.usefixtures("one_window")
def test_search_is_limited(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    # smart-244
    from fhir_server.security import throttle

    monkeypatch.setitem(throttle.KINDS, "picker", (throttle.Rule(2, 60),))
    clinic.person("nurse")
    surfer, page = at_picker(clinic, "nurse")
    answers = [find(surfer, page, f"Benali {number}") for number in range(4)]
    assert answers[-1].status == 429 and int(answers[-1].headers["Retry-After"]) > 0


def test_at_most_20_rows(clinic: Clinic) -> None:
    # smart-156
    fhir = clinic.tenant.client()
    for number in range(25):
        fhir.create({"resourceType": "Patient", "name": [{"family": "Idrissi", "given": [f"Nour{number}"]}]})
    surfer, page = at_picker(clinic)
    page = find(surfer, page, "Idrissi")
    assert len(found(page)) == picker.MOST and "Il y en a d’autres" in page.text


def test_cancelling_tells_the_app(clinic: Clinic) -> None:
    surfer, page = at_picker(clinic)
    assert surfer.press(page, "cancel").answer["error"] == "access_denied"


def test_encounter_of_the_patient_is_asked_for(clinic: Clinic) -> None:
    # smart-150
    fhir = clinic.tenant.client()
    made = {}
    for who in ("zoe", "omar"):
        subject = {"reference": f"Patient/{clinic.patients[who]}"}
        made[who] = fhir.create(
            {
                "resourceType": "Encounter", "status": "finished", "subject": subject, "class": {"code": "AMB"},
                "type": [{"text": "Contrôle"}], "period": {"start": "2026-01-05"},
            }
        )["id"]  # fmt: skip
    surfer, page = at_picker(clinic, scope="launch/encounter " + ASKED)
    page = pick(surfer, page, clinic.patients["zoe"])
    assert "5 janvier 2026" in page.text and "Contrôle" in page.text
    form = page.form("encounter")
    assert made["omar"] not in [value for _, value in form.buttons]
    refused = surfer.go(form.action, [*form.fields, ("encounter", made["omar"])])
    assert refused.answer["error"] == "access_denied"
    page = surfer.press(page, "encounter", made["zoe"])
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["context"]["encounter"] == made["zoe"]


def test_patient_without_encounters_goes_on(clinic: Clinic) -> None:
    # smart-150
    surfer, page = at_picker(clinic, scope="launch/encounter " + ASKED)
    page = pick(surfer, page, clinic.patients["amina"])
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert "encounter" not in clinic.grant()["context"]


def test_context_has_an_opaque_lasting_tenant(clinic: Clinic, other: Clinic) -> None:
    # smart-151, smart-154
    names = []
    for each in (clinic, clinic, other):
        surfer, page = each.consent()
        assert "code" in surfer.press(page, "decision", "allow").answer
        context = each.grant()["context"]
        assert context["need_patient_banner"] is True
        names.append(context["tenant"])
    assert names[0] == names[1] != names[2]
    assert clinic.tenant.slug not in names[0] and isinstance(names[0], str)


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("a,b$c|d\\ 1980-03-21", [[("name", "a\\,b\\$c\\|d\\\\"), ("birthdate", "1980-03-21")]]),
        ("AB 12 34", [[("name", "AB"), ("identifier", "1234,12 34"), ], [("name", "AB"), ("phone", "1234,12 34")]]),
        ("p-1", [[("identifier", "p-1,p1")], [("phone", "p-1,p1")], [("_id", "p-1")]]),
        ("zoe", [[("name", "zoe")], [("_id", "zoe")]]),
        ("+212 6-12", [[("identifier", "+2126-12,+212 6-12,+212612")], [("phone", "+2126-12,+212 6-12,+212612")]]),
        ("a", []),
    ],
)  # fmt: skip
def test_line_of_text_becomes_searches(text: str, queries: list[list[tuple[str, str]]]) -> None:
    assert picker.queries(text) == queries
