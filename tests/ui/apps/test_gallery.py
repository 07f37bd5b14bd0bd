"""The pages of the gallery: what each role sees and does there."""

import re

import pytest

from tests.ui.conftest import Demo

FORM = {
    "name": "Diary <script>alert(1)</script>",
    "kind": "confidential",
    "redirect": "https://diary.example/a\nhttps://diary.example/b",
    "scope": "launch/patient  openid\npatient/Observation.rs",
    "website": "https://diary.example/",
    "launch": "",
    "contact": "Nadia & Co",
}


def test_a_doctor_finds_a_patient_and_opens_an_app_in_a_new_tab(clinic: Demo) -> None:
    doctor = clinic.person("practitioner")
    page = doctor.get("apps/")
    assert page.status_code == 200 and "Croissance" in page.text and "Ouvrir et y choisir" in page.text
    family = clinic.client().get("Patient/demo-0001").json["name"][0]["family"]
    found = doctor.get(f"apps/patients?q={family}", htmx=True)
    assert "?patient=demo-0001" in found.text and "<html" not in found.text
    chosen = doctor.get("apps/?patient=demo-0001").text
    link = re.search(r'href="([^"]*apps/launch/croissance[^"]*)" target="_blank" rel="noopener noreferrer"', chosen)
    assert link is not None
    answer = doctor.get(link[1].replace("&amp;", "&"))
    assert answer.status_code == 303
    assert "/ui/apps/growth/launch.html?iss=" in answer.headers["Location"] and "&launch=" in answer.headers["Location"]


@pytest.mark.parametrize("text", ["", "a", "%00", "' OR 1=1 --", "x" * 5000, "a,b|c$d\\e", "+212 6", "<b>"])
def test_any_text_can_be_searched(clinic: Demo, text: str) -> None:
    nurse = clinic.person("nurse")
    assert nurse.http.get(nurse._url("apps/patients"), query_string={"q": text}).status_code == 200


def test_another_site_cannot_open_an_app_unasked(clinic: Demo) -> None:
    doctor = clinic.person("practitioner")
    path = "apps/launch/croissance?patient=demo-0001"
    asked = doctor.get(path, **{"Sec-Fetch-Site": "cross-site"})
    assert asked.status_code == 200 and "Location" not in asked.headers and "Ouvrir Croissance" in asked.text
    assert doctor.get(path, **{"Sec-Fetch-Site": "same-origin"}).status_code == 303


@pytest.mark.parametrize(
    "path", ["croissance", "croissance?patient=nobody", "nobody?patient=demo-0001", "croissance?patient=demo-0001&encounter=nobody",
             "croissance?patient=../x", "croissance?patient="],
)  # fmt: skip
def test_what_cannot_be_opened_is_not_there(clinic: Demo, path: str) -> None:
    answer = clinic.person("practitioner").get(f"apps/launch/{path}")
    assert answer.status_code in (400, 404, 422) and "Location" not in answer.headers


@pytest.mark.parametrize("role", ["owner", "manager", "patient", "proxy"])
def test_launching_is_for_who_treats(clinic: Demo, role: str) -> None:
    assert clinic.person(role).get("apps/launch/croissance?patient=demo-0001").status_code == 404


@pytest.mark.parametrize("role", ["receptionist", "billing", "operator"])
def test_roles_without_apps_find_nothing(clinic: Demo, role: str) -> None:
    assert clinic.person(role).get("apps/").status_code == 404


@pytest.mark.parametrize("role", ["patient", "proxy"])
def test_a_patient_sees_what_to_connect_and_how_it_is_registered_not(clinic: Demo, role: str) -> None:
    text = clinic.person(role).get("apps/").text
    assert "Croissance" in text and "Connecter" in text and "Peut voir" in text
    assert "client_id" not in text and "redirect" not in text


