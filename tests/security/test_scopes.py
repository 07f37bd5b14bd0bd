"""Scopes are enforced as they are parsed."""

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.context import Principal
from fhir_server.core.errors import Invalid
from fhir_server.security.access import Access
from fhir_server.security.scopes import parse_scopes

TABLE = [
    ("system/*.cruds", "Patient", "cruds", ""),
    ("system/Patient.rs", "Patient", "rs", "cud"),
    ("system/Patient.rs", "Observation", "", "cruds"),
    ("system/Patient.rs system/Observation.c", "Observation", "c", "ruds"),
    ("system/*.read", "Claim", "rs", "cud"),
    ("system/*.write", "Claim", "cud", "rs"),
    ("system/*.*", "Claim", "cruds", ""),
    ("user/Patient.r", "Patient", "r", "cuds"),
    ("operator", "Patient", "", "cruds"),
]


@pytest.mark.parametrize(("text", "resource_type", "granted", "refused"), TABLE)
def test_letters(text: str, resource_type: str, granted: str, refused: str) -> None:
    scopes = parse_scopes(text)
    assert all(scopes.allows(resource_type, letter) for letter in granted)
    assert not any(scopes.allows(resource_type, letter) for letter in refused)


@pytest.mark.parametrize(
    "text",
    ["", " ", "system/Patient", "system/Patient.", "system/Patient.sr", "system/Patient.x",
     "system/patient.rs", "system/*.rs?category=laboratory", "patient/Observation.read?category=laboratory",
     "patient/Observation.rs?", "launch/Patient", "*"],
)  # fmt: skip
def test_what_cannot_be_enforced_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_scopes(text)


def test_types_by_letter() -> None:
    scopes = parse_scopes("system/Patient.rs system/Observation.r")
    assert scopes.types("r") == {"Patient", "Observation"}
    assert scopes.types("s") == {"Patient"}
    assert scopes.types("d") == frozenset()
    assert parse_scopes("system/*.r").types("r") is None


def test_a_scope_that_cannot_be_enforced_takes_nothing_from_the_others() -> None:
    """A parameter may go after the token was made: its scope then gives no right, and the rest stays."""
    scopes = parse_scopes("system/Observation.rs?gone=x system/Observation.s?category=vital-signs system/Patient.rs")
    access = Access(base_registry(), Principal("tests", scopes, None))
    assert access.readable("r") == {"Patient"}
    assert access.readable("s") == {"Patient", "Observation"}
