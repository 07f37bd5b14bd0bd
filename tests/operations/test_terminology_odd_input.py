"""Odd input to the terminology operations: never a failure of the server, never a wrong answer."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.conformance import canonicals
from fhir_server.storage.definitions import DefinitionRow
from tests.client import Client
from tests.conftest import TestTenant
from tests.operations.terminology_resources import FISH, all_of, by, codes, expand, fish, said, value_set
from tests.terminology.imported import import_table

Json = dict[str, Any]
ODD, FOLDED, TABLE = "urn:odd", "urn:folded", "urn:odd:table"
CODES = ["a b", "É", "中文", "a/b", "a|b", "a,b", "a$b", "x" * 400, "%41", "+", "'; --", "\U0001f600", "Straße", "İ"]
VS = "urn:odd:vs"


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client, tenant: TestTenant, tmp_path_factory: pytest.TempPathFactory) -> None:
    client.create(fish())
    concepts = [{"code": code, "display": f"<{code}>"} for code in CODES]
    head = {"resourceType": "CodeSystem", "status": "active", "content": "complete"}
    client.create({**head, "url": ODD, "caseSensitive": True, "concept": concepts})
    client.create({**head, "url": FOLDED, "caseSensitive": False, "concept": concepts})
    client.create(value_set(VS, all_of(ODD)))
    rows = "\n".join(f'"{code}",{number}th' for number, code in enumerate(CODES))
    import_table(tmp_path_factory.mktemp("odd"), tenant.id, TABLE, f"code,display\n{rows}", "1", "Odd")


@pytest.mark.parametrize("system", [ODD, FOLDED, TABLE])
@pytest.mark.parametrize("code", CODES)
def test_any_code_is_found(client: Client, system: str, code: str) -> None:
    path = f"system={quote(system)}&code={quote(code, safe='')}"
    assert said(client.get(f"CodeSystem/$lookup?{path}"), "name")
    assert said(client.get(f"CodeSystem/$validate-code?url={quote(system)}&code={quote(code, safe='')}"), "result") is True
    both = f"system={quote(system)}&codeA={quote(code, safe='')}&codeB={quote(code, safe='')}"
    assert said(client.get(f"CodeSystem/$subsumes?{both}"), "outcome") == "equivalent"
    listed = value_set("urn:x", all_of(system, concept=[{"code": code}]))
    assert codes(expand(client, listed)) == [code]


@pytest.mark.parametrize("code", CODES)
def test_any_code_is_searched(client: Client, code: str) -> None:
    for system in (ODD, TABLE):
        client.create({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": system, "code": code}]}})
        written = quote(code.replace("|", "\\|").replace(",", "\\,").replace("$", "\\$"), safe="")
        answer = client.get(f"Observation?code:below={quote(system)}%7C{written}&_summary=count")
        assert answer.status == 200, answer.text
        assert answer.json["total"] == 1


def test_case_counts_where_the_system_says_so(client: Client) -> None:
    for system, other, found in ((ODD, "A B", False), (FOLDED, "A B", True), (FOLDED, "é", True), (FOLDED, "STRASSE", True)):
        path = f"CodeSystem/$validate-code?url={system}&code={quote(other)}"
        assert said(client.get(path), "result") is found, other
    assert said(client.get(f"CodeSystem/$validate-code?url={FOLDED}&code=A%20B"), "code") == "a b"


LANGUAGES = [
    ("fr", "Saumon de l'Atlantique"), ("fr-MA", "Saumon de l'Atlantique"), ("FR", "Saumon de l'Atlantique"),
    ("de", "Atlantic salmon"), ("de,es;q=0.5", "Salmón"), ("es;q=0.1,fr;q=0.9", "Saumon de l'Atlantique"), ("*", "Atlantic salmon"),
    ("en,fr;q=0.5", "Atlantic salmon"), ("en-US,en;q=0.9,fr;q=0.8", "Atlantic salmon"), ("fr;q=0,es", "Salmón"), (";;,", "Atlantic salmon"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "display"), LANGUAGES)
def test_languages(client: Client, asked: str, display: str) -> None:
    """What a code system that says no language calls its concepts counts as English."""
    path = f"CodeSystem/$lookup?system={FISH}&code=salmon"
    assert said(client.get(path, accept_language=asked), "display") == display
    assert said(client.get(f"{path}&displayLanguage={quote(asked)}"), "display") == display
    listed = value_set("urn:x", by("code", "=", "salmon"))
    assert expand(client, listed, f"?displayLanguage={quote(asked)}")["contains"][0]["display"] == display


def test_the_nearest_of_several_dialects(client: Client) -> None:
    names = [{"language": tag, "value": tag} for tag in ("fr-CA", "fr-BE", "fr", "ar-MA")]
    client.create({"resourceType": "CodeSystem", "url": "urn:odd:dialects", "status": "active", "content": "complete",
                   "language": "es", "concept": [{"code": "x", "display": "es", "designation": names}]})  # fmt: skip
    for asked, best in (("fr-MA", "fr"), ("fr-BE", "fr-BE"), ("fr", "fr"), ("ar", "ar-MA"), ("es-AR,fr", "es"), ("en,fr", "fr")):
        answer = client.get("CodeSystem/$lookup?system=urn:odd:dialects&code=x", accept_language=asked)
        assert said(answer, "display") == best, asked


PAGES = [(0, 0, 0), (13, 5, 1), (14, 5, 0), (2147483647, 2147483647, 0), (0, 2147483647, 14)]


@pytest.mark.parametrize(("offset", "count", "expected"), PAGES)
def test_pages_beyond_the_end(client: Client, offset: int, count: int, expected: int) -> None:
    answer = client.get(f"ValueSet/$expand?url={VS}&offset={offset}&count={count}")
    assert answer.json["expansion"]["total"] == len(CODES)
    assert len(codes(answer.json["expansion"])) == expected


def test_pages_together_are_the_whole(client: Client) -> None:
    pages = [client.get(f"ValueSet/$expand?url={VS}&offset={n}&count=5").json["expansion"] for n in (0, 5, 10)]
    assert [code for page in pages for code in codes(page)] == CODES
    assert len({page["identifier"] for page in pages}) == 1


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=()), max_size=30) | st.sampled_from(
    ["\0", "|", "||", "a|b|c", "http://loinc.org|", "%", "_", "\\", "*", "http://snomed.info/sct?fhir_vs=ecl/<<", "#", "Patient.x#",
     VS, ODD, "urn:odd|9", " ", "\n", "x" * 9000, "true", "-1", "99999999999999999999", "2020", "0000", "NaN"]
)  # fmt: skip
OPERATIONS: dict[str, tuple[str, ...]] = {
    "ValueSet/$expand": ("url", "filter", "context", "date", "count", "offset", "designation", "displayLanguage", "property",
                         "exclude-system", "system-version", "force-system-version", "valueSetVersion", "contextDirection"),
    "CodeSystem/$lookup": ("system", "code", "version", "date", "displayLanguage", "property"),
    "ValueSet/$validate-code": ("url", "system", "code", "display", "systemVersion", "date", "context", "displayLanguage"),
    "CodeSystem/$validate-code": ("url", "code", "version", "display", "date"),
    "CodeSystem/$subsumes": ("system", "codeA", "codeB", "version"),
    "ConceptMap/$translate": ("url", "system", "code", "version", "source", "target", "targetsystem", "reverse"),
}  # fmt: skip


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_no_text_makes_the_server_fail(client: Client, data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(list(OPERATIONS)))
    names = data.draw(st.lists(st.sampled_from(OPERATIONS[operation]), min_size=1, max_size=5, unique=True))
    asked = {name: data.draw(TEXT) for name in names}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items())
    answer = client.get(f"{operation}?{query}")
    assert answer.status < 500, answer.text
    assert answer.status < 400 or answer.issues[0]["details"]["text"]


FILTERS = st.fixed_dictionaries({"property": TEXT, "op": st.sampled_from(["=", "is-a", "regex", "in", "exists", "not-in"]), "value": TEXT})
INCLUDES = st.fixed_dictionaries({"system": st.sampled_from([ODD, FOLDED, TABLE, FISH, "urn:nowhere"])}, optional={
    "version": TEXT, "filter": st.lists(FILTERS, max_size=2), "concept": st.lists(st.fixed_dictionaries({"code": TEXT}), max_size=3),
    "valueSet": st.lists(st.sampled_from([VS, "urn:self", "urn:odd:none", f"{VS}|9"]), max_size=2)})  # fmt: skip


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(include=st.lists(INCLUDES, min_size=1, max_size=3), exclude=st.lists(INCLUDES, max_size=2), text=TEXT)
def test_no_value_set_makes_the_server_fail(client: Client, include: list[Json], exclude: list[Json], text: str) -> None:
    given_ = value_set("urn:self", *include, **({"exclude": exclude} if exclude else {}))
    body = json.dumps({"resourceType": "Parameters", "parameter": [
        {"name": "valueSet", "resource": given_}, {"name": "filter", "valueString": text}]})  # fmt: skip
    answer = client.post("ValueSet/$expand", body)
    assert answer.status < 500, answer.text


ECL = st.lists(st.sampled_from(
    ["<", "<<", "<!", ">", ">>!", "^", "*", "(", ")", "{", "}", "{{", "}}", "[0..1]", "[1..*]", ":", ",", ".", "=", "!=", ">=", "#5",
     '"x"', "R", "AND", "OR", "MINUS", "trout", "any", "salmon", "water", "fresh", "term", "C", "active", "true", "|x|", "match:", "wild:"]
), max_size=14).map(" ".join)  # fmt: skip


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(expression=ECL)
def test_no_expression_constraint_makes_the_server_fail(client: Client, expression: str) -> None:
    answer = client.post("ValueSet/$expand", {"resourceType": "Parameters", "parameter": [
        {"name": "valueSet", "resource": value_set("urn:ecl", by("constraint", "=", expression))}]})  # fmt: skip
    assert answer.status in (200, 400, 422), answer.text


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "\\udc00\\ud800"])
def test_halves_of_characters(client: Client, text: str) -> None:
    for name, kind in (("code", "valueCode"), ("display", "valueString"), ("url", "valueUri"), ("system", "valueUri")):
        rows = {"url": ("valueUri", VS), "code": ("valueCode", "x"), name: (kind, text)}
        parts = ", ".join(f'{{"name": "{key}", "{of}": "{value}"}}' for key, (of, value) in rows.items())
        answer = client.post("ValueSet/$validate-code", f'{{"resourceType": "Parameters", "parameter": [{parts}]}}')
        assert answer.status < 500, answer.text


def test_what_is_known_is_not_read_again(new_tenant: Callable[[], TestTenant], monkeypatch: pytest.MonkeyPatch) -> None:
    """However large its supplements are, a code system is asked without reading them for each question."""
    client = new_tenant().client()
    head = {"resourceType": "CodeSystem", "status": "active", "concept": [{"code": "a", "display": "A"}]}
    client.create({**head, "url": "urn:base", "content": "complete", "valueSet": "urn:base:all"})
    added = [{"code": "a", "designation": [{"language": "fr", "value": "Á"}]}]
    client.create({**head, "url": "urn:more", "content": "supplement", "supplements": "urn:base", "concept": added})
    asked = ("CodeSystem/$lookup?system=urn:base&code=a&displayLanguage=fr", "ValueSet/$expand?url=urn:none",
             "ValueSet/$expand?url=urn:base:all")  # fmt: skip
    before = [(answer.status, answer.json.get("parameter")) for answer in map(client.get, asked)]
    read: list[str] = []
    real = canonicals.Definitions.body

    def body(self: canonicals.Definitions, row: DefinitionRow) -> Any:
        read.append(row.url)
        return real(self, row)

    monkeypatch.setattr(canonicals.Definitions, "body", body)
    assert [(answer.status, answer.json.get("parameter")) for answer in map(client.get, asked)] == before
    assert [status for status, _ in before] == [200, 404, 200]
    assert said(client.get(asked[0]), "display") == "Á"
    assert "urn:more" not in read


@pytest.mark.parametrize("imported", [False, True])
def test_long_words_are_found_by_their_beginning(client: Client, imported: bool) -> None:
    listed = value_set("urn:x", all_of(TABLE if imported else ODD))
    assert codes(expand(client, listed, f"?filter={'x' * 300}")) == ["x" * 400]
