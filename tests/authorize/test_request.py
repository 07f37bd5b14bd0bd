"""What the authorization endpoint says to requests, good and bad, before anybody is asked anything."""

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from tests.authorize.conftest import CHALLENGE, PASSWORD, REDIRECT, Clinic
from tests.authorize.surfer import Page, Surfer
from tests.client import ORIGIN


def refused(clinic: Clinic, error: str, **changed: str | None) -> dict[str, str]:
    """The app is told this error, with state and iss, and never a code."""
    answer = Surfer(clinic.tenant.slug).go(clinic.url(**changed)).answer
    assert answer["error"] == error, answer
    assert answer["error_description"]
    assert answer["state"] == "s 1" and answer["iss"] == clinic.issuer
    assert "code" not in answer
    return answer


def page_of_ours(page: Page) -> None:
    """An error page, no redirect."""
    assert page.left is None and page.status == 400
    assert "app.example" not in page.headers.get("Location", "")
    assert "text/html" in page.headers["Content-Type"]


def asks_to_sign_in(page: Page) -> None:
    """The request was accepted."""
    assert page.left is None and page.status == 200, page.text
    assert 'name="username"' in page.text


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        pytest.param("invalid_request", {"response_type": None}, id="smart-33-missing"),
        *(
            pytest.param("unsupported_response_type", {"response_type": kind}, id=f"smart-33-{kind}")
            for kind in ("token", "id_token", "code id_token", "code token", "none", "Code")
        ),
        pytest.param("invalid_request", {"code_challenge": None}, id="smart-34-none"),
        pytest.param("invalid_request", {"code_challenge": ""}, id="smart-34-empty"),
        pytest.param("invalid_request", {"code_challenge_method": None}, id="smart-34-no-method"),
        pytest.param("invalid_request", {"code_challenge_method": "plain"}, id="smart-34-plain"),
        pytest.param("invalid_request", {"code_challenge_method": "s256"}, id="smart-34-case"),
        pytest.param("invalid_request", {"code_challenge": "a" * 42}, id="smart-35-short"),
        pytest.param("invalid_request", {"code_challenge": "a" * 129}, id="smart-35-long"),
        pytest.param("invalid_request", {"code_challenge": "a" * 42 + "="}, id="smart-35-padding"),
        pytest.param("invalid_request", {"code_challenge": "a" * 42 + "é"}, id="smart-35-unicode"),
        pytest.param("invalid_request", {"code_challenge": "a" * 43 + "\n"}, id="smart-35-newline"),
        pytest.param("invalid_request", {"launch": "x"}, id="smart-58-param-without-scope"),
        pytest.param("invalid_request", {"scope": "launch openid user/*.rs"}, id="smart-58-scope-without-param"),
        pytest.param("invalid_scope", {"scope": None}, id="no-scope"),
        pytest.param("invalid_scope", {"scope": "nothing known"}, id="unknown-scopes-only"),
        pytest.param("invalid_scope", {"scope": "patient/Observation.sr patient/Patient.dus patient/X.readonly"}, id="smart-122"),
        pytest.param("request_not_supported", {"request": "eyJ"}, id="request-object"),
        pytest.param("request_uri_not_supported", {"request_uri": "https://evil.test/r"}, id="request-uri"),
        pytest.param("invalid_request", {"response_mode": "fragment"}, id="response-mode"),
        pytest.param("invalid_request", {"prompt": "none login"}, id="prompt-none-and"),
        pytest.param("invalid_request", {"prompt": "whatever"}, id="prompt-unknown"),
        pytest.param("invalid_request", {"max_age": "-1"}, id="max-age"),
        pytest.param("invalid_request", {"nonce": "a\x00b"}, id="nonce-nul"),
        pytest.param("invalid_request", {"nonce": "n" * 513}, id="nonce-long"),
        pytest.param("login_required", {"prompt": "none"}, id="smart-38-none"),
    ],
)
def test_app_is_told(clinic: Clinic, error: str, changed: dict[str, str | None]) -> None:
    refused(clinic, error, **changed)


