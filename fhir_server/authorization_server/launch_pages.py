"""Opening a SMART app from a patient's record: the list of apps, and the launch that sends the browser to one.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
"""

from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, request

from fhir_server.authorization_server import browser, consent_page, picker
from fhir_server.interactions.worlds import world
from fhir_server.rest import dispatch
from fhir_server.security import throttle
from fhir_server.security.oauth import clients, launch
from fhir_server.security.oauth.clients import Client
from fhir_server.security.oauth.urls import Realm, urls
from fhir_server.security.roles import roles

bp = Blueprint("launch", __name__)
browser.guard(bp)


@bp.route("/t/<slug>/oauth/launch", methods=["GET", "POST"])
def launch_page(slug: str) -> Response:
    """Query: patient, encounter (ids; the latter may be missing). Lists the apps, or opens the one that was chosen."""
    known = world(dispatch.session(), slug)
    db, tenant = browser.enter(slug)
    realm = Realm(tenant.id, urls(browser.origin(), slug), known.registry)
    patient_id, encounter_id = request.args.get("patient", ""), request.args.get("encounter") or None
    url = f"/t/{slug}/oauth/launch?{urlencode(_query(patient_id, encounter_id))}"
    me = browser.signed_in(slug)
    if me is None:
        return browser.redirect(browser.login_url(slug, url))
    if "launch" not in roles()[me.user.role].may:
        return browser.page("error.html", status=403, reason="launch")
    place = picker.place(db, realm, slug, me.user, me.auth_time)
    throttle.check(db, tenant.id, "picker", me.user.id)
    person = picker.patient(place, patient_id)
    if person is None or (encounter_id and not picker.is_visit_of(place, encounter_id, patient_id)):
        return browser.page("error.html", status=404, reason="patient")
    browser.enter(slug)
    apps = [each for each in clients.find_all(db, tenant.id) if can_be_launched(each)]
    if request.method == "POST":
        browser.check_csrf()
        chosen = next((each for each in apps if each.client_id == request.form.get("client_id")), None)
        if chosen is None:
            return browser.page("error.html", status=400, reason="client")
        context = launch.launch_context(patient_id, encounter_id)
        value = launch.create(db, tenant.id, client_id=chosen.client_id, user_id=me.user.id, context=context)
        db.commit()
        return browser.redirect(launch.app_url(chosen, realm.urls.fhir, value) or "")
    origins = [origin for each in apps for origin in (_origin(each.launch_uri or ""), *sorted(each.origins))]
    day = consent_page.day_in(browser.language(slug))
    return browser.page("launch.html", leads_to=origins, url=url, person=person, apps=apps, day=day, host=_host)


def can_be_launched(client: Client) -> bool:
    """Whether a client is an app with a launch URL that may ask for the scope `launch`."""
    usual = client.active and "authorization_code" in client.grant_types
    return usual and bool(client.launch_uri) and "launch" in client.scope.split()


def _query(patient_id: str, encounter_id: str | None) -> dict[str, str]:
    return {"patient": patient_id} | ({"encounter": encounter_id} if encounter_id else {})


def _host(client: Client) -> str:
    return urlsplit(client.launch_uri or "").netloc


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
