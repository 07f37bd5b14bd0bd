"""The doctor's main path in a browser: in French at a desk, in Arabic on a phone; the network lost while a note is typed."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client
from tests.ui.conftest import Demo, Watched, scrolls_sideways
from tests.ui.doctor.place import new_patient, new_visit

QUEUE = "demo-queue"
CONFIGURATION = "urn:salam:StructureDefinition:queue-configuration"


def own_queue(client: Client) -> str:
    """An open queue in which nobody waits."""
    made = client.create({
        "resourceType": "HealthcareService", "active": True, "name": "Essai", "extension": [
            {"url": CONFIGURATION, "extension": [{"url": "prefix", "valueString": "Z"}, {"url": "timezone", "valueCode": "Africa/Casablanca"}]},
        ],
    })  # fmt: skip
    assert client.post(f"HealthcareService/{made['id']}/$open").status == 200
    return str(made["id"])


def waiting(client: Client, queue: str, family: str) -> dict[str, str]:
    """A new patient with a ticket in the queue."""
    patient = new_patient(client, name=[{"family": family, "given": ["Nora"]}])
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "valueReference": {"reference": f"Patient/{patient['id']}"}}],
    }
    assert client.post(f"HealthcareService/{queue}/$take-ticket", body).status == 200
    return {"id": patient["id"], "family": family}


def choose_queue(page: Page, demo: Demo, queue: str) -> None:
    page.context.add_cookies(
        [
            {
                "name": "salam-doctor",
                "value": f'"Cabinet 7|{queue}"',
                "domain": "127.0.0.1",
                "path": f"/t/{demo.slug}/ui/doctor/",
            }
        ]
    )


def settled(page: Page, axe: Callable[[Page], list[str]]) -> None:
    """Nothing that axe or a narrow window minds; messages and the place of scrolling aside, which cover things for a
    moment."""
    page.evaluate("document.querySelectorAll('.toast-note').forEach(each => each.remove()); scrollTo(0, 0)")
    assert axe(page) == []
    assert not scrolls_sideways(page)
    # axe leaves empty style attributes behind, which htmx would copy and the policy refuse.
    page.evaluate("document.querySelectorAll('[style]').forEach(each => each.removeAttribute('style'))")


def measure(page: Page) -> None:
    """Vital signs, with the mass index while they are typed."""
    page.click("a[data-hotkey=v]")
    page.fill("#systolic", "131")
    page.fill("#diastolic", "84")
    page.fill("#weight", "70")
    page.fill("#height", "170")
    expect(page.locator("[data-bmi] output")).to_have_text("24.2")
    page.click("#work form button[type=submit]")
    expect(page.locator("#chart")).to_contain_text("131/84")


def diagnose(page: Page) -> None:
    """A diagnosis."""
    page.click("a[data-hotkey=d]")
    page.fill("#text", "Hypertension")
    page.click(".work-panel > form button[type=submit]")
    expect(page.locator("section:has(#c-problems)")).to_contain_text("Hypertension")


def prescribe(page: Page) -> None:
    """A medicine, with what the patient will read; signed."""
    page.click("a[data-hotkey=p]")
    page.fill("#medication", "Amlodipine 5 mg")
    page.fill("#dose", "1")
    page.select_option("#unit", "tablet")
    page.select_option("#times", "morning")
    expect(page.locator("#preview")).to_contain_text("1 comprimé, par voie orale, chaque matin")
    page.click(".work-panel > form button[type=submit]")
    expect(page.locator(".draft-box")).to_contain_text("Amlodipine")
    page.click(".draft-box > form button")
    expect(page.locator("section:has(#c-medicines)")).to_contain_text("Amlodipine")


def write_note(page: Page) -> None:
    """The note, which saves itself; signed."""
    page.click("a[data-hotkey=o]")
    page.fill("#assessment", "HTA débutante")
    expect(page.locator("#saved")).to_have_text(re.compile(r"\d\d:\d\d"))
    page.click(".note-form .actions button:first-child")
    expect(page.locator(".signed-note")).to_contain_text("HTA débutante")


@pytest.mark.parametrize(("lang", "phone"), [("fr", False), ("ar", True)])
def test_a_visit_from_the_call_to_the_end(
    demo: Demo, browser_page: Callable[..., Page], axe: Callable[[Page], list[str]], lang: str, phone: bool
) -> None:
    client = demo.client()
    queue = own_queue(client)
    first, second = waiting(client, queue, "Premiere"), waiting(client, queue, "Seconde")
    page = browser_page(lang, phone=phone)
    demo.sign_in(page, "practitioner")
    choose_queue(page, demo, queue)
    page.goto(f"{demo.base}/doctor/")
    expect(page.locator("#day")).to_contain_text("PREMIERE")
    settled(page, axe)
    page.keyboard.press("n")
    expect(page.locator(".now")).to_contain_text("PREMIERE")
    page.click("[data-hotkey=s]")
    page.wait_for_url(re.compile(first["id"]))
    assert page.locator("html").get_attribute("dir") == ("rtl" if lang == "ar" else "ltr")
    settled(page, axe)

    for step in (measure, diagnose, prescribe, write_note):
        step(page)
        settled(page, axe)
    page.click("[data-hotkey=f]")
    page.wait_for_url(re.compile(r"finished="))
    expect(page.locator("#day")).to_contain_text("SECONDE")
    settled(page, axe)
    statuses = {
        kind: [each["status"] for each in client.search(f"{kind}?patient=Patient/{first['id']}")]
        for kind in ("Composition", "MedicationRequest", "Encounter")
    }
    assert statuses == {"Composition": ["final"], "MedicationRequest": ["active"], "Encounter": ["finished"]}
    assert second


def test_what_is_typed_survives_a_lost_network(demo: Demo, browser_page: Callable[..., Page], watched: Watched) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "Failed to fetch"]
    visit = new_visit(demo, demo.person("practitioner"))
    page = browser_page("fr")
    demo.sign_in(page, "practitioner")
    page.goto(f"{demo.base}/{visit.path}{visit.query}")
    page.context.set_offline(True)
    page.fill("#history", "Écrit sans réseau")
    expect(page.locator("#offline")).to_be_visible()
    page.wait_for_timeout(3500)
    assert page.input_value("#history") == "Écrit sans réseau"
    page.context.set_offline(False)
    expect(page.locator("#saved")).to_have_text(re.compile(r"\d\d:\d\d"))
    assert "Écrit sans réseau" in str(visit.only("Composition"))


def test_a_page_that_was_left_has_what_was_typed(demo: Demo, browser_page: Callable[..., Page]) -> None:
    visit = new_visit(demo, demo.person("practitioner"))
    page = browser_page("fr")
    demo.sign_in(page, "practitioner")
    page.goto(f"{demo.base}/{visit.path}{visit.query}&work=orders")
    page.fill("#reason", "Fièvre depuis trois jours")
    page.click("a[data-hotkey=a]")
    expect(page.locator("#criticality")).to_be_visible()
    page.click("a[data-hotkey=x]")
    expect(page.locator("#reason")).to_have_value("Fièvre depuis trois jours")
    page.reload()
    expect(page.locator("#reason")).to_have_value("Fièvre depuis trois jours")


def test_two_windows_see_each_other(demo: Demo, browser_page: Callable[..., Page], watched: Watched) -> None:
    """What one saves meanwhile is shown to the other, with what was typed there."""
    watched.let.append("409 (Conflict)")
    visit = new_visit(demo, demo.person("practitioner"))
    one, other = browser_page("fr"), browser_page("fr")
    for page in (one, other):
        demo.sign_in(page, "practitioner")
        page.goto(f"{demo.base}/{visit.path}{visit.query}")
    one.fill("#plan", "Repos")
    expect(one.locator("#saved")).to_have_text(re.compile(r"\d\d:\d\d"))
    other.fill("#plan", "Antibiotique")
    expect(other.locator("#work")).to_contain_text("Repos")
    assert other.input_value("#plan") == "Antibiotique"


def test_dark_pages_can_be_read(
    demo: Demo, browser_page: Callable[..., Page], axe: Callable[[Page], list[str]]
) -> None:
    page = browser_page("fr", dark=True)
    demo.sign_in(page, "practitioner")
    page.goto(f"{demo.base}/doctor/")
    assert axe(page) == []
    page.goto(f"{demo.base}/doctor/patient/demo-0013")
    assert axe(page) == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert not scrolls_sideways(page)


def test_what_others_do_appears_by_itself(demo: Demo, browser_page: Callable[..., Page]) -> None:
    """Who takes a ticket stands on the day, and what a colleague writes in the record, without a reload."""
    client = demo.client()
    queue = own_queue(client)
    page = browser_page("fr")
    demo.sign_in(page, "practitioner")
    choose_queue(page, demo, queue)
    page.goto(f"{demo.base}/doctor/")
    expect(page.locator("#day .empty-title")).to_be_visible()
    patient = waiting(client, queue, "Soudaine")
    expect(page.locator(".day-waiting")).to_contain_text("SOUDAINE")
    page.goto(f"{demo.base}/doctor/patient/{patient['id']}")
    page.fill("#plan", "Je tape")
    client.create({
        "resourceType": "AllergyIntolerance", "code": {"text": "Latex"}, "patient": {"reference": f"Patient/{patient['id']}"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
    })  # fmt: skip
    expect(page.locator(".banner-alerts")).to_contain_text("Latex")
    assert page.input_value("#plan") == "Je tape"