BASE = f"{ORIGIN}/t/SLUG/fhir"


@pytest.mark.parametrize(
    "aud",
    [
        None, "", "https://evil.test/fhir", f"{ORIGIN}/t/OTHER/fhir", BASE.upper(), f"{BASE}//", f"{BASE}/Patient",
        f"{BASE}?x=1", f"{BASE}#x", f"{BASE} ", f" {BASE}", BASE.replace("testserver", "testserver:80"),
        BASE.replace("testserver", "TESTSERVER"), BASE.replace("http", "https", 1), BASE.replace("/fhir", "/./fhir"),
        BASE.replace("/fhir", "/%66hir"), f"{BASE}/../../t/SLUG/fhir", BASE.replace("testserver", "testserver.evil.test"),
        BASE.replace("//", "//user@"), "/t/SLUG/fhir", BASE.replace("/fhir", "/FHIR"), f"{BASE},{BASE}", f"{BASE}\x00",
    ],
    ids=lambda aud: f"smart-29-{aud!r}",
)  # fmt: skip
def test_audience_that_is_not_ours_gets_no_code(clinic: Clinic, other: Clinic, aud: str | None) -> None:
    if aud is not None:
        aud = aud.replace("SLUG", clinic.tenant.slug).replace("OTHER", other.tenant.slug)
    refused(clinic, "invalid_request", aud=aud)


@pytest.mark.parametrize("slash", ["", "/"])
def test_our_audience_is_taken_with_and_without_slash(clinic: Clinic, slash: str) -> None:
    # smart-29
    asks_to_sign_in(Surfer(clinic.tenant.slug).go(clinic.url(aud=clinic.base + slash)))


@pytest.mark.parametrize(
    "uri",
    [
        None, "", "https://evil.test/cb", "https://app.example.evil.test/cb", "https://evil.test/app.example/cb",
        "http://app.example/cb", "https://app.example/cb/", "https://app.example/cb/x", "https://app.example/cb?x=1",
        "https://app.example/cb#x", "https://app.example/CB", "https://APP.example/cb", "https://app.example:443/cb",
        "https://app.example/x/../cb", "https://app.example/./cb", "https://app.example//cb", "https://app.example/%63b",
        "https://user@app.example/cb", "https://app.example@evil.test/cb", "https://app.example\\@evil.test/cb",
        "https:app.example/cb", "//app.example/cb", "/cb", "javascript:alert(1)", "data:text/html,x",
        " https://app.example/cb", "https://app.example/cb ", "https://app.example/cb\r\nSet-Cookie: a=b",
        "https://app.example/cb\x00", "https://app.example/c\u0431", "https://app.example./cb", "https://*.example/cb",
        "//evil", "/\\evil", "https:evil", "https:///evil.test", "\\\\evil.test", "http://127.0.0.1/cb",
    ],
    ids=lambda uri: f"smart-30-T26-{uri!r}",
)  # fmt: skip
def test_foreign_redirect_uri_gets_a_page_of_ours(clinic: Clinic, uri: str | None) -> None:
    page = Surfer(clinic.tenant.slug).go(clinic.url(redirect_uri=uri))
    page_of_ours(page)
    assert not re.search(r'(href|action|src|content)="(?!/t/|#|data:,|width=|light)', page.text)


