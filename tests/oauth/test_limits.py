"""Too much, too often, and anything at all: smart-checklist 71, 73, 244."""

import json
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import TestTenant
from tests.oauth.place import FORM, Place, basic, error, request
from tests.work import Work

_NAMES = [
    "grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "refresh_token", "scope",
    "client_assertion", "client_assertion_type", "token", "token_type_hint",
]  # fmt: skip
_VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]),
)


@pytest.mark.usefixtures("one_window")
@pytest.mark.parametrize("endpoint", ["token", "introspect"])
def test_failing_often_is_slowed_down_for_the_one_who_fails(new_tenant: Callable[[], TestTenant], endpoint: str) -> None:
    """smart-244"""
    place = Place(new_tenant())
    app, other = place.app("client_secret_basic"), place.app("client_secret_basic")
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
    answers = [place.post(endpoint, form, authorization=basic(app.id, "wrong")) for _ in range(130)]
    assert error(answers[0]) == (401, "invalid_client")
    assert error(answers[-1]) == (429, "temporarily_unavailable") and int(answers[-1].headers["Retry-After"]) > 0
    assert place.call(other, endpoint, form).status != 429


def test_wrong_secrets_and_unknown_clients_take_as_long(place: Place) -> None:
    """smart-73: the same questions to the database, and as much of the processor, whatever else it does: the best of
    interleaved samples. A difference by design (a hash of a password, another query) shows."""
    app = place.app("client_secret_basic")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    asks = {"wrong": basic(app.id, "wrong" * 9), "unknown": basic("f" * 32, "wrong" * 9)}
    work = Work()
    for _ in range(50):
        for name, header in asks.items():
            with work.of(name):
                assert place.post("token", form, authorization=header).status == 401
    assert work.statements["wrong"] == work.statements["unknown"]
    wrong, unknown = (min(times) for times in work.seconds.values())
    assert abs(wrong - unknown) < 0.3 * max(wrong, unknown)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    form=st.dictionaries(st.one_of(st.sampled_from(_NAMES), st.text(max_size=8)), _VALUES, max_size=8),
    header=st.one_of(st.none(), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)),
    endpoint=st.sampled_from(["token", "introspect", "revoke"]),
)
def test_any_form_is_answered(place: Place, form: dict[str, str], header: str | None, endpoint: str) -> None:
    """smart-71"""
    more = {} if header is None else {"authorization": header}
    body = urlencode(form, errors="surrogatepass")
    answer = request("POST", place.url(endpoint), body, content_type=FORM, **more)
    assert answer.status in (200, 400, 401, 429), answer.text
    assert isinstance(json.loads(answer.body or b"null"), dict | None)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=200), kind=st.sampled_from([FORM, f"{FORM}; charset=utf-16", "multipart/form-data", ""]))
def test_any_bytes_are_answered(place: Place, body: bytes, kind: str) -> None:
    """smart-71"""
    for endpoint in ("token", "introspect", "revoke"):
        assert error(request("POST", place.url(endpoint), body, content_type=kind))[0] in (400, 401, 429)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_MEMBERS = [
    "redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "scope", "jwks", "jwks_uri",
    "client_name", "contacts", "logo_uri", "launch_url", "application_type",
]  # fmt: skip


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(metadata=st.dictionaries(st.sampled_from(_MEMBERS), _JSON | st.just(["https://app.example/cb"]), max_size=8))
def test_any_metadata_is_judged(metadata: dict[str, object]) -> None:
    """smart-71"""
    from authlib.oauth2.rfc6749.errors import OAuth2Error

    from fhir_server.security.oauth.client_metadata import check_metadata

    with suppress(OAuth2Error):
        assert check_metadata(metadata)["redirect_uris"]
