"""Whatever expression a client writes, the answer is a result or a `FhirPathError`, never another exception."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import FhirPathError, evaluate, nodes
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.operators import BINARY

RESOURCE: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}], "text": "x"},
    "subject": {"reference": "#p"},
    "contained": [{"resourceType": "Patient", "id": "p", "birthDate": "1980", "active": True}],
    "effectiveDateTime": "2020-01-01T10:00:00+01:00",
    "_issued": {"extension": [{"url": "u", "valueInteger": 3}]},
    "valueQuantity": {"value": 5, "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"},
    "component": [
        {"code": {"text": "a"}, "valueTime": "10:00:00"},
        {"code": {"text": "b"}, "valueRange": {}},
        *[{"code": {"text": kind}, f"_value{kind}": {"id": "1"}} for kind in ("Integer", "Boolean", "DateTime", "String")],
        {"code": {"text": "c"}, "valueQuantity": {"_value": {"id": "1"}, "code": "kg"}},
    ],
}

TERMS = st.sampled_from(
    [
        "{}", "true", "'text'", "'1.5 \\'mg\\''", "'('", "0", "-7", "2147483647", "1.5", "99999999999999999999.9", "@2020",
        "@2020-02-30", "@2020-01-01T10:00:00Z", "@T10:00", "4 days", "1e5 'mg'", "3 'mg'", "$this", "$index", "$total",
        "%resource", "%context", "%ucum", "status", "value", "code", "code.coding", "effective", "issued", "subject",
        "component", "contained", "component.value", "component[2].value", "component[3].value", "component[4].value",
        "component[5].value", "component[6].value", "component[6].value.value", "Observation", "id", "Quantity", "string", "children()",
        "descendants()", "nothing",
    ]
)  # fmt: skip


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from([*BINARY, "&", "and", "or", "xor", "implies", "is", "as"])
    calls = st.builds(
        lambda source, name, arguments: f"({source}).{name}({', '.join(arguments)})",
        inner,
        st.sampled_from(sorted(FUNCTIONS)),
        st.lists(inner, max_size=2),
    )
    return st.one_of(
        calls,
        calls,
        st.builds(lambda left, operator, right: f"({left} {operator} {right})", inner, operators, inner),
        st.builds(lambda source, name: f"{source}.{name}", inner, st.sampled_from(["code", "value", "text", "start"])),
        st.builds(lambda source, at: f"{source}[{at}]", inner, inner),
        st.builds(lambda operand: f"-{operand}", inner),
    )


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(TERMS, grown, max_leaves=6))
def test_composed_expressions(expression: str) -> None:
    try:
        result = evaluate(expression, RESOURCE, base_registry())
    except FhirPathError:
        return
    assert all(len(node) == 3 and isinstance(node[0], str) for node in result)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abc.()[]{}'`\"|&<>=!~+-*/%$@,\\ 019Tand\n", max_size=30))
def test_any_text(expression: str) -> None:
    try:
        evaluate(expression, RESOURCE, base_registry())
    except FhirPathError:
        return


NO_VALUE = ["issued", *[f"component[{i}].value" for i in range(2, 7)], "component[6].value.value"]
OTHERS = ["{}", "1", "1.5", "'a'", "@2020", "@T10:00", "true", "1 'kg'", *NO_VALUE]
OF_TWO = [*[f"%a.{name}(%b)" for name in FUNCTIONS], *[f"%a {sign} %b" for sign in BINARY], "(1 | 2)[%a]", "(%a | %b).sort()"]


def test_every_function_and_operator_on_what_has_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements with nothing but an id or an extension, as the subject and as the argument."""
    # repeatAll() of something that is always there would take all of the work there is.
    monkeypatch.setattr(nodes, "MOST_WORK", 10_000)
    items = {text: evaluate(text, RESOURCE, base_registry()) for text in OTHERS}
    pairs = [pair for a in NO_VALUE for b in OTHERS for pair in ((items[a], items[b]), (items[b], items[a]))]
    for expression in (*OF_TWO, *[f"%a.{name}()" for name in FUNCTIONS], "-%a"):
        for a, b in pairs:
            with suppress(FhirPathError):
                evaluate(expression, RESOURCE, base_registry(), variables={"a": a, "b": b})


NO_TEXT = [r"'a\ud800'", r"`\ud800`", r"'\ude00\ud83d'", r"'\u0000'", "'00'.decode('hex')", r"'\\ud800'.unescape('json')"]


@pytest.mark.parametrize("expression", NO_TEXT)
def test_no_string_is_made_that_cannot_be_answered(expression: str) -> None:
    with pytest.raises(FhirPathError, match=r"A string cannot hold .* \(line 1"):
        evaluate(expression, RESOURCE, base_registry())


def test_surrogates_in_pairs_are_characters() -> None:
    assert evaluate(r"'\ud83d\ude00'.encode('hex')", RESOURCE, base_registry())[0][1] == "f09f9880"
