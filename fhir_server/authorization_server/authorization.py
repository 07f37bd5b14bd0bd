"""The authorization endpoint: from an app's request, by way of sign-in, picker and consent, to a code.

RFC 6749 section 4.1, RFC 9700, https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
What is asked is judged in security/oauth/authorize.py; what may be granted in granting.py and consent_choice.py. The
steps between are pages at `authorize/continue`, which know the request from a sealed ticket.
"""

from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from fhir_server.authorization_server import browser, consent_page, picker, tickets
from fhir_server.authorization_server.browser import SignedIn
from fhir_server.authorization_server.tickets import Expired, Ticket
from fhir_server.interactions.worlds import world
from fhir_server.rest import dispatch
from fhir_server.security import throttle
from fhir_server.security.oauth import approve, authorize, clients, granting, launch
from fhir_server.security.oauth.authorize import Asked, Distrusted, Refused
from fhir_server.security.oauth.clients import Client
from fhir_server.security.oauth.urls import Realm, urls
from fhir_server.security.roles import Role, roles
from fhir_server.storage.oauth_launches import Launch

bp = Blueprint("authorize", __name__)
browser.guard(bp)

LONGEST_QUERY = 20_000
_LONGEST_BODY = 256 * 1024
_FORM = "application/x-www-form-urlencoded"
Form = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class Here:
    """The request's tenant, the app and what it asked. `form`: what the user sent from a page of ours, whose token was
    checked; empty otherwise, whatever an app posts."""

    slug: str
    realm: Realm
    client: Client
    ticket: Ticket
    form: Form

    @property
    def asked(self) -> Asked:
        """What the app asked."""
        return self.ticket.asked


# -- the request -------------------------------------------------------------------------------------------------------


@bp.route("/t/<slug>/oauth/authorize", methods=["GET", "POST"])
def authorize_endpoint(slug: str) -> Response:
    """An app's request, by GET or by POST of a form."""
    realm = _realm(slug)
    if len(request.query_string) > LONGEST_QUERY:
        return browser.page("error.html", status=414, reason="long")
    try:
        params = _params()
        client = _client(realm, authorize.client_id(params))
        where = authorize.destination(params, client.accepts_redirect)
    except RequestEntityTooLarge:
        return browser.page("error.html", status=413, reason="long")
    except Distrusted as error:
        return browser.page("error.html", status=400, reason=error.reason)
    try:
        if "authorization_code" not in client.grant_types:
            raise Refused("unauthorized_client", "This client is not registered for authorization_code.")
        ticket = Ticket(authorize.check(params, client.client_id, where, realm.urls.fhir), new=True)
        here = Here(slug, realm, client, ticket, MultiDict())
        # Browsers send no cookie (SameSite) along with an app's POST, only with the GET that follows it.
        return browser.redirect(_continue_url(here)) if request.method == "POST" else _proceed(here)
    except Refused as error:
        return _refusal(realm, where, error)


@bp.route("/t/<slug>/oauth/authorize/continue", methods=["GET", "POST"])
def steps(slug: str) -> Response:
    """The way on after sign-in (GET), and the forms of picker and consent page (POST)."""
    realm = _realm(slug)
    db = dispatch.session()
    try:
        ticket = tickets.open_(db, realm.tenant_id, request.args.get("request", ""))
        client = _client(realm, ticket.asked.client_id)
        if not client.accepts_redirect(ticket.asked.destination.redirect_uri):
            raise Distrusted("redirect")
        form: Form = MultiDict()
        if request.method == "POST":
            browser.check_csrf()
            form = request.form
        return _proceed(Here(slug, realm, client, ticket, form))
    except Expired:
        return browser.page("error.html", status=400, reason="expired")
    except Distrusted as error:
        return browser.page("error.html", status=400, reason=error.reason)
    except Refused as error:
        return _refusal(realm, ticket.asked.destination, error)


def _realm(slug: str) -> Realm:
    place = world(dispatch.session(), slug)
    _, tenant = browser.enter(slug)
    return Realm(tenant.id, urls(browser.origin(), slug), place.registry)


