"""What references point to is looked at where it is known: in the Bundle, contained, or what the scope resolves."""


import pytest

from fhir_server.core.errors import Issue
from fhir_server.validation.profile import profile_issues
from tests.validation.profiles.kit import URL, Json, el, profile, scope_of, slicing

BORN = profile("Patient", el("Patient.birthDate", min=1), name="born")


def subject(**content: object) -> Json:
    """A profile of Observation whose subject is a Patient that is born."""
    kind = {"code": "Reference", "targetProfile": [f"{URL}born"], **content}
    return profile("Observation", el("Observation.subject", type=[kind]))


def observation(reference: str) -> Json:
    """An Observation of somebody."""
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": reference}}


def bundle(*patients: Json) -> Json:
    """A Bundle of an Observation and its Patients."""
    entries = [{"fullUrl": f"urn:uuid:0000000{n}-0000-4000-8000-000000000000", "resource": p} for n, p in enumerate(patients)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


FIRST = "urn:uuid:00000000-0000-4000-8000-000000000000"
GOOD, BAD = {"resourceType": "Patient", "id": "p", "birthDate": "2000"}, {"resourceType": "Patient", "id": "p"}


def said(resource: Json, *definitions: Json, held: Json | None = None, **known: Json) -> list[Issue]:
    """The issues of an Observation, in a Bundle or not."""
    return profile_issues(scope_of(BORN, *definitions, resolve=known.get), resource, f"{URL}tried", bundle=held)


@pytest.mark.parametrize("reference", [FIRST, "Patient/p"])
def test_an_entry_of_the_same_bundle_is_looked_at(reference: str) -> None:
    assert said(observation(reference), subject(), held=bundle(GOOD)) == []
    assert [i.expression for i in said(observation(reference), subject(), held=bundle(BAD))] == ["Observation.subject"]


def test_what_the_scope_resolves_is_looked_at() -> None:
    scope = scope_of(BORN, subject(), resolve=lambda reference: BAD if reference == "Patient/p" else None)
    assert [i.expression for i in profile_issues(scope, observation("Patient/p"), f"{URL}tried")] == ["Observation.subject"]
    assert profile_issues(scope, observation("Patient/other"), f"{URL}tried") == []


def test_bundled_only() -> None:
    bundled = subject(aggregation=["bundled"])
    assert said(observation("Patient/p"), bundled, held=bundle(GOOD)) == []
    assert [i.code for i in said(observation("Patient/q"), bundled, held=bundle(GOOD))] == ["value"]
    # Outside of a Bundle it cannot be told.
    assert said(observation("Patient/q"), bundled) == []


def test_an_unknown_target_profile_is_a_warning() -> None:
    kind = {"code": "Reference", "targetProfile": [f"{URL}unknown"]}
    tried = profile("Observation", el("Observation.subject", type=[kind]))
    assert [(i.severity, i.code) for i in said(observation("Patient/p"), tried)] == [("warning", "not-found")]


def test_a_bundle_s_profile_looks_into_its_entries() -> None:
    tried = [
        profile("Bundle", el("Bundle.entry.resource", type=[{"code": "Observation", "profile": [f"{URL}seen"]}])),
        {**subject(), "url": f"{URL}seen", "name": "seen"},
    ]
    held = bundle(observation("Patient/p"), GOOD)
    issues = profile_issues(scope_of(BORN, *tried), held, f"{URL}tried")
    assert [i.expression for i in issues] == ["Bundle.entry[1].resource"]
    held = bundle(observation("Patient/p"), BAD)
    issues = profile_issues(scope_of(BORN, *tried), held, f"{URL}tried")
    assert "Bundle.entry[0].resource.subject" in [i.expression for i in issues]


def test_where_it_stands_can_be_said() -> None:
    place = (((None, "Bundle", None), "entry", 3), "resource", None)
    issues = profile_issues(scope_of(profile("Patient", el("Patient.name", min=1))), GOOD, f"{URL}tried", path=place)
    assert [i.expression for i in issues] == ["Bundle.entry[3].resource.name"]


def test_what_is_stored_elsewhere_is_no_error() -> None:
    scope = scope_of(BORN, subject(), resolve=lambda reference: BAD if reference == "Patient/p" else None)
    assert [i.severity for i in profile_issues(scope, observation("Patient/p"), f"{URL}tried")] == ["warning"]


RESULT = "DiagnosticReport.result"
SLICED = profile(
    "DiagnosticReport", el(RESULT, slicing=slicing("value:resolve().status", rules="closed")),
    el(f"{RESULT}:final", min=1, type=[{"code": "Reference", "targetProfile": [f"{URL}final"]}]),
)  # fmt: skip
FINAL = profile("Observation", el("Observation.status", fixedCode="final"), name="final")


def report(*references: str) -> Json:
    """A DiagnosticReport with results."""
    found = [{"reference": reference} for reference in references]
    return {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"}, "result": found}


def test_slices_that_depend_on_what_is_not_at_hand_are_not_missing() -> None:
    known = {"Observation/a": observation("Patient/p"), "Observation/b": {**observation("Patient/p"), "status": "amended"}}
    scope = scope_of(SLICED, FINAL, resolve=known.get)

    def found(*references: str) -> list[tuple[str, str | None]]:
        issues = profile_issues(scope, report(*references), f"{URL}tried")
        return [(issue.severity, issue.expression) for issue in issues]

    assert found("Observation/a") == []
    assert found("Observation/b") == [("error", f"{RESULT}[0]"), ("error", RESULT)]
    assert found("Observation/elsewhere") == [("information", RESULT)]
    assert found("Observation/elsewhere", "Observation/a") == []
