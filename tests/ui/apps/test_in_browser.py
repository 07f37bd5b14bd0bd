"""The SMART app in a real browser: opened from the doctor's screen, and by a patient; what it says when access ends."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from fhir_server.demo.apps import demo_apps
from fhir_server.rest.dispatch import session
from fhir_server.storage import tenants
from tests.ui.conftest import Demo, Watched, scrolls_sideways

Axe = Callable[[Page], list[str]]
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def child(demo: Demo) -> str:
    """A child with measurements; and the app registered at the live server's address, as a start does it."""
    db = session()
    state = tenants.find(db, demo.slug)
    db.enter(state.tenant.id, None, state.registry_version, writing=True)
    demo_apps(db, state.tenant.id, f"{demo.origin}/t/{demo.slug}/fhir")
    db.commit()
    heads = demo.client().search("Observation?code=9843-4&_count=1&_sort=-date")
    return str(heads[0]["subject"]["reference"]).partition("/")[2]


@pytest.fixture
def quiet(watched: Watched) -> Watched:
    """Refusals that a test means to cause."""
    watched.let += ["401 (Unauthorized)", "ERR_INTERNET_DISCONNECTED"]
    return watched


def allow(page: Page) -> None:
    """The consent page, the first time."""
    page.wait_for_url(re.compile(r"/ui/apps/growth/$|/oauth/authorize"))
    button = page.locator('button[name="decision"][value="allow"]')
    if button.count():
        button.click()
    page.wait_for_url(re.compile(r"/ui/apps/growth/$"))


def open_from_record(demo: Demo, page: Page, patient: str) -> Page:
    """The app's tab, opened from the gallery."""
    page.goto(f"{demo.base}/apps/?patient={patient}")
    with page.context.expect_page() as opened:
        page.locator("a[target=_blank][href*=croissance]").first.click()
    tab = opened.value
    allow(tab)
    expect(tab.locator(".card canvas").first).to_be_visible()
    return tab


def test_a_doctor_opens_growth_curves_from_the_record(demo: Demo, browser_page: NewPage, axe: Axe, child: str) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "practitioner")
    tab = open_from_record(demo, page, child)
    assert axe(page) == []
    name = demo.client().get(f"Patient/{child}").json["name"][0]
    expect(tab.locator("h1")).to_have_text(f"{' '.join(name['given'])} {name['family']}")
    expect(tab.locator("h2").first).to_have_text("Croissance")
    expect(tab.get_by_text("Ouvert par Salma El Amrani")).to_be_visible()
    assert (
        tab.locator(".card").filter(has_text="Poids").get_by_text(re.compile(r"z [+−]?\d,\d · P\d+")).first.is_visible()
    )
    tab.locator("summary").first.click()
    expect(tab.locator("table").first.locator("thead th")).to_have_text(
        ["Date", "Âge", "Valeur", "Écart type (z)", "Percentile", "Évolution par an"]
    )
    assert "code=" not in tab.url and "launch" not in tab.url
    assert axe(tab) == [] and not scrolls_sideways(tab)


def test_in_arabic_on_a_phone_in_the_dark(demo: Demo, browser_page: NewPage, axe: Axe, child: str) -> None:
    page = browser_page("ar", phone=True, dark=True)
    demo.sign_in(page, "practitioner")
    tab = open_from_record(demo, page, child)
    assert tab.evaluate("[document.documentElement.dir, document.documentElement.lang]") == ["rtl", "ar"]
    expect(tab.locator("h2").first).to_have_text("النمو")
    assert axe(tab) == []
    tab.set_viewport_size({"width": 320, "height": 600})
    assert not scrolls_sideways(tab)


def test_the_second_time_nothing_is_asked_and_another_patient_is_another_record(
    demo: Demo, browser_page: NewPage, child: str
) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "practitioner")
    open_from_record(demo, page, child)
    page.goto(f"{demo.base}/apps/?patient={child}")
    with page.context.expect_page() as opened:
        page.locator("a[target=_blank][href*=croissance]").first.click()
    opened.value.wait_for_url(re.compile(r"/ui/apps/growth/$"))
    other = open_from_record(demo, page, "demo-0001")
    family = demo.client().get("Patient/demo-0001").json["name"][0]["family"]
    expect(other.locator("h1")).to_contain_text(family)
    expect(other.locator("h2").first).to_have_text("Résultats")


