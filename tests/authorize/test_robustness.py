"""Whatever is sent to the authorization endpoint, it answers, and never with a fault of its own."""

from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.rest.dispatch import session
from tests.authorize.conftest import Clinic
from tests.authorize.surfer import Surfer

_NAMES = st.sampled_from(
    "response_type client_id redirect_uri scope state aud launch code_challenge code_challenge_method nonce prompt"
    " max_age request ui_locales response_mode decision patient x".split()
)
_PAIRS = st.lists(st.tuples(_NAMES, st.text(max_size=40)), max_size=6)
_FIELDS = st.sampled_from(["csrf", "patient", "encounter", "q", "decision", "allow", "narrow", "category x", "cancel"])


@settings(max_examples=150)
@given(changed=_PAIRS, post=st.booleans())
def test_any_parameters(clinic: Clinic, changed: list[tuple[str, str]], post: bool) -> None:
    query = urlencode({**clinic.asked(), **dict(changed)}, errors="surrogatepass")
    url = f"/t/{clinic.tenant.slug}/oauth/authorize"
    surfer = Surfer(clinic.tenant.slug)
    page = surfer.go(url, query) if post else surfer.go(f"{url}?{query}")
    assert page.left is not None or page.status in (200, 400)
    assert page.left is None or page.left.startswith("https://app.example/cb?")


@settings(max_examples=150)
@given(raw=st.binary(max_size=300))
def test_any_bytes(clinic: Clinic, raw: bytes) -> None:
    wsgi = Surfer(clinic.tenant.slug).wsgi
    url = f"/t/{clinic.tenant.slug}/oauth/authorize"
    form = "application/x-www-form-urlencoded"
    assert wsgi.post(url, data=raw, content_type=form).status_code in (303, 400)
    assert wsgi.get(url, query_string=raw.decode("latin-1").encode("unicode_escape").decode()).status_code in (303, 400)


@settings(max_examples=100)
@given(fields=st.lists(st.tuples(_FIELDS, st.text(max_size=40)), max_size=6))
def test_any_answer_to_picker_and_consent_page(clinic: Clinic, fields: list[tuple[str, str]]) -> None:
    for role, button in (("patient", "decision"), ("practitioner", "q")):
        surfer = clinic.surfer(role)
        form = surfer.go(clinic.url()).form(button)
        token = ("csrf", dict(form.fields)["csrf"])
        page = surfer.go(form.action, urlencode([token, *fields], errors="surrogatepass"))
        assert page.left is not None or page.status in (200, 400, 429)


def test_no_transaction_stays_open(clinic: Clinic) -> None:
    patient = clinic.patients["amina"]
    for role, path in (
        (None, clinic.url()), (None, clinic.url(client_id="nobody")), (None, clinic.url(aud="x")), ("patient", clinic.url()),
        ("practitioner", clinic.url()), ("patient", clinic.url(prompt="none")),
        ("practitioner", f"/t/{clinic.tenant.slug}/oauth/launch?patient={patient}"),
        ("practitioner", f"/t/{clinic.tenant.slug}/oauth/launch?patient=none"), ("patient", clinic.url(launch="x", scope="launch openid")),
    ):  # fmt: skip
        clinic.surfer(role).go(path)
        assert not session().open, path
    surfer, page = clinic.consent()
    surfer.press(page, "decision", "deny")
    assert not session().open
    surfer.press(page, "decision", "allow")
    assert not session().open