@pytest.fixture(scope="module")
def native(clinic: Clinic) -> str:
    return clinic.app(
        "native-app",
        application_type="native",
        redirect_uris=["http://127.0.0.1/cb", "http://[::1]:4000/cb?a=1", "com.example.app:/cb"],
    )


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://[::1]/cb?a=1", "http://[::1]:9/cb?a=1", "com.example.app:/cb"],
    ids=lambda uri: f"smart-31-{uri}",
)
def test_native_loopback_port_may_vary(clinic: Clinic, native: str, uri: str) -> None:
    answer = Surfer(clinic.tenant.slug).go(clinic.url(client_id=native, redirect_uri=uri, prompt="none"))
    assert answer.left is not None and answer.left.startswith(uri + ("&" if "?" in uri else "?"))
    assert answer.answer["error"] == "login_required"


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9/other", "http://127.0.0.1:9/cb/", "http://127.0.0.1:9/cb?x=1", "http://localhost:9/cb",
        "http://127.0.0.2:9/cb", "http://127.1:9/cb", "http://127.0.0.1:99999/cb", "http://127.0.0.1:0/cb",
        "http://127.0.0.1:/cb", "http://127.0.0.1:9x/cb", "http://127.0.0.1.evil.test:9/cb", "http://[::2]:9/cb?a=1",
        "https://127.0.0.1:9/cb", "http://127.0.0.1:9@evil.test/cb", "http://user@127.0.0.1:9/cb", "http://[::1]:9/cb",
        "com.example.app://cb", "com.example.app:/cb2", "COM.example.app:/cb",
    ],
    ids=lambda uri: f"smart-31-{uri}",
)  # fmt: skip
def test_native_client_may_vary_nothing_but_the_port(clinic: Clinic, native: str, uri: str) -> None:
    page_of_ours(Surfer(clinic.tenant.slug).go(clinic.url(client_id=native, redirect_uri=uri, prompt="none")))


def test_loopback_port_is_exact_for_others(clinic: Clinic) -> None:
    # smart-31
    page_of_ours(Surfer(clinic.tenant.slug).go(clinic.url(redirect_uri="http://127.0.0.1:9/cb")))


@pytest.mark.parametrize("client_id", [None, "", "nobody", "suivi-tension\x00", "suivi-tension ", "é", "x" * 1000, "' OR 1=1"])
def test_unknown_client_gets_a_page_of_ours(clinic: Clinic, client_id: str | None) -> None:
    # smart-32
    page_of_ours(Surfer(clinic.tenant.slug).go(clinic.url(client_id=client_id)))


def test_disabled_client_and_other_tenants_client(clinic: Clinic, other: Clinic) -> None:
    # smart-32, smart-242
    gone = clinic.app("disabled-app")
    sql = "UPDATE oauth_client SET status = 'disabled' WHERE tenant_id = $1 AND client_id = 'disabled-app'"
    clinic.do(lambda db: db.run([(sql, (clinic.tenant.id,))]))
    answers = [Surfer(clinic.tenant.slug).go(clinic.url(client_id=each)) for each in (gone, "nobody", "only-there")]
    other.app("only-there")
    answers.append(Surfer(clinic.tenant.slug).go(clinic.url(client_id="only-there")))
    for page in answers:
        page_of_ours(page)
    bodies = {re.sub(r'(client_id=|value=")[^"&]*', "", page.text) for page in answers}
    assert len(bodies) == 1


def test_client_without_the_grant_type(clinic: Clinic) -> None:
    # smart-33
    from joserfc.jwk import ECKey

    key = ECKey.generate_key("P-384", parameters={"kid": "k"}).as_dict(private=False)
    backend = clinic.app(
        grant_types=["client_credentials"], token_endpoint_auth_method="private_key_jwt", scope="system/*.rs",
        jwks={"keys": [key]},
    )  # fmt: skip
    assert refused(clinic, "unauthorized_client", client_id=backend)


@pytest.mark.parametrize(
    "name",
    ["response_type", "scope", "state", "aud", "launch", "code_challenge", "code_challenge_method", "nonce", "prompt", "client_id", "redirect_uri"],
    ids=lambda name: f"smart-28-{name}",
)
@pytest.mark.parametrize("same", [True, False])
def test_repeated_parameter_gets_no_code(clinic: Clinic, name: str, same: bool) -> None:
    asked = clinic.asked(launch="x", nonce="n", prompt="login", scope="launch openid patient/*.rs")
    query = urlencode([*asked.items(), (name, asked[name] if same else "other")])
    for page in (
        Surfer(clinic.tenant.slug).go(f"/t/{clinic.tenant.slug}/oauth/authorize?{query}"),
        Surfer(clinic.tenant.slug).go(f"/t/{clinic.tenant.slug}/oauth/authorize", query),
        Surfer(clinic.tenant.slug).go(f"/t/{clinic.tenant.slug}/oauth/authorize?{urlencode({name: asked[name]})}", urlencode(asked)),
    ):
        if name in ("client_id", "redirect_uri"):
            page_of_ours(page)
        else:
            assert page.answer["error"] == "invalid_request", page.answer


