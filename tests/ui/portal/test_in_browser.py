"""A patient's day on a phone, in French and in Arabic; questionnaires with and without scripts."""

import pytest
from playwright.sync_api import Route, expect

from tests.ui.conftest import Demo, Watched
from tests.ui.portal.browsing import WORDS, Axe, Open, fine, open_queue
from tests.ui.portal.people import booked, observation, patient
from tests.ui.portal.test_questions import FORM


@pytest.fixture(scope="module", autouse=True)
def _queue(demo: Demo) -> None:
    open_queue(demo)


@pytest.mark.parametrize("lang", ["fr", "ar"])
def test_a_patients_day_on_a_phone(demo: Demo, browser_page: Open, axe: Axe, lang: str) -> None:
    words, known = WORDS[lang], patient(demo)
    visit = booked(demo.client(), known.reference, days=2)
    for value, month in ((88, "01"), (121, "06")):
        demo.client().create({**observation(known.reference, value), "effectiveDateTime": f"2026-{month}-02T08:00:00Z"})
    page = browser_page(lang, phone=True)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/")
    assert page.get_by_role("heading", name=words["book"]).is_visible()
    assert page.evaluate("document.documentElement.dir") == ("rtl" if lang == "ar" else "ltr")
    fine(page, axe)
    # Another time: choose, confirm.
    page.goto(f"{demo.base}/portal/visits/{visit['id']}")
    fine(page, axe)
    page.locator("a[href$='/move']").click()
    page.locator("button[name=to]").nth(3).click()
    expect(page.locator("button[name=to][aria-pressed=true]")).to_have_count(1)
    fine(page, axe)
    page.get_by_role("button", name=words["move"]).click()
    page.get_by_text(words["moved"]).wait_for()
    for path in ("visits", "results", "results/trend?code=http%3A%2F%2Floinc.org%7C2345-7", "measures", "documents", "record",
                 "messages", "more", "preferences", "consents", "my-data", "my-data/access", "queues"):  # fmt: skip
        page.goto(f"{demo.base}/portal/{path}")
        fine(page, axe)


def test_everything_fits_on_320_pixels_and_in_the_dark(demo: Demo, browser_page: Open, axe: Axe) -> None:
    known = patient(demo)
    visit = booked(demo.client(), known.reference, days=2)
    demo.client().create(observation(known.reference))
    known.person.post("portal/queues/demo-queue")
    page = browser_page("fr", phone=True, dark=True)
    page.set_viewport_size({"width": 320, "height": 640})
    demo.sign_in(page, email=known.email)
    for path in (
        "",
        "visits",
        f"visits/{visit['id']}",
        f"visits/{visit['id']}/move",
        "results",
        "more",
        "preferences",
        "consents",
    ):
        page.goto(f"{demo.base}/portal/{path}")
        fine(page, axe)


@pytest.mark.parametrize("lang", ["fr", "ar"])
def test_a_questionnaire_shows_what_applies_and_keeps_what_was_typed(
    demo: Demo, browser_page: Open, axe: Axe, lang: str
) -> None:
    words, known = WORDS[lang], patient(demo)
    form = demo.client().create({**FORM, "title": "Avant la visite", "url": f"https://tests.example/q-{lang}"})
    page = browser_page(lang, phone=True)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/questions/{form['id']}")
    per_day = page.locator("[name='a.2']")
    assert not per_day.is_visible()
    page.locator("label[for='q-1-true']").click()
    assert per_day.is_visible()
    fine(page, axe)
    per_day.fill("12")
    with page.expect_response(lambda answer: answer.url.endswith("/draft")) as kept:
        page.locator("[name='a.6']").fill("Merci")
    assert kept.value.ok
    page.reload()
    assert per_day.input_value() == "12" and page.locator("[name='a.6']").input_value() == "Merci"
    page.locator("label[for='q-1-false']").click()
    assert not per_day.is_visible()
    page.get_by_role("button", name=words["send"]).click()
    page.get_by_text(words["thanks"]).wait_for()
    stored = demo.client().search(f"QuestionnaireResponse?subject={known.reference}")
    assert [each["status"] for each in stored] == ["completed"]
    assert [item["linkId"] for item in stored[0]["item"]] == ["smokes", "note"]


def test_a_questionnaire_without_scripts_and_with_keys_alone(demo: Demo, browser_page: Open, watched: Watched) -> None:
    watched.let += ["422 (Unprocessable"]
    known = patient(demo)
    form = demo.client().create({**FORM, "title": "Avant la visite", "url": "https://tests.example/q-keys"})
    page = browser_page("fr", phone=True, java_script_enabled=False)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/questions/{form['id']}")
    page.locator("[name='a.1'][value=true]").focus()
    page.keyboard.press("Space")
    page.locator("button[value=send]").last.click()
    # What applies now is shown by the answer, with the question that is missing.
    expect(page.locator("[name='a.2']")).to_be_visible()
    expect(page.locator("#q-2-error")).to_be_visible()
    page.locator("[name='a.2']").fill("3")
    page.keyboard.press("Enter")
    page.get_by_text("La clinique a reçu vos réponses").wait_for()


def test_a_slow_network_does_not_lose_the_form(demo: Demo, browser_page: Open, watched: Watched) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "Failed to fetch"]
    known = patient(demo)
    form = demo.client().create({**FORM, "title": "Avant la visite", "url": "https://tests.example/q-slow"})
    page = browser_page("fr", phone=True)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/questions/{form['id']}")

    def lose(route: Route) -> None:
        route.abort("internetdisconnected")

    page.route("**/draft*", lose)
    with page.expect_event("requestfailed", lambda request: "/draft" in request.url):
        page.locator("[name='a.6']").fill("Rien ne se perd")
    page.unroute("**/draft*")
    page.reload()
    assert page.locator("[name='a.6']").input_value() == "Rien ne se perd"
