"""Every page of every room, as every role, in every language; and in a real browser, both appearances and sizes.

Addresses come from the site's table of routes, so a new page is walked without a change here; one with a parameter
needs a row in `examples`, or the test says so.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from fhir_server.app import app  # noqa: F401 - registers every room
from fhir_server.site import site
from tests.ui.conftest import Demo, Person, scrolls_sideways
from tests.ui.reading import faults, read

LANGUAGES = ("fr", "en", "es", "ar")
ROLES = (
    "",
    "patient",
    "proxy",
    "receptionist",
    "nurse",
    "practitioner",
    "billing",
    "manager",
    "owner",
    "operator",
    "board",
    "kiosk",
)
HOME = "/t/<slug>/ui/"
# Who looks at a room in the browser.
LOOKERS = {
    "": ["", "receptionist"], "agenda": ["receptionist"], "apps": ["practitioner", "patient", "owner"], "board": ["board"],
    "booking": [""], "console": ["owner"], "definitions": ["owner"], "desk": ["receptionist"], "doctor": ["practitioner"], "kiosk": ["kiosk"],
    "manage": ["owner"], "portal": ["patient"], "styles": [""], "ticket": [""],
}  # fmt: skip
# What stands for <kind>, and what addresses need besides.
KINDS = {"manage": "reminder", "doctor": "condition"}
QUERIES = {
    "agenda/events": "?start=2026-01-05&end=2026-01-12", "agenda/hours": "?start=2026-01-05&end=2026-01-12",
    "desk/payments/new": "?patient=demo-0001", "apps/patients": "?q=al", "doctor/patients": "?q=al",
    "portal/results/trend": "?code=http://loinc.org|8480-6",
    "definitions/codes/concept": "?system=http://hl7.org/fhir/observation-status&code=final",
    "definitions/codes/": "?system=http://hl7.org/fhir/observation-status",
    "console/Patient/demo-0001/fhirpath": "?expression=name.given",
}  # fmt: skip
INVOICE = {
    "resourceType": "Invoice", "status": "issued", "date": "2026-01-05", "subject": {"reference": "Patient/demo-0001"},
    "issuer": {"reference": "Organization/demo-clinic"}, "totalGross": {"value": 250, "currency": "MAD"},
    "lineItem": [{"chargeItemCodeableConcept": {"text": "Consultation"}, "priceComponent": [{"type": "base", "amount": {"value": 250, "currency": "MAD"}}]}],
}  # fmt: skip
# Need a state that only their own rooms' tests make (a held time, a secret link, an event's end), or are no pages.
ELSEWHERE = re.compile(
    r"/booking/(code|done|who|gone)|/ticket/|/files/|/note/|/prescription/|/document/|/_history/<version>|<path:rest>|/questions/"
)


def rules() -> list[str]:
    """Every address that is read below a clinic's pages."""
    found = {
        rule.rule for rule in site.url_map.iter_rules() if "GET" in (rule.methods or ()) and rule.rule.startswith(HOME)
    }
    # A room that tests/ui/test_front.py makes for itself.
    return sorted(each for each in found if not each.startswith(f"{HOME}probe/"))


def room_of(rule: str) -> str:
    """The room of an address; "" for the way in."""
    first, slash, _ = rule.removeprefix(HOME).partition("/")
    return first if slash else ""


@pytest.fixture(scope="module")
def examples(clinic: Demo) -> dict[str, str]:
    """A value for each parameter of an address."""
    client = clinic.client()

    def first(query: str) -> str:
        found = client.search(query)
        return str(found[0]["id"]) if found else ""

    return {
        "patient_id": "demo-0001", "resource_id": "demo-0001", "resource_type": "Patient", "client_id": "croissance?patient=demo-0001",
        "visit_id": first("Appointment?status=booked&_sort=date&_count=1"), "appointment_id": first("Appointment?status=booked&_sort=date&_count=1"),
        "queue_id": "demo-queue", "task_id": first("Task?status=ready,requested,accepted,in-progress&_count=1&_sort=-_lastUpdated"),
        "schedule_id": "demo-elamrani", "service_id": "demo-consultation", "id_": "demo-elamrani",
        "invoice_id": first("Invoice?_count=1") or client.create(INVOICE)["id"], "device_id": first("Device?_count=1"), "size": "192",
        "portal_visit": first("Appointment?actor=Patient/demo-0001&_count=1"),
    }  # fmt: skip