STATES = ["x", "a b+c%20d%2B&=#", "état ☃ 😀 شكرا", "\u202e\u0000\r\n\t\"<>'", "s" * 2048, "%", "+", " ", "%00%ZZ"]


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"smart-36-{state[:12]!r}")
@pytest.mark.parametrize("post", [False, True])
def test_state_comes_back_to_the_byte(clinic: Clinic, state: str, post: bool) -> None:
    surfer, form = Surfer(clinic.tenant.slug), urlencode(clinic.asked(state=state, prompt="none"))
    url = f"/t/{clinic.tenant.slug}/oauth/authorize"
    page = surfer.go(url, form) if post else surfer.go(f"{url}?{form}")
    assert page.left is not None
    assert dict(parse_qsl(urlsplit(page.left).query, keep_blank_values=True))["state"] == state


def test_state_of_bytes_that_are_no_text(clinic: Clinic) -> None:
    # smart-36
    url = clinic.url(state=None, prompt="none") + "&state=%FF%FE%C3%28x"
    left = Surfer(clinic.tenant.slug).go(url).left
    assert left is not None and "state=%FF%FE%C3%28x&" in left


@pytest.mark.parametrize("state", [*STATES, None], ids=lambda state: f"smart-36-{(state or '')[:12]!r}")
def test_state_survives_sign_in_and_consent(clinic: Clinic, state: str | None) -> None:
    surfer, page = clinic.consent(state=state)
    left = surfer.press(page, "decision", "allow").left
    assert left is not None
    assert dict(parse_qsl(urlsplit(left).query, keep_blank_values=True)).get("state") == state


def test_post_of_32_kb_works(clinic: Clinic) -> None:
    # smart-26, smart-37, smart-131
    scope = " ".join([clinic.asked()["scope"], *(f"unknown{n}/thing" for n in range(1500))])
    form = urlencode(clinic.asked(scope=scope, more="x" * 4000))
    assert len(form) > 32 * 1024
    surfer = clinic.surfer("patient")
    page = surfer.go(f"/t/{clinic.tenant.slug}/oauth/authorize", form)
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["scope"] == clinic.asked()["scope"]


def test_post_of_32_kb_survives_the_sign_in(clinic: Clinic) -> None:
    # smart-26, smart-37
    scope = " ".join([clinic.asked()["scope"], *(f"unknown{n}/thing" for n in range(1500))])
    surfer = Surfer(clinic.tenant.slug)
    page = surfer.go(f"/t/{clinic.tenant.slug}/oauth/authorize", urlencode(clinic.asked(scope=scope, state="s" * 4096)))
    page = surfer.sign_in(page, clinic.people["patient"], PASSWORD)
    assert surfer.press(page, "decision", "allow").answer["state"] == "s" * 4096


def test_300_scopes_work_by_get(clinic: Clinic) -> None:
    # smart-131
    from fhir_server.conformance.registry import base_registry

    names = sorted(base_registry().resource_types)
    scope = " ".join([f"patient/{name}.rs" for name in names] + [f"user/{name}.rs" for name in names] + ["openid"] + ["x/y.z"] * 20)
    asks_to_sign_in(Surfer(clinic.tenant.slug).go(clinic.url(scope=scope)))
    surfer, page = clinic.consent(scope=scope)
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert "patient/Observation.rs" in clinic.grant()["scope"].split()


def test_too_long_get_is_414(clinic: Clinic) -> None:
    # smart-37
    page = Surfer(clinic.tenant.slug).go(clinic.url(more="x" * 40_000))
    assert page.status == 414 and page.left is None


