"""SMART from Python: fhirclient (PyPI) with a user who signs in, and back-end services with a key, as integrators do it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner
from fhirclient import client as smart
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from lxml import html

from fhir_server.cli import commands

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Operate = Callable[..., Any]
PASSWORD = "rivage lampe ortie 42"
REDIRECT = "https://app.example/cb"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "openid fhirUser offline_access patient/Patient.rs patient/Observation.rs"


@pytest.fixture(scope="module")
def operate(tenant: "TestTenant", tmp_path_factory: pytest.TempPathFactory) -> Operate:
    """Runs a command of the operator's on the module's tenant; a dict becomes a file."""
    file = tmp_path_factory.mktemp("operator") / "client.json"

    def run(*arguments: str | dict[str, Any]) -> Any:
        given = []
        for each in arguments:
            if isinstance(each, dict):
                file.write_text(json.dumps(each))
            given.append(str(file) if isinstance(each, dict) else each)
        result = CliRunner().invoke(commands, [*given, "--tenant", tenant.slug, "--json"], standalone_mode=False)
        if result.exception:
            raise result.exception
        return json.loads(result.stdout)

    return run


@pytest.fixture(scope="module")
def amina(tenant: "TestTenant", operate: Operate) -> str:
    """A patient with an account and an observation: the patient's id."""
    fhir = tenant.client()
    made: str = fhir.create({"resourceType": "Patient", "name": [{"family": "Benali", "given": ["Amina"]}]})["id"]
    subject = {"reference": f"Patient/{made}"}
    fhir.create({"resourceType": "Observation", "status": "final", "code": {"text": "Hb"}, "subject": subject})
    who = ("--email", "amina@clinic.example", "--password", PASSWORD, "--role", "patient")
    operate("user", "create", *who, "--resource", f"Patient/{made}")
    return made


def _send(browser: httpx.Client, page: httpx.Response, **filled: str) -> httpx.Response:
    """Fill in the page's first form that has these fields, and send it."""
    names = set(filled) - {"decision"}
    form = next(form for form in html.fromstring(page.text).forms if names <= set(form.fields.keys()))
    values = {**{name: value for name, value in form.form_values() if name not in filled}}
    ticked = [(name, value) for name, value in form.form_values() if name in ("allow", "narrow") or " " in name]
    data: dict[str, Any] = {**values, **filled}
    for name in dict.fromkeys(name for name, _ in ticked):
        data[name] = [value for each, value in ticked if each == name]
    return browser.post(urljoin(str(page.url), form.action), data=data)


def _walk(url: str) -> str:
    """What a person does at the authorization URL; the URL of the app where they arrive."""
    with httpx.Client(follow_redirects=True) as browser:
        page = _send(browser, browser.get(url), username="amina@clinic.example", password=PASSWORD)
        assert "Amina Benali" in page.text, page.text
        browser.follow_redirects = False
        return str(_send(browser, page, decision="allow").headers["location"])


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
def test_a_user_lets_a_python_app_in(operate: Operate, base: str, amina: str, method: str) -> None:
    # smart-63 (public, symmetric), smart-107, smart-110
    made = operate(
        "client", "create",
        {
            "client_name": "Notebook", "redirect_uris": [REDIRECT], "scope": f"launch/patient {SCOPE}",
            "token_endpoint_auth_method": method, "grant_types": ["authorization_code", "refresh_token"],
        },
    )  # fmt: skip
    settings = {"app_id": made["client_id"], "api_base": base, "redirect_uri": REDIRECT, "scope": SCOPE}
    app = smart.FHIRClient(settings={**settings, "app_secret": made.get("client_secret")})
    try:
        app.prepare()
        assert app.server.auth.auth_type == "oauth2"
        app.handle_callback(_walk(app.authorize_url))
        assert app.patient_id == amina
        assert app.patient.name[0].family == "Benali"
        found = Observation.where({"subject": f"Patient/{amina}"}).perform_resources(app.server)
        assert [each.code.text for each in found] == ["Hb"]
        before = app.server.auth.access_token
        assert app.reauthorize()
        assert app.server.auth.access_token != before
        assert Patient.read(amina, app.server).id == amina
    finally:
        app.server.session.close()


@pytest.mark.parametrize(
    ("alg", "key"),
    [("ES384", ECKey.generate_key("P-384", {"kid": "e"})), ("RS384", RSAKey.generate_key(2048, {"kid": "r"}))],
    ids=["ES384", "RS384"],
)
def test_a_back_end_service(operate: Operate, base: str, amina: str, alg: str, key: ECKey | RSAKey) -> None:
    # smart-69, smart-116, smart-174, smart-175, smart-183
    client_id = f"lab-{alg}"
    operate(
        "client", "create",
        {
            "client_id": client_id, "client_name": "Laboratory", "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"], "scope": "system/Patient.rs system/Observation.cruds",
            "jwks": {"keys": [key.as_dict(private=False)]},
        },
    )  # fmt: skip
    with httpx.Client() as http:
        endpoint = http.get(f"{base}/.well-known/smart-configuration").json()["token_endpoint"]
        claims = {"iss": client_id, "sub": client_id, "aud": endpoint, "exp": int(time.time()) + 240, "jti": str(uuid4())}
        signed = jwt.encode({"alg": alg, "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=[alg])
        form = {"grant_type": "client_credentials", "scope": "system/Patient.rs system/Observation.rs"}
        form |= {"client_assertion_type": ASSERTION, "client_assertion": signed}
        token = http.post(endpoint, data=form).json()
        assert (token["token_type"], token["scope"], token["expires_in"] <= 300) == ("Bearer", form["scope"], True)
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        assert http.get(f"{base}/Patient/{amina}").json()["id"] == amina
        assert http.get(f"{base}/Observation", params={"patient": amina}).json()["total"] == 1
        assert http.delete(f"{base}/Patient/{amina}").status_code == 403
        again = http.post(endpoint, data=form)
        assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


def test_the_library_as_a_back_end_service(operate: Operate, base: str, amina: str, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-384", {"kid": "p"})
    operate(
        "client", "create",
        {
            "client_id": "nightly", "token_endpoint_auth_method": "private_key_jwt", "scope": "system/Patient.rs",
            "grant_types": ["client_credentials"], "jwks": {"keys": [key.as_dict(private=False)]},
        },
    )  # fmt: skip
    endpoint = f"{base.removesuffix('fhir')}oauth/token"
    claims = {"iss": "nightly", "sub": "nightly", "aud": endpoint, "exp": int(time.time()) + 240, "jti": str(uuid4())}
    signed = jwt.encode({"alg": "ES384", "kid": "p"}, claims, key, algorithms=["ES384"])
    settings = {"app_id": "nightly", "api_base": base, "scope": "system/Patient.rs", "jwt_token": signed}
    app = smart.FHIRClient(settings=settings)
    app.wants_patient = False
    try:
        app.prepare()
        app.authorize()
        assert Patient.read(amina, app.server).name[0].family == "Benali"
    finally:
        app.server.session.close()