def path_of(rule: str, examples: dict[str, str]) -> str | None:
    """The address below `/t/{slug}/ui/` with values; None when there is none for a parameter."""
    path = rule.removeprefix(HOME)
    for name in re.findall(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", path):
        key = "portal_visit" if room_of(rule) == "portal" and name == "id_" else name
        value = KINDS.get(room_of(rule), "") if name == "kind" else examples.get(key, "")
        if not value:
            return None
        path = re.sub(rf"<(?:[^<>]*:)?{name}>", value, path)
    return path + QUERIES.get(path, "")


def said(wrong: list[str]) -> None:
    """Fail with every fault on a line of its own."""
    if wrong:
        pytest.fail(f"{len(wrong)} faults\n" + "\n".join(dict.fromkeys(wrong)), pytrace=False)


def is_page(answer: Any) -> bool:
    """Whether an answer is a document, not a fragment or a file."""
    return (
        answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html") and "<html" in answer.text
    )


def walked(person: Person, examples: dict[str, str], room: str | None = None) -> Iterator[tuple[str, str, Any]]:
    """(rule, path, answer in French) of everything that there is for the person. `room`: in one room only."""
    for rule in rules():
        path = path_of(rule, examples)
        if path is None or ELSEWHERE.search(rule) or room not in (None, room_of(rule)):
            continue
        yield rule, path, person.get(path)


@pytest.mark.parametrize("role", ROLES)
def test_every_page_of_a_role_in_every_language(clinic: Demo, examples: dict[str, str], role: str) -> None:
    person = clinic.person(role)
    wrong: list[str] = []
    pages = 0
    for _, path, answer in walked(person, examples):
        if answer.status_code >= 500:
            wrong.append(f"{path}: {answer.status_code}")
        if answer.status_code != 200 or not answer.headers["Content-Type"].startswith("text/html"):
            continue
        whole = is_page(answer)
        pages += whole
        for language in LANGUAGES:
            text = answer.text if language == "fr" else person.get(path, lang=language).text
            wrong += [f"{path} [{language}]: {each}" for each in faults(text, language, whole=whole)]
    assert pages >= 1
    said(wrong)


def test_every_page_is_for_somebody(clinic: Demo, examples: dict[str, str]) -> None:
    """No page that nobody can open, and none that this walk does not know."""
    seen: set[str] = set()
    for role in ("", "patient", "receptionist", "practitioner", "owner", "board", "kiosk"):
        for rule, _, answer in walked(clinic.person(role), examples):
            if answer.status_code < 400 and "/oauth/login" not in answer.headers.get("Location", ""):
                seen.add(rule)
    files = re.compile(r"\.(css|svg|png|js|json|ics|webmanifest)$|/push-key|/record\.json")
    unseen = [rule for rule in rules() if rule not in seen and not ELSEWHERE.search(rule) and not files.search(rule)]
    said(unseen)


def test_pages_that_are_not_there_say_so_in_every_language(clinic: Demo) -> None:
    for role in ("", "receptionist"):
        person = clinic.person(role)
        for language in LANGUAGES:
            answer = (
                person.get("desk/nothing-here", lang=language) if role else person.get("nothing-here", lang=language)
            )
            assert answer.status_code == 404
            assert faults(answer.text, language, whole=True) == []


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<p>None</p>", "says 'None'"), ("<p>{{ name }}</p>", "says '{{ name }}'"), ('<a title="%(name)s">x</a>', "says '%(name)s'"),
        ("<p>Please sign in again.</p>", "not translated: 'Please sign in again.'"), ('<i id="a"></i><i id="a"></i>', "id 'a' twice"),
        ('<input name="q">', "no label: input q"), ("<h1>a</h1><h1>b</h1>", "2 h1"), ("<h1>a</h1><h3>b</h3>", "h1 is followed by h3"),
        ('<html lang="en" dir="ltr">', "lang, dir: en, ltr"),
    ],
)  # fmt: skip
def test_a_bad_page_is_found(html: str, fault: str) -> None:
    good = f'<html lang="fr" dir="ltr"><h1>Bonjour</h1><label for="n">Nom</label><input id="n"><code>None {{{{ }}}}</code>{html}</html>'
    assert fault in faults(
        good if not html.startswith(("<html", "<h1")) else f'<html lang="fr" dir="ltr">{html}', "fr", whole=True
    )
    assert faults('<html lang="fr" dir="ltr"><h1>Bonjour</h1></html>', "fr", whole=True) == []
    assert read("<p>a <b>b</b></p>").text == ["a", "b"]
    other = read('<html lang="fr"><p>a</p><p lang="en">Sign in</p><div hidden><h1>x</h1></div><h1>b</h1></html>')
    assert other.text == ["a", "x", "b"] and other.headings == [1]


# -- in a browser ------------------------------------------------------------------------------------------------------

_DARK = "document.documentElement.dataset.bsTheme = 'dark'"


@pytest.mark.parametrize("room", LOOKERS)
def test_every_page_of_a_room_in_a_browser(
    demo: Demo, examples: dict[str, str], browser_page: Callable[..., Page], axe: Callable[..., list[str]], room: str
) -> None:
    wrong: list[str] = []
    for role in LOOKERS[room]:
        person = demo.person(role)
        paths = [path for _, path, answer in walked(person, examples, room) if is_page(answer)]
        for language, size in (("fr", (1280, 800)), ("ar", (360, 740))):
            page = browser_page(language, reduced_motion="reduce")
            page.set_viewport_size({"width": size[0], "height": size[1]})
            if role:
                demo.sign_in(page, role)
            for path in paths:
                page.goto(f"{demo.base}/{path}")
                wrong += [f"{path} [{language}]: {each}" for each in axe(page)]
                page.evaluate(_DARK)
                wrong += [f"{path} [{language}, dark]: {each}" for each in axe(page, colours=True)]
                page.set_viewport_size({"width": 320, "height": 640})
                if scrolls_sideways(page):
                    wrong.append(f"{path} [{language}]: wider than 320 px")
                page.set_viewport_size({"width": size[0], "height": size[1]})
            page.close()
    said(wrong)