def test_too_long_post_is_413(clinic: Clinic) -> None:
    # smart-37
    page = Surfer(clinic.tenant.slug).go(f"/t/{clinic.tenant.slug}/oauth/authorize", urlencode(clinic.asked(more="x" * 300_000)))
    assert page.status == 413 and page.left is None


def test_state_that_cannot_be_carried_gets_a_page(clinic: Clinic) -> None:
    page_of_ours(Surfer(clinic.tenant.slug).go(f"/t/{clinic.tenant.slug}/oauth/authorize", urlencode(clinic.asked(state="s" * 5000))))


def test_unknown_parameters_are_ignored(clinic: Clinic) -> None:
    # smart-27
    asks_to_sign_in(Surfer(clinic.tenant.slug).go(clinic.url(foo="1", request_="2") + "&foo=2&patient=x&decision=allow"))


def test_query_of_the_redirect_uri_survives(clinic: Clinic) -> None:
    # smart-27
    uri = "https://app.example/cb?keep=1&b=%20"
    app = clinic.app(redirect_uris=[uri])
    left = Surfer(clinic.tenant.slug).go(clinic.url(client_id=app, redirect_uri=uri, prompt="none")).left
    assert left is not None and left.startswith(f"{uri}&error=login_required&")


def test_json_post_is_no_request(clinic: Clinic) -> None:
    response = Surfer(clinic.tenant.slug).wsgi.post(f"/t/{clinic.tenant.slug}/oauth/authorize", json=clinic.asked())
    assert response.status_code == 400


@pytest.mark.parametrize("origin", ["https://app.example", "null", "https://evil.test"], ids=lambda o: f"smart-40-{o}")
def test_no_cors(clinic: Clinic, origin: str) -> None:
    wsgi = Surfer(clinic.tenant.slug).wsgi
    for method in ("GET", "POST", "OPTIONS"):
        for path in ("authorize", "authorize/continue", "launch"):
            url = f"/t/{clinic.tenant.slug}/oauth/{path}?{urlencode(clinic.asked())}"
            response = wsgi.open(url, method=method, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
            assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]


def test_unknown_tenant_is_404_with_the_same_page_as_a_suspended_one(clinic: Clinic) -> None:
    # smart-18
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import operator

    operator.create_tenant(session(), "asleep", "asleep", {})
    operator.set_status(session(), "asleep", "suspended")
    found = []
    for slug in ("asleep", "unheard"):
        for path in ("authorize", "authorize/continue", "launch"):
            page = Surfer(slug).go(f"/t/{slug}/oauth/{path}?{urlencode(clinic.asked())}")
            assert page.status == 404
            found.append(re.sub(r"asleep|unheard|authorize(/|%2F)continue|authorize|launch", "", page.text))
    assert len(set(found)) == 1


def test_10000_abandoned_requests_leave_nothing(clinic: Clinic) -> None:
    # smart-245 (a sample of them; what one leaves, ten thousand leave)
    tables = ("oauth_grant", "oauth_code", "oauth_launch", "web_session", "throttle", "audit", "data_key")
    surfer = Surfer(clinic.tenant.slug)
    surfer.go(clinic.url())
    before = {table: clinic.rows(table) for table in tables}
    for number in range(300):
        asks_to_sign_in(surfer.go(clinic.url(state=str(number))))
        Surfer(clinic.tenant.slug).go(clinic.url(state=str(number), nonce=CHALLENGE), follow=False)
    assert {table: clinic.rows(table) for table in tables} == before


def test_descriptions_repeat_nothing_of_the_request(clinic: Clinic) -> None:
    # sec-T23
    evil = "<script>canary</script>"
    page = Surfer(clinic.tenant.slug).go(clinic.url(response_type=evil, state=None))
    assert page.left is not None and quote(evil, safe="") not in page.left and "canary" not in page.left
    page = Surfer(clinic.tenant.slug).go(clinic.url(client_id=evil, redirect_uri=REDIRECT))
    assert evil not in page.text
