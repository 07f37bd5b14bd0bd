"""The note of a visit: drafts, signing, amending, and two people at once."""

import re

from tests.ui.conftest import Demo
from tests.ui.doctor.place import Visit, new_visit
from ui.doctor import note_text

TEXT = {"reason": "Toux depuis 3 jours", "examination": "Râles < à la base\ndroite & gauche", "plan": "Repos"}


def version_in(text: str) -> str:
    found = re.search(r'name="version" value="([^"]*)"', text)
    assert found, text
    return found[1]


def test_a_draft_is_saved_and_signed(visit: Visit) -> None:
    saved = visit.send("note/save", TEXT)
    assert saved.status_code == 200 and re.search(r"\d\d:\d\d", saved.text)
    note = visit.only("Composition")
    assert note["status"] == "preliminary" and note["encounter"]["reference"] == f"Encounter/{visit.encounter['id']}"
    assert note_text.sections_of(note)["examination"] == TEXT["examination"]
    assert [each["code"]["coding"][0]["code"] for each in note["section"]] == ["10154-3", "29545-1", "18776-5"]
    signed = visit.send("note/sign", {**TEXT, "assessment": "Bronchite", "version": version_in(saved.text)})
    assert signed.status_code == 200, signed.text
    note = visit.only("Composition")
    assert note["status"] == "final" and note["attester"][0]["mode"] == "professional"
    assert note["attester"][0]["party"]["reference"] == "Practitioner/demo-elamrani"
    assert note_text.sections_of(note)["assessment"] == "Bronchite"


def test_saving_twice_is_one_note(visit: Visit) -> None:
    first = visit.send("note/save", TEXT)
    again = visit.send("note/save", {**TEXT, "version": version_in(first.text), "plan": "Repos, eau"})
    assert again.status_code == 200
    assert note_text.sections_of(visit.only("Composition"))["plan"] == "Repos, eau"


def test_a_second_window_sees_both_and_loses_nothing(visit: Visit) -> None:
    visit.send("note/save", TEXT)
    other = visit.send("note/save", {"reason": "Autre texte", "plan": "Antibiotique"})
    assert other.status_code == 409
    assert "Antibiotique" in other.text and "Toux depuis 3 jours" in other.text
    assert other.headers["HX-Retarget"] == "#work"
    assert note_text.sections_of(visit.only("Composition"))["plan"] == "Repos"
    # Saved again it goes over what was seen.
    last = visit.send("note/save", {"reason": "Autre texte", "plan": "Antibiotique", "version": version_in(other.text)})
    assert last.status_code == 200
    assert note_text.sections_of(visit.only("Composition"))["plan"] == "Antibiotique"


def test_an_old_version_is_not_written_over(visit: Visit) -> None:
    first = version_in(visit.send("note/save", TEXT).text)
    visit.send("note/save", {**TEXT, "plan": "Deux", "version": first})
    stale = visit.send("note/sign", {**TEXT, "plan": "Trois", "version": first})
    assert stale.status_code == 409 and "Deux" in stale.text and "Trois" in stale.text
    assert visit.only("Composition")["status"] == "preliminary"


def test_amending_keeps_what_was_signed(visit: Visit) -> None:
    visit.send("note/sign", {**TEXT, "assessment": "Bronchite"})
    note = visit.only("Composition")
    page = visit.doctor.get(f"{visit.path}{visit.query}&work=note&amend={note['id']}", htmx=True)
    assert "Bronchite</textarea>" in page.text
    changed = {**TEXT, "assessment": "Pneumonie", "version": version_in(page.text)}
    assert visit.send(f"note/{note['id']}/amend", changed).status_code == 200
    now = visit.only("Composition")
    assert now["status"] == "amended" and len(now["attester"]) == 2
    assert visit.client.get(f"Composition/{note['id']}/_history/1").json["status"] == "final"
    history = visit.doctor.get(f"{visit.path}/note/{note['id']}/history{visit.query}")
    assert "<del>Bronchite</del><ins>Pneumonie</ins>" in history.text


def test_a_signed_note_is_not_signed_again(visit: Visit) -> None:
    visit.send("note/sign", TEXT)
    again = visit.send("note/sign", {"reason": "Anders"})
    assert again.status_code == 409
    assert note_text.sections_of(visit.only("Composition"))["reason"] == TEXT["reason"]


def test_an_empty_note_is_not_signed(visit: Visit) -> None:
    answer = visit.send("note/sign", {})
    assert answer.status_code == 422 and "aria-invalid" in answer.text
    assert visit.send("note/save", {}).status_code == 200
    assert visit.stored("Composition") == []


def test_too_long_a_text_is_refused_and_kept_in_the_form(visit: Visit) -> None:
    answer = visit.send("note/save", {"reason": "a" * 20_001})
    assert answer.status_code == 422 and "a" * 20_001 in answer.text
    assert visit.stored("Composition") == []


def test_what_is_written_stays_text(visit: Visit) -> None:
    attack = '<script>alert(1)</script><img src=x onerror="alert(2)"> &amp; \u0000\u0008'
    visit.send("note/sign", {"reason": attack})
    shown = visit.doctor.get(f"{visit.path}{visit.query}&work=note")
    assert "<script>alert" not in shown.text and "<img src=x" not in shown.text
    assert note_text.sections_of(visit.only("Composition"))["reason"].startswith("<script>alert(1)</script>")


def test_two_authors_write_two_notes(clinic: Demo, visit: Visit) -> None:
    visit.send("note/save", TEXT)
    nurse = clinic.person("nurse")
    assert visit.send("note/save", {"reason": "Pouls pris"}, who=nurse).status_code == 200
    assert len(visit.stored("Composition")) == 2
    assert "Toux" not in nurse.get(f"{visit.path}{visit.query}&work=note", htmx=True).text.partition("<form")[2]


def test_a_note_of_another_patient_is_not_there(clinic: Demo, visit: Visit) -> None:
    visit.send("note/sign", TEXT)
    note = visit.only("Composition")
    other = new_visit(clinic, visit.doctor)
    assert other.send(f"note/{note['id']}/amend", {"reason": "x"}).status_code == 404 or not other.stored("Composition")
    assert other.doctor.get(f"{other.path}/note/{note['id']}/history").status_code == 404
    assert visit.only("Composition")["status"] == "final"


def test_changes_are_shown_word_by_word() -> None:
    found = note_text.changes({"plan": "Repos et eau"}, {"plan": "Repos et thé"})
    assert [(how, text) for how, text in found[0].pieces] == [
        ("same", "Repos et "),
        ("removed", "eau"),
        ("added", "thé"),
    ]
    assert note_text.changes({"plan": "x"}, {"plan": "x"}) == []