def _params() -> authorize.Params:
    """The parameters of the query and of the form, in order. Bytes that are no UTF-8 are kept as surrogates, so that
    `state` goes back as it came."""
    texts = [request.query_string]
    if request.method == "POST":
        if request.mimetype != _FORM:
            raise Distrusted("form")
        request.max_content_length = _LONGEST_BODY
        texts.append(request.get_data(cache=False))
    found: list[tuple[str, str]] = []
    for text in texts:
        try:
            plain = text.decode("utf-8", "surrogateescape")
            found += parse_qsl(plain, keep_blank_values=True, errors="surrogateescape", max_num_fields=200)
        except ValueError:
            raise Distrusted("form") from None
    return found


def _client(realm: Realm, client_id: str) -> Client:
    client = clients.find(dispatch.session(), realm.tenant_id, client_id)
    if client is None or not client.active:
        raise Distrusted("client")
    return client


def _refusal(realm: Realm, where: authorize.Destination, error: Refused) -> Response:
    dispatch.session().rollback()
    answer = [("error", error.error), ("error_description", error.description)]
    return browser.redirect(where.location(realm.urls.issuer, answer))


# -- the way to the code -----------------------------------------------------------------------------------------------


def _proceed(here: Here) -> Response:
    """The next page that the request needs, or the answer to the app."""
    me = browser.signed_in(here.slug)
    if here.ticket.new:
        here = _arrived(here, me)
    if me is None or me.session_hash.hex() == here.ticket.not_by:
        return _sign_in(here, fresh=me is not None)
    here = replace(here, ticket=here.ticket.of(me.session_hash))
    db, asked = dispatch.session(), here.asked
    role = roles()[me.user.role]
    opened = approve.opened_by(db, here.realm.tenant_id, asked, me.user.id)
    offered = approve.offered(asked, here.client, role, here.realm.registry)
    place = picker.place(db, here.realm, here.slug, me.user, me.auth_time)
    answer = _settle(here, place, offered, opened)
    if isinstance(answer, Response):
        return answer
    here, person = answer
    if "decision" in here.form:
        return _decide(here, me, role, offered, opened)
    # Standalone apps always get the page, for there is no other place where a user can give an app less than before.
    may_skip = "none" in asked.prompt or (opened is not None and not role.personal and "consent" not in asked.prompt)
    context = _context(here, opened)
    if may_skip and approve.granted_before(db, here.realm.tenant_id, here.client, me.user.id, offered, context):
        return _issue(here, me, role, offered, opened)
    _needs_person(asked, "consent_required")
    url = _continue_url(here)
    return consent_page.show(here.slug, here.client, here.asked, here.realm.registry, offered, person, url)


def _arrived(here: Here, me: SignedIn | None) -> Here:
    """The request at first sight: counted for whom it is, and with the sign-in that does not do for it."""
    not_by = ""
    if me is not None:
        throttle.check(dispatch.session(), here.realm.tenant_id, "authorize", me.user.id)
        if approve.is_stale(here.asked, me.auth_time):
            not_by = me.session_hash.hex()
    return replace(here, ticket=replace(here.ticket, new=False, not_by=not_by))


def _settle(
    here: Here, place: picker.Place, offered: str, opened: Launch | None
) -> Response | tuple[Here, picker.Person | None]:
    """Settle patient and encounter: the page that asks for one, or the request with both and the patient."""
    patient_id = str(opened.context["patient"]) if opened else here.ticket.patient
    if patient_id is None and (granting.needs_patient(offered.split()) or _wants(offered, "launch/patient")):
        mine = picker.own_patients(place)
        if mine is not None and len(mine) == 1:
            patient_id = mine[0].id
        else:
            return _pick_patient(here, place, mine)
    if patient_id is None:
        return here, None
    person = picker.patient(place, patient_id)
    if person is None:
        raise Refused("access_denied", "The user may not open the record of this patient.")
    here = replace(here, ticket=replace(here.ticket, patient=patient_id))
    given = opened is not None and "encounter" in opened.context
    if not given and here.ticket.encounter is None and _wants(offered, "launch/encounter"):
        return _pick_encounter(here, place, patient_id)
    return here, person


