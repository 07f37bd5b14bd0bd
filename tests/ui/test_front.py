"""The way in, and what holds for every page: who may see it, tokens of forms, headers, languages."""

import pytest

from fhir_server.site import site
from tests.ui.conftest import Demo
from ui import fhir, page
from ui.navigation import home_of
from ui.room import room

probe = room("probe", roles=("receptionist", "practitioner", "patient"))


@probe.get("/<kind>/<id>")
def read(slug: str, kind: str, id: str) -> object:
    """A resource as the person reads it."""
    return fhir.read(f"{kind}/{id}")


@probe.post("/patient")
def create(slug: str) -> object:
    """Writes as the person."""
    made = fhir.create({"resourceType": "Patient", "name": [{"family": "Probe"}]})
    return page.toast(page.part("parts.html"), made["id"])


if "ui-probe" not in site.blueprints:
    site._got_first_request = False
    site.register_blueprint(probe)


def test_a_visitor_is_welcomed_in_french_and_gets_no_cookie(clinic: Demo) -> None:
    answer = clinic.person().get("")
    assert answer.status_code == 200 and 'lang="fr" dir="ltr"' in answer.text and "Prendre rendez-vous" in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(("lang", "direction", "word"), [("en", "ltr", "Book an appointment"), ("es", "ltr", "Pedir cita"), ("ar", "rtl", "حجز موعد"), ("de", "ltr", "Prendre rendez-vous")])
def test_the_language_is_the_browsers_or_french(clinic: Demo, lang: str, direction: str, word: str) -> None:
    text = clinic.person().get("", lang=lang).text
    assert f'dir="{direction}"' in text and word in text


def test_the_language_in_the_address_counts_most_and_is_remembered(clinic: Demo) -> None:
    visitor = clinic.person()
    assert 'lang="ar"' in visitor.get("?lang=ar", lang="en").text
    assert 'lang="ar"' in visitor.get("", lang="en").text


@pytest.mark.parametrize("role", ["receptionist", "practitioner", "patient", "manager", "owner", "nurse", "proxy", "operator"])
def test_everybody_is_led_to_their_first_page(clinic: Demo, role: str) -> None:
    answer = clinic.person(role).get("")
    assert answer.status_code == 303 and answer.headers["Location"] == f"/t/{clinic.slug}/ui/{home_of(role)}"


def test_who_is_not_signed_in_is_asked_to_and_comes_back(clinic: Demo) -> None:
    answer = clinic.person().get("probe/Patient/demo-0001?x=1")
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("return_to=%2Ft%2F" + clinic.slug + "%2Fui%2Fprobe%2FPatient%2Fdemo-0001%3Fx%3D1")


def test_a_role_without_business_here_finds_nothing(clinic: Demo) -> None:
    assert clinic.person("manager").get("probe/Patient/demo-0001").status_code == 404


def test_an_address_without_page_says_so_on_a_page(clinic: Demo) -> None:
    answer = clinic.person().get("nothing/here")
    assert answer.status_code == 404 and "<h1>" in answer.text and 'lang="fr"' in answer.text


def test_a_tenant_that_is_not_there_looks_like_a_page_that_is_not(clinic: Demo) -> None:
    answer = clinic.person().http.get("/t/nobody-here/ui/")
    assert answer.status_code == 404 and "nobody" not in answer.text


def test_pages_see_what_the_person_may_see(clinic: Demo) -> None:
    assert clinic.person("patient").get("probe/Patient/demo-0001").status_code == 200
    assert clinic.person("patient").get("probe/Patient/demo-0002").status_code == 404
    assert clinic.person("practitioner").get("probe/Patient/demo-0002").status_code == 200


def test_the_session_of_one_tenant_is_nothing_in_another(clinic: Demo, new_tenant: object) -> None:
    other = new_tenant()  # type: ignore[operator]
    person = clinic.person("receptionist")
    cookie = person.http.get_cookie(f"salam-{clinic.slug}")
    assert cookie is not None
    person.http.set_cookie(f"salam-{other.slug}", cookie.value, domain="localhost")
    assert person.http.get(f"/t/{other.slug}/ui/probe/Patient/demo-0001").status_code == 303


def test_a_form_without_its_token_changes_nothing(clinic: Demo) -> None:
    person = clinic.person("receptionist")
    assert person.post("probe/patient", csrf=False).status_code == 403
    assert person.post("probe/patient").status_code == 200


def test_what_a_page_writes_is_logged_as_the_persons_doing(clinic: Demo) -> None:
    person = clinic.person("receptionist")
    made = person.post("probe/patient").headers["HX-Trigger"].split('"text": "')[1].split('"')[0]
    found = clinic.client().get(f"AuditEvent?entity=Patient/{made}&action=C").json
    agents = str(found["entry"][0]["resource"]["agent"])
    assert "salam-ui" in agents


def test_signing_out_ends_what_the_pages_could_do(clinic: Demo) -> None:
    from fhir_server.rest.dispatch import session
    from fhir_server.security import own_pages, web_sessions
    from fhir_server.storage import tenants

    person = clinic.person("receptionist")
    assert person.get("probe/Patient/demo-0002").status_code == 200
    cookie = person.http.get_cookie(f"salam-{clinic.slug}")
    assert cookie is not None
    token = own_pages.token_of(cookie.value)
    assert clinic.client().request("GET", "Patient/demo-0002", Authorization=f"Bearer {token}").status == 200
    db = session()
    state = tenants.find(db, clinic.slug)
    db.enter(state.tenant.id, None, state.registry_version, writing=True)
    web_sessions.end(db, state.tenant.id, web_sessions.digest(cookie.value))
    db.commit()
    assert clinic.client().request("GET", "Patient/demo-0002", Authorization=f"Bearer {token}").status == 401
    assert person.get("probe/Patient/demo-0002").status_code == 303


def test_headers_let_nothing_foreign_in(clinic: Demo) -> None:
    policy = clinic.person().get("").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy


def test_an_answer_to_htmx_that_was_refused_leaves_what_was_typed(clinic: Demo) -> None:
    answer = clinic.person("receptionist").get("probe/Patient/nobody", htmx=True)
    assert answer.headers["HX-Reswap"] == "none" and "salam:toast" in answer.headers["HX-Trigger"]


@pytest.mark.parametrize("name", ["app.css", "app.js", "live.js", "vendor/htmx.min.js", "vendor/icons/calendar.svg"])
def test_static_files_are_compressed_and_kept(clinic: Demo, name: str) -> None:
    from ui.files import static

    http = clinic.person().http
    answer = http.get(static(name), headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200 and answer.headers["Content-Encoding"] == "gzip" and "immutable" in answer.headers["Cache-Control"]
    assert http.get(f"/ui/static/{name}").headers["Cache-Control"] == "no-cache"
    assert http.get(static(name), headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", ["../page.py", "..%2fpage.py", "vendor/../../page.py", "desk/../app.css", "nothing.css", "vendor/.hidden", "/etc/passwd"])
def test_other_files_are_not_served(clinic: Demo, name: str) -> None:
    assert clinic.person().http.get(f"/ui/static/{name}").status_code == 404


def test_a_live_page_gets_a_ticket_and_a_visitor_none(clinic: Demo) -> None:
    given = clinic.person("receptionist").post("live").json
    assert set(given) == {"ticket", "hub", "path"} and given["path"] == f"/t/{clinic.slug}/events"
    assert clinic.person().post("live").status_code == 403