def test_a_patient_connects_the_app_and_sees_it_connected(
    demo: Demo, browser_page: NewPage, axe: Axe, child: str
) -> None:
    page = browser_page("fr", phone=True)
    demo.sign_in(page, "patient")
    page.goto(f"{demo.base}/apps/")
    assert axe(page) == []
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=re.compile("Connecter.*Croissance")).click()
    tab = opened.value
    allow(tab)
    expect(tab.get_by_text("Ouvert depuis votre compte").or_(tab.get_by_text("Ouvert par")).first).to_be_visible()
    page.reload()
    expect(page.get_by_text("Connectée depuis le")).to_be_visible()


def test_when_access_ends_what_was_read_stays_and_the_way_on_is_shown(
    demo: Demo, browser_page: NewPage, child: str, quiet: Watched
) -> None:
    from fhir_server.security import web_sessions

    page = browser_page("fr")
    demo.sign_in(page, "practitioner")
    tab = open_from_record(demo, page, child)
    tab.context.set_offline(True)
    tab.get_by_role("button", name="Relire").click()
    expect(tab.get_by_role("alert")).to_contain_text("Pas de connexion")
    tab.context.set_offline(False)
    tab.get_by_role("button", name="Relire").click()
    expect(tab.get_by_role("alert")).to_have_count(0)
    cookie = next(each["value"] for each in page.context.cookies() if each["name"] == f"salam-{demo.slug}")
    db = session()
    state = tenants.find(db, demo.slug)
    db.enter(state.tenant.id, None, state.registry_version, writing=True)
    web_sessions.end(db, state.tenant.id, web_sessions.digest(cookie))
    db.commit()
    tab.get_by_role("button", name="Relire").click()
    expect(tab.get_by_role("alert")).to_contain_text("Votre session est terminée")
    assert tab.locator(".card canvas").first.is_visible()
    tab.get_by_role("button", name="Relire").click()
    expect(tab.get_by_role("alert")).to_contain_text("Votre session est terminée")
    tab.get_by_role("button", name="Se connecter de nouveau").click()
    tab.wait_for_url(re.compile("/oauth/login"))


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "Ouvrez l’application depuis votre clinique"), ("?iss=https%3A%2F%2Fevil.example%2Ft%2Fdemo%2Ffhir", "Serveur inconnu"),
     ("?fhirServiceUrl=https%3A%2F%2Fevil.example%2Ffhir", "Ouvrez l’application depuis votre clinique")],
)  # fmt: skip
def test_starts_that_lead_nowhere_say_so(demo: Demo, browser_page: NewPage, axe: Axe, query: str, words: str) -> None:
    page = browser_page("fr", phone=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{demo.origin}/ui/apps/growth/launch.html{query}")
    expect(page.locator("h1")).to_have_text(words)
    assert not any("evil" in each for each in asked[1:])
    assert axe(page) == []


def test_the_address_changes_nothing_but_the_server(demo: Demo, browser_page: NewPage, child: str) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "patient")
    more = "clientId=other&scope=patient/*.cruds&patientId=demo-0002&fhirServiceUrl=https://evil.example&redirectUri=https://evil.example"
    with page.expect_request(lambda request: "/oauth/authorize" in request.url) as asked:
        page.goto(f"{demo.origin}/ui/apps/growth/launch.html?{more}&iss={demo.origin}/t/{demo.slug}/fhir")
    assert (
        "client_id=croissance&" in asked.value.url and "evil" not in asked.value.url and "cruds" not in asked.value.url
    )


def test_a_used_link_is_explained(demo: Demo, browser_page: NewPage, child: str) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "practitioner")
    page.goto(f"{demo.origin}/ui/apps/growth/launch.html?iss={demo.origin}/t/{demo.slug}/fhir&launch=used-up")
    expect(page.locator("h1")).to_have_text("Ce lien a déjà servi")


def test_a_refusal_is_explained(demo: Demo, browser_page: NewPage, child: str) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "patient")
    page.goto(f"{demo.origin}/ui/apps/growth/launch.html?iss={demo.origin}/t/{demo.slug}/fhir")
    page.locator('button[name="decision"]:not([value="allow"])').click()
    expect(page.locator("h1")).to_have_text("Accès non autorisé")