def _pick_patient(here: Here, place: picker.Place, mine: list[picker.Person] | None) -> Response:
    """The patient picker: what was chosen, or found."""
    chosen, text = here.form.get("patient"), here.form.get("q", "").strip()
    if chosen is not None:
        # Checked again with the next step, which reads the patient as the user.
        if (mine is None or any(each.id == chosen for each in mine)) and picker.patient(place, chosen):
            return browser.redirect(_continue_url(replace(here, ticket=replace(here.ticket, patient=chosen))))
        raise Refused("access_denied", "The user may not open the record of this patient.")
    if "cancel" in here.form:
        raise Refused("access_denied", "The user did not choose a patient.")
    _needs_person(here.asked, "interaction_required")
    people, more, searched = mine or [], False, False
    if mine is None and text:
        throttle.check(dispatch.session(), here.realm.tenant_id, "picker", place.user.id)
        people, more = picker.search(place, text)
        searched = True
    found = consent_page.Found(people, may_search=mine is None, searched=searched, more=more, text=text)
    return consent_page.pick_patient(here.slug, here.client, here.asked, _continue_url(here), found)


def _pick_encounter(here: Here, place: picker.Place, patient_id: str) -> Response | tuple[Here, picker.Person | None]:
    """The encounter picker; an app that asked for one can be told that there is none."""
    chosen = here.form.get("encounter")
    found = [] if chosen else picker.visits(place, patient_id)
    if chosen and not picker.is_visit_of(place, chosen, patient_id):
        raise Refused("access_denied", "The user may not open this encounter.")
    if chosen is not None or not found:
        return browser.redirect(_continue_url(replace(here, ticket=replace(here.ticket, encounter=chosen or ""))))
    _needs_person(here.asked, "interaction_required")
    return consent_page.pick_encounter(here.slug, here.client, here.asked, _continue_url(here), found)


def _decide(here: Here, me: SignedIn, role: Role, offered: str, opened: Launch | None) -> Response:
    """What the consent page's form says."""
    if here.form["decision"] != "allow":
        approve.deny(dispatch.session(), here.realm.tenant_id, here.client, me.user.id, role)
        raise Refused("access_denied", "The user did not allow the access.")
    scope = consent_page.chosen(offered, here.realm.registry, here.form)
    approve.check_offered(scope, "access_denied")
    return _issue(here, me, role, scope, opened)


def _issue(here: Here, me: SignedIn, role: Role, scope: str, opened: Launch | None) -> Response:
    person = approve.Approver(me.user.id, me.session_hash, me.amr, me.auth_time, role)
    browser.enter(here.slug)
    code = approve.issue(
        dispatch.session(), here.realm.tenant_id, here.client, here.asked, person, scope, _context(here, opened)
    )
    return browser.redirect(here.asked.destination.location(here.realm.urls.issuer, [("code", code)]))


def _context(here: Here, opened: Launch | None) -> dict[str, object]:
    """The launch context of the grant."""
    ticket = here.ticket
    found: dict[str, object] = dict(opened.context) if opened else {}
    if not opened and ticket.patient is not None:
        found = {"patient": ticket.patient, "need_patient_banner": True}
    if ticket.encounter:
        found["encounter"] = ticket.encounter
    return {**found, "tenant": launch.organisation(here.realm.tenant_id)}


def _sign_in(here: Here, *, fresh: bool) -> Response:
    _needs_person(here.asked, "login_required")
    url = browser.login_url(here.slug, _continue_url(here), fresh=fresh)
    language = here.asked.ui_locales
    if language and "ui_locales" not in request.args:
        url += f"&{urlencode({'ui_locales': language})}"
    return browser.redirect(url)


def _needs_person(asked: Asked, error: str) -> None:
    if "none" in asked.prompt:
        raise Refused(error, "prompt is none, but the user has to be asked.")


def _continue_url(here: Here) -> str:
    query = {"request": tickets.seal(dispatch.session(), here.realm.tenant_id, here.ticket)}
    if here.asked.ui_locales:
        query["ui_locales"] = here.asked.ui_locales
    return f"/t/{here.slug}/oauth/authorize/continue?{urlencode(query)}"


def _wants(offered: str, word: str) -> bool:
    return word in [each.partition("?")[0] for each in offered.split()]
