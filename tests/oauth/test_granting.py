"""Which scopes are granted: smart-checklist section L. The functions that the consent page and the endpoints share."""

import pytest
from authlib.oauth2.rfc6749.errors import InvalidScopeError

from fhir_server.conformance.registry import base_registry
from fhir_server.security.oauth import granting
from fhir_server.security.roles import roles
from tests.oauth.place import Place

_APP = "openid fhirUser launch launch/patient launch/encounter offline_access patient/*.cruds user/*.cruds"


def _granted(place: Place, asked: str, registered: str = _APP, role: str = "service", **metadata: object) -> str:
    app = place.app(scope=registered, **metadata)
    return " ".join(granting.for_user(asked, app.client, roles()[role], base_registry()))


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        pytest.param("patient/*.rs", "patient/*.rs", id="smart-118"),
        pytest.param("patient/*.read user/Observation.write patient/Patient.*", "patient/*.read user/Observation.write patient/Patient.*", id="smart-121-v1-in-v1"),
        pytest.param("patient/Observation.rs patient/Observation.rs", "patient/Observation.rs", id="once"),
        pytest.param("patient/Observation.sr patient/Observation.dus patient/*.readonly patient/*.", "", id="smart-122"),
        pytest.param("patient/Observation.rs?category=http://x|laboratory", "patient/Observation.rs?category=http://x|laboratory", id="smart-126-bar"),
        pytest.param("patient/Observation.rs?category=http://x%7Claboratory", "patient/Observation.rs?category=http://x%7Claboratory", id="smart-126-encoded"),
        pytest.param("patient/Observation.rs?code:in=http://vs patient/Observation.rs?subject.name=x patient/Observation.rs?_has:X:y:z=1", "", id="smart-127"),
        pytest.param("patient/Observation.rs?nonsense=1", "", id="smart-127-unknown-parameter"),
        pytest.param("system/*.rs system/Patient.r operator", "", id="smart-128"),
        pytest.param("patient/Nonsense.rs nonsense profile launch/nothing", "", id="smart-131-unknown"),
        pytest.param("nonsense patient/Patient.r", "patient/Patient.r", id="smart-131-ignored"),
        pytest.param("launch/patient?role=x launch/encounter openid", "launch/patient?role=x launch/encounter openid", id="smart-155"),
    ],
)  # fmt: skip
def test_what_a_client_registered_for_all_gets(place: Place, asked: str, granted: str) -> None:
    assert _granted(place, asked) == granted


@pytest.mark.parametrize(
    ("asked", "registered", "granted"),
    [
        ("patient/*.cruds", "patient/*.rs", "patient/*.rs"),
        ("patient/*.*", "patient/*.rs", "patient/*.read"),
        ("patient/*.*", "patient/*.crus", "patient/*.read patient/*.cu"),
        ("patient/*.write", "patient/*.rs", ""),
        ("patient/*.rs", "patient/Patient.r patient/Observation.rs", "patient/Patient.r patient/Observation.rs"),
        ("patient/Observation.rs", "patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"),
        ("patient/Observation.read", "patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"),
        ("user/Observation.rs", "patient/*.rs", ""),
        ("openid fhirUser offline_access", "openid", "openid"),
    ],
)
def test_never_more_than_the_registration(place: Place, asked: str, registered: str, granted: str) -> None:
    """smart-129"""
    assert _granted(place, asked, registered) == granted


@pytest.mark.parametrize(
    ("role", "asked", "granted"),
    [
        ("patient", "patient/*.rs patient/Appointment.cruds", "patient/*.rs patient/Appointment.crus"),
        ("patient", "user/Patient.rs user/Patient.cud", "user/Patient.rs"),
        ("billing", "user/Observation.rs user/Invoice.cruds", "user/Invoice.cruds"),
        ("practitioner", "user/Patient.cruds", "user/Patient.crus"),
        ("receptionist", "patient/Condition.rs", ""),
    ],
)
def test_never_more_than_the_role(place: Place, role: str, asked: str, granted: str) -> None:
    """smart-129"""
    assert _granted(place, asked, role=role) == granted


def test_lasting_access_only_for_clients_that_refresh(place: Place) -> None:
    """smart-101 smart-129"""
    assert _granted(place, "offline_access patient/*.rs", grant_types=["authorization_code"]) == "patient/*.rs"


def test_three_hundred_scopes(place: Place) -> None:
    """smart-131"""
    names = base_registry().resource_types
    asked = " ".join(f"patient/{name}.{letters}" for name in names for letters in ("r", "s", "rs"))
    assert len(asked.split()) >= 300
    assert _granted(place, asked) == asked
    app = place.app()
    tokens = place.tokens(app, f"openid offline_access {asked}")
    assert place.refresh(app, tokens["refresh_token"]).json["scope"] == tokens["scope"]


@pytest.mark.parametrize("scope", ["patient/*.rs", "openid patient/Observation.read", "user/*.rs patient/Patient.r"])
def test_patient_scopes_need_a_patient(place: Place, scope: str) -> None:
    """smart-130"""
    with pytest.raises(InvalidScopeError):
        place.grant(place.app(), place.user(), scope, patient="")
    assert granting.needs_patient(scope.split())
    assert not granting.needs_patient(["openid", "user/*.rs"])


@pytest.mark.parametrize(
    ("asked", "granted", "fits"),
    [
        ("patient/*.rs", "patient/*.rs", True),
        ("patient/Observation.r", "patient/*.rs", True),
        ("patient/Observation.rs?category=x", "patient/*.read", True),
        ("patient/Observation.rs", "patient/Observation.rs?category=x", False),
        ("patient/Observation.rs?category=x", "patient/Observation.rs?category=y", False),
        ("patient/*.rs", "patient/Observation.rs", False),
        ("patient/*.cruds", "patient/*.rs", False),
        ("user/Observation.rs", "patient/*.rs", False),
        ("openid", "patient/*.rs", False),
        ("", "patient/*.rs", False),
    ],
)
def test_a_part_of_what_was_granted(asked: str, granted: str, fits: bool) -> None:
    """smart-109 smart-123"""
    if fits:
        assert granting.part(asked, granted) == asked
    else:
        with pytest.raises(InvalidScopeError):
            granting.part(asked, granted)
