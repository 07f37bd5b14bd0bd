"""The OAuth endpoints of a tenant that programs call: token, introspect, revoke, register, userinfo, keys, metadata.

Views parse, call `security/oauth`, and render. Pages for people are in signin.py, account.py and authorization.py.
"""

from collections.abc import Callable
from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidClientError
from flask import Blueprint, Response, request

from fhir_server.authorization_server import answers
from fhir_server.security import throttle
from fhir_server.security.oauth import (
    client_auth,
    discovery,
    forms,
    id_tokens,
    registration,
    style,
    token_state,
    tokens,
)
from fhir_server.security.oauth.forms import Form
from fhir_server.security.oauth.urls import Realm, Urls
from fhir_server.storage import oauth_clients
from fhir_server.storage.session import Session

bp = Blueprint("oauth", __name__)

_ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_FORM_LIMIT = 256 * 1024
_KEYS_SECONDS, _METADATA_SECONDS, _STYLE_SECONDS = 300, 300, 31_536_000
FormWork = Callable[[Session, Realm, Form, str | None], Any]


def _form_endpoint(slug: str, kind: str, work: FormWork, *, cross_origin: bool) -> Response:
    """An endpoint that takes a form by POST. `kind`: how it is throttled."""
    if request.method == "OPTIONS":
        return answers.preflight(slug, "POST")
    if request.method != "POST":
        return answers.wrong_method("POST")
    sent = answers.body(_FORM_LIMIT)
    authorization = request.headers.get("Authorization")

    def answer(db: Session, realm: Realm) -> Response:
        form = forms.parse(sent, request.headers.get("Content-Type", ""), request.query_string.decode("latin-1"))
        parties = (client_auth.named_client(form, authorization), answers.address())
        throttle.check(db, realm.tenant_id, kind, *parties)
        try:
            return answers.reply(work(db, realm, form, authorization))
        except InvalidClientError:
            throttle.failed(db, realm.tenant_id, kind, *parties)
            raise

    return answers.respond(slug, answer, cross_origin=cross_origin)


@bp.route("/t/<slug>/oauth/token", methods=_ANY, provide_automatic_options=False)
def token(slug: str) -> Response:
    """RFC 6749 section 3.2."""
    return _form_endpoint(slug, "token", tokens.answer, cross_origin=True)


@bp.route("/t/<slug>/oauth/introspect", methods=_ANY, provide_automatic_options=False)
def introspect(slug: str) -> Response:
    """RFC 7662."""
    return _form_endpoint(slug, "introspect", token_state.introspect, cross_origin=False)


@bp.route("/t/<slug>/oauth/revoke", methods=_ANY, provide_automatic_options=False)
def revoke(slug: str) -> Response:
    """RFC 7009."""
    return _form_endpoint(slug, "revoke", token_state.revoke, cross_origin=True)


@bp.route("/t/<slug>/oauth/userinfo", methods=_ANY, provide_automatic_options=False)
def userinfo(slug: str) -> Response:
    """OpenID Connect Core section 5.3."""
    if request.method == "OPTIONS":
        return answers.preflight(slug, "GET, POST")
    if request.method not in ("GET", "POST"):
        return answers.wrong_method("GET", "POST")
    authorization = request.headers.get("Authorization")
    return answers.respond(
        slug, lambda db, realm: answers.reply(token_state.userinfo(db, realm, authorization)), cross_origin=True
    )


# -- registration ------------------------------------------------------------------------------------------------------


@bp.route("/t/<slug>/oauth/register", methods=_ANY, provide_automatic_options=False)
def register(slug: str) -> Response:
    """RFC 7591."""
    if request.method != "POST":
        return answers.wrong_method("POST")
    sent = answers.body(registration.LONGEST)

    def answer(db: Session, realm: Realm) -> Response:
        throttle.check(db, realm.tenant_id, "register", answers.address())
        return answers.reply(registration.register(db, realm, sent), 201)

    return answers.respond(slug, answer)


@bp.route("/t/<slug>/oauth/register/<client_id>", methods=_ANY, provide_automatic_options=False)
def registered(slug: str, client_id: str) -> Response:
    """RFC 7592."""
    if request.method not in ("GET", "PUT", "DELETE"):
        return answers.wrong_method("GET", "PUT", "DELETE")
    authorization = request.headers.get("Authorization")
    sent = answers.body(registration.LONGEST) if request.method == "PUT" else b""

    def answer(db: Session, realm: Realm) -> Response:
        throttle.check(db, realm.tenant_id, "register", answers.address())
        if request.method == "GET":
            return answers.reply(registration.read(db, realm, client_id, authorization))
        if request.method == "PUT":
            return answers.reply(registration.change(db, realm, client_id, authorization, sent))
        registration.remove(db, realm, client_id, authorization)
        return answers.reply(None, 204)

    return answers.respond(slug, answer)


# -- what anybody may read ---------------------------------------------------------------------------------------------


@bp.get("/t/<slug>/oauth/jwks")
def jwks(slug: str) -> Response:
    """The public keys of id_tokens. RFC 7517"""
    return answers.respond(
        slug,
        lambda db, realm: answers.published(id_tokens.public_keys(db, realm.tenant_id), _KEYS_SECONDS),
    )


@bp.get("/t/<slug>/oauth/smart-style.json")
def smart_style(slug: str) -> Response:
    """How apps should look. The hash in the URL that apps are given lets it be kept forever."""
    seconds = _STYLE_SECONDS if request.args.get("v") == style.HASH else _METADATA_SECONDS
    return answers.respond(slug, lambda db, realm: answers.published(style.TEXT, seconds))


def _metadata(slug: str, describe: Callable[..., dict[str, Any]]) -> Response:
    def answer(db: Session, realm: Realm) -> Response:
        urls: Urls = realm.urls
        allowed = oauth_clients.dynamic_registration(db, realm.tenant_id)
        return answers.published(describe(urls, registration=allowed), _METADATA_SECONDS)

    return answers.respond(slug, answer)


@bp.get("/t/<slug>/fhir/.well-known/smart-configuration")
def smart_configuration(slug: str) -> Response:
    """https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html"""
    return _metadata(slug, discovery.smart_configuration)


@bp.get("/t/<slug>/oauth/.well-known/openid-configuration")
def openid_configuration(slug: str) -> Response:
    """OpenID Connect Discovery 1.0."""
    return _metadata(slug, discovery.openid_metadata)


@bp.get("/t/<slug>/oauth/.well-known/oauth-authorization-server")
@bp.get("/.well-known/oauth-authorization-server/t/<slug>/oauth")
def authorization_server(slug: str) -> Response:
    """RFC 8414; the second path is the RFC's, the first what clients by OpenID's rule look for."""
    return _metadata(slug, discovery.oauth_metadata)