@pytest.mark.parametrize(("lang", "words"), [("en", "May see: "), ("es", "Puede ver: "), ("ar", "يمكنه الاطلاع على: ")])
def test_rights_are_in_the_words_of_the_consent_page(clinic: Demo, lang: str, words: str) -> None:
    assert words in clinic.person("patient").get("apps/", lang=lang).text


def test_a_manager_looks_and_an_owner_changes(clinic: Demo) -> None:
    manager = clinic.person("manager")
    page = manager.get("apps/").text
    assert "Croissance" in page and "Désactiver" not in page and "Enregistrer une application" not in page
    for path in ("apps/new", "apps/bundled", "apps/words", "apps/croissance/disable"):
        assert manager.post(path).status_code == 404
    assert manager.get("apps/new").status_code == 404


def test_an_owner_registers_an_app_and_is_shown_its_secret_once(clinic: Demo) -> None:
    owner = clinic.person("owner")
    made = owner.post("apps/new", FORM)
    assert made.status_code == 200 and "client_secret" in made.text and made.headers["Cache-Control"] == "no-store"
    secret = re.search(r"client_secret</dt><dd><code dir=\"ltr\">([\w-]{30,})<", made.text)
    assert secret is not None
    listed = owner.get("apps/").text
    assert secret[1] not in listed
    assert "https://diary.example/a" in listed and "https://diary.example/b" in listed and "Nadia &amp; Co" in listed
    assert "<script>alert" not in listed and "&lt;script&gt;" in listed


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 10_000}, "name"), ({"redirect": ""}, "redirect"),
        ({"redirect": "http://diary.example/"}, "redirect"), ({"launch": "javascript:alert(1)"}, "launch"),
        ({"website": "nothing"}, "website"), ({"scope": "system/*.rs"}, "scope"), ({"scope": "\0"}, "scope"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(
    clinic: Demo, wrong: dict[str, str], field: str
) -> None:
    answer = clinic.person("owner").post("apps/new", {**FORM, "name": "Kept", **wrong})
    assert answer.status_code == 422
    assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', answer.text), answer.text[-3000:]
    assert f'id="{field}-error"' in answer.text and "Nadia &amp; Co" in answer.text


def test_disabling_can_be_taken_back(clinic: Demo) -> None:
    owner = clinic.person("owner")
    off = owner.post("apps/croissance/disable", htmx=True)
    assert off.status_code == 200 and "apps/croissance/enable" in off.headers["HX-Trigger"] and "Désactivée" in off.text
    try:
        assert "Croissance" not in clinic.person("patient").get("apps/").text
    finally:
        assert owner.post("apps/croissance/enable").status_code == 303
    assert "Croissance" in clinic.person("patient").get("apps/").text
    assert owner.post("apps/nobody/disable").status_code == 404
    assert owner.post("apps/croissance/disable", csrf=False).status_code == 403


def test_the_words_of_scopes_follow_what_is_typed(clinic: Demo) -> None:
    owner = clinic.person("owner")
    assert "Ordonnances" in owner.post("apps/words", {"scope": "patient/MedicationRequest.rs"}, htmx=True).text
    assert owner.post("apps/words", {"scope": "<b>" + "x" * 20_000}, htmx=True).status_code == 200


def test_an_empty_clinic_is_offered_the_app_that_comes_along(clinic: Demo) -> None:
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import oauth_clients, tenants

    db = session()
    state = tenants.find(db, clinic.slug)
    db.enter(state.tenant.id, None, state.registry_version, writing=True)
    db.run([oauth_clients.delete(state.tenant.id, "croissance")])
    db.commit()
    owner = clinic.person("owner")
    assert "apps/bundled" in owner.get("apps/").text
    assert [owner.post("apps/bundled").status_code for _ in range(2)] == [303, 303]
    page = owner.get("apps/").text
    assert "apps/bundled" not in page and "http://localhost/ui/apps/growth/launch.html" in page
    told = clinic.client().get("AuditEvent?subtype=client-registered&_count=5").json
    assert told["entry"]
