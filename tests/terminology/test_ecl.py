"""Expression constraints with groups, cardinalities, reversed and dotted attributes, and concrete values, over a release
in format RF2 that was imported. Its concepts are invented."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.errors import TooCostly, Unprocessable
from fhir_server.core.spans import Spans
from fhir_server.rest.dispatch import session
from fhir_server.storage import concept_imports, terminology_jobs
from fhir_server.storage.terminology_jobs import Job
from fhir_server.terminology import ecl, ecl_ends, ecl_refinement
from fhir_server.terminology.code_system import CodeSystemTable
from fhir_server.terminology.ecl_refinement import at_least
from fhir_server.terminology.importers import importing
from fhir_server.terminology.stored import StoredSystem, stored_system
from tests.conftest import TestTenant
from tests.terminology.importers.generated import enter
from tests.terminology.importers.reading import release, table

SNOMED, ISA = "http://snomed.info/sct", "116680003"
# Code, parents; then what it has: (group, attribute, value).
ROOT, SITE, SHAPE, DOSE, MADE_OF, COLOUR, SIDE = "138875005", "1001", "1002", "1003", "1004", "1005", "1006"
CONCEPTS: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    ROOT: ("", []),
    **{code: (ROOT, []) for code in (SITE, SHAPE, DOSE, MADE_OF, COLOUR)},
    SIDE: (SITE, []),
    "200": (ROOT, []), "201": ("200", []), "202": ("200", []),
    "300": (ROOT, []), "301": ("300", []), "302": ("300", []),
    "400": (ROOT, []),
    "401": ("400", [(1, SITE, "201"), (1, SHAPE, "302")]),
    "402": ("400", [(1, SITE, "201"), (1, SHAPE, "301"), (2, SITE, "202"), (2, SHAPE, "302")]),
    "403": ("400", [(1, SITE, "202"), (1, SHAPE, "301")]),
    "404": ("400", [(0, SITE, "201"), (1, SHAPE, "302")]),
    "405": ("401", [(1, SITE, "201"), (1, SHAPE, "301"), (2, SITE, "201"), (2, SHAPE, "302")]),
    "406": ("400", [(1, SIDE, "201")]),
    "500": (ROOT, []),
    "501": ("500", [(1, MADE_OF, "201"), (1, DOSE, "#5")]),
    "502": ("500", [(1, MADE_OF, "201"), (1, DOSE, "#10"), (2, MADE_OF, "202"), (2, DOSE, "#2.50")]),
    "503": ("500", [(0, COLOUR, '"red"'), (1, DOSE, "#-1")]),
}  # fmt: skip
DEFINED, PRIMITIVE = "900000000000073002", "900000000000074008"
FSN, SYN = "900000000000003001", "900000000000013009"
TERMS = [
    ("401", "en", FSN, "Blue heart attack (disorder)"), ("401", "en", SYN, "Azure infarction"),
    ("401", "fr", SYN, "crise cardiaque bleue"), ("402", "en", SYN, "Attack of the blue heart"),
    ("403", "en", SYN, "Heart in stitches"), ("299", "en", SYN, "Old heart"),
]  # fmt: skip


def _files() -> dict[str, str]:
    links = [(code, 0, ISA, parent) for code, (parent, _) in CONCEPTS.items() if parent]
    links += [(code, *each) for code, (_, said) in CONCEPTS.items() for each in said]
    rows = [f"{n}|20240101|1|77|{s}|{t}|{g}|{a}|0|0" for n, (s, g, a, t) in enumerate(links) if t[0] not in '#"']
    concrete = [f"{n}|20240101|1|77|{s}|{t}|{g}|{a}|0|0" for n, (s, g, a, t) in enumerate(links) if t[0] in '#"']
    link = "id|effectiveTime|active|moduleId|sourceId|{}|relationshipGroup|typeId|characteristicTypeId|modifierId"
    refset = "id|effectiveTime|active|moduleId|refsetId|referencedComponentId"
    return {
        "sct2_Concept_Snapshot_INT_20240101.txt": table(
            "id|effectiveTime|active|moduleId|definitionStatusId",
            *(f"{code}|20240101|1|77|{DEFINED if code == '401' else PRIMITIVE}" for code in CONCEPTS),
            f"299|20240101|0|88|{PRIMITIVE}"),
        "sct2_Description_Snapshot-en_INT_20240101.txt": table(
            "id|effectiveTime|active|moduleId|conceptId|languageCode|typeId|term|caseSignificanceId",
            *(f"{n}|20240101|1|77|{code}|{language}|{kind}|{term}|0" for n, (code, language, kind, term) in enumerate(TERMS))),
        "sct2_Relationship_Snapshot_INT_20240101.txt": table(link.format("destinationId"), *rows),
        "sct2_RelationshipConcreteValues_Snapshot_INT_20240101.txt": table(link.format("value"), *concrete),
        "der2_Refset_SimpleSnapshot_INT_20240101.txt": table(
            refset, "d|20240101|1|77|701|299", "e|20240101|1|77|701|401", "a|20240101|1|77|700|401", "b|20240101|1|77|700|403", "c|20240101|1|77|200|502"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def system(tenant: TestTenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredSystem]:
    folder = release(tmp_path_factory.mktemp("rf2"), _files())
    job = Job(tenant.id, str(uuid4()), "snomed", folder.name, {"version": f"{SNOMED}/77/version/20240101"})
    db = session()
    terminology_jobs.create(lambda statements: concept_imports.run_as(db, tenant.id, statements), job)
    done = importing.run(db, job, folder)
    assert done is not None and done.status == "done", done
    enter(tenant.id)
    found = stored_system(db, tenant.id, SNOMED)
    assert found is not None
    yield found
    db.rollback()


def ask(system: StoredSystem, expression: str) -> list[str]:
    enter(system.tenant_id)
    return sorted(concept.code for concept in system.page(list(ecl.selected(system, expression))))


ROWS: list[tuple[str, str]] = [
    # Top and bottom of a set.
    ("!!> (<< 400)", "400"), ("!!> (< 400)", "401 402 403 404 406"), ("!!< (<< 400 MINUS 405)", "401 402 403 404 406"),
    ("!!> (405 OR 201 OR 402)", "201 402 405"), ("!!> (405 OR 401)", "401"), ("!!< (405 OR 401 OR 400)", "405"),
    ("!!> 405", "405"), ("!!> (200 MINUS 200)", ""), ("!!> *", ROOT), ("!!> ^ 700", "401 403"),
    (f"!!> (< 400 : {SITE} = 201)", "401 402 404"),
    # Groups: both in one group, not one here and one there.
    (f"< 400 : {SITE} = 201, {SHAPE} = 302", "401 402 404 405"),
    (f"< 400 : {{ {SITE} = 201, {SHAPE} = 302 }}", "401 405"),
    (f"< 400 : {{ {SITE} = 201 |heart| AND {SHAPE} = << 300 |shape| }}", "401 402 405"),
    (f"< 400 : {{ {SITE} = 201 OR {SHAPE} = 301 }}", "401 402 403 405"),
    (f"< 400 : {{ {SITE} = 201, {SHAPE} = 301 }}, {{ {SITE} = 202, {SHAPE} = 302 }}", "402"),
    (f"< 400 : {{ {SITE} = 201, {SHAPE} = 302 }} OR {{ {SITE} = 202, {SHAPE} = 301 }}", "401 403 405"),
    (f"< 400 : {{ {SITE} = 201 }}, {SHAPE} = 302", "401 402 405"),
    (f"< 400 : {{ {SITE} != 201 }}", "402 403"),
    (f"< 400 : {{ ({SITE} = 201 OR {SITE} = 202), {SHAPE} = 301 }}", "402 403 405"),
    # How many groups.
    (f"< 400 : [2..*] {{ {SITE} = << 200 }}", "402 405"),
    (f"< 400 : [1..1] {{ {SITE} = << 200 }}", "401 403"),
    (f"< 400 : [0..0] {{ {SITE} = << 200 }}", "404 406"),
    (f"< 400 : [0..1] {{ {SITE} = 201 }}", "401 402 403 404 406"),
    # How many attributes, of different values.
    (f"< 400 : [1..3] {SITE} = << 200", "401 402 403 404 405"),
    (f"< 400 : [2..2] {SITE} = << 200", "402"),
    (f"< 400 : [0..0] {SITE} = 201", "403 406"),
    (f"< 400 : [0..1] {SITE} = *", "401 403 404 405 406"),
    (f"< 400 : {{ [0..0] {SITE} = 201, {SHAPE} = * }}", "402 403 404"),
    (f"< 400 : {{ [1..1] {SITE} = *, [1..1] {SHAPE} = * }}", "401 402 403 405"),
    # Reversed and dotted.
    (f"< 200 : R {SITE} = 403", "202"),
    (f"< 200 : R {SITE} = < 400", "201 202"),
    (f"< 200 : [2..*] R {SITE} = << 401", "201"),
    (f"< 300 : R {SHAPE} = (< 400 : {SITE} = 202)", "301 302"),
    (f"403 . {SITE}", "202"),
    (f"(402 OR 403) . {SITE}", "201 202"),
    (f"< 500 . {MADE_OF}", "201 202"),
    (f"< 400 . << {SITE}", "201 202"),
    # Attributes that an expression names.
    (f"< 400 : << {SITE} = 201", "401 402 404 405 406"),
    (f"< 400 : < {SITE} = *", "406"),
    ("< 500 : * = 202", "502"),
    (f"< 400 : ({SITE} OR {SHAPE}) = (202 OR 302)", "401 402 403 404 405"),
    (f"< 400 : ({SITE} = 202 OR {SHAPE} = 302), {SITE} = 201", "401 402 404 405"),
    ("< 400 : 200 = *", ""),
    # Concrete values.
    (f"< 500 : {DOSE} = #5.0", "501"),
    (f"< 500 : {DOSE} >= #5", "501 502"),
    (f"< 500 : {DOSE} < #2.6", "502 503"),
    (f"< 500 : {DOSE} != #5", "502 503"),
    (f"< 500 : {{ {MADE_OF} = 202, {DOSE} <= #2.5 }}", "502"),
    (f"< 500 : {{ {MADE_OF} = 201, {DOSE} = #2.5 }}", ""),
    (f'< 500 : {COLOUR} = "red"', "503"),
    (f'< 500 : {COLOUR} != "red"', ""),
    # Members.
    ("^ 700", "401 403"), ("< ^ 700", "405"), ("<< ^ 700", "401 403 405"), ("^ (200 OR 201)", "502"),
    ("^ *", "299 401 403 502"), ("^ 701", "299 401"),
    # Filters.
    ('< 400 {{ term = "hea att" }}', "401 402"),
    ('< 400 {{ D term = "blue", term = "hea" }}', "401 402"),
    ('< 400 {{ term = "blue" }} {{ term = "infarction" }}', "401"),
    ('< 400 {{ term = "attack", term = "infarction" }}', ""),
    ('< 400 {{ term = ("stitch" "infar") }}', "401 403"),
    ('< 400 {{ term = match:"HEART", type = fsn }}', "401"),
    (f'< 400 {{{{ term = "heart", typeId = {SYN} |Synonym| }}}}', "402 403"),
    ('< 400 {{ term = "bleu", language = fr }}', "401"),
    ('< 400 {{ term = "blue", language = fr }}', ""),
    ('< 400 {{ language = (fr de) }}', "401"),
    ('< 400 {{ term = wild:"*heart" }}', "402"),
    ('< 400 {{ term = wild:"heart*" }}', "403"),
    ('< 400 {{ term != "heart", type = (syn fsn) }}', "401"),
    (f'(< 400 {{{{ term = "heart" }}}}) : {SITE} = 202', "402 403"),
    (f'< 400 {{{{ term = "heart" }}}} : {SITE} = 202', "402 403"),
    ('* {{ term = "heart" }}', "401 402 403"),
    ('* {{ term = "heart" }} {{ C active = false }}', "299"),
    ("* {{ C active = 0 }}", "299"), ("^ 701 {{ C active = true }}", "401"), ("^ 701 {{ C active = (1 0) }}", "299 401"),
    ("<< 400 {{ C definitionStatus = defined }}", "401"), ("<< 401 {{ C definitionStatus != primitive }}", "401"),
    ("< 400 {{ C moduleId = 88 }}", ""), ("299 {{ C moduleId = 88 |ours|, active = 0 }}", "299"),
    (f"^ 700 : {SITE} = 202", "403"),
    (f"(< 400 : {{ {SHAPE} = 302 }}) MINUS ^ 700", "402 404 405"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), ROWS)
def test_it_means_what_the_guide_says(system: StoredSystem, expression: str, expected: str) -> None:
    assert ask(system, expression) == expected.split()


def test_the_table_would_notice_a_wrong_row(system: StoredSystem) -> None:
    assert ask(system, f"< 400 : {{ {SITE} = 201, {SHAPE} = 302 }}") != ["401", "402", "405"]


REFUSED = [
    f"< 400 : {{ {{ {SITE} = 201 }} }}", f"< 400 : {{ {SITE} = 201", "< 400 : { }", "< 400 : {",
    f"< 400 : [3..1] {SITE} = 201", f"< 400 : [1..2] ({SITE} = 201)", f"< 400 : {{ R {SITE} = 201 }}",
    f"< 400 : [0..0] {{ [0..0] {SITE} = 201 }}", f"< 400 : {SITE} >= 201", f"< 400 : R {SITE} != 201",
    f'< 400 : {COLOUR} > "red"', f"< 400 : {SITE} = #x", "!! 400", "!!>! 400", "!!> << 400", "< 400 {{ M mapTarget = 1 }}", "< 400 {{ dialect = en-gb }}",
    "< 400 {{ C effectiveTime = 2024 }}", "< 400 {{ C active = maybe }}", '< 400 {{ term = "x" }', "< 400 {{ term = }}",
    "< 400 {{ }}", '< 400 {{ term > "x" }}', "< 400 {{ + HISTORY }}", '< 400 {{ term = wild:"*a*b*c*" }}', "400 .", f"400 . {SITE} .",
    f"< 400 : {SITE} = 201 OR {SITE} = 202 , {SHAPE} = 301", f"< 400 : R {SITE} = #1", "^", "< 400 :", f"< 400 : {SITE}",
    f"< 400 : {SITE} =", "[1..2]", "#5", '"red"', "(" * 30 + "400" + ")" * 30, ": ".join(["400"] * 40), "400 AND", ". 400",
]  # fmt: skip


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_refused(system: StoredSystem, expression: str) -> None:
    enter(system.tenant_id)
    with pytest.raises((Unprocessable, TooCostly), match=r".{20}"):
        ecl.selected(system, expression)


def test_groups_are_refused_where_they_are_not_kept() -> None:
    table = CodeSystemTable({"url": "urn:x", "property": [{"code": "p", "type": "code"}], "concept": [
        {"code": "a", "property": [{"code": "p", "valueCode": "b"}]}, {"code": "b"}]})  # fmt: skip
    assert list(ecl.selected(table, "* : p = b")) == [1]
    with pytest.raises(Unprocessable, match="groups are not kept"):
        ecl.selected(table, "* : { p = b }")


def test_groups_of_too_many_concepts_are_refused(system: StoredSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecl_refinement, "_MOST_READ", 3)
    enter(system.tenant_id)
    with pytest.raises(TooCostly):
        ecl.selected(system, f"< 400 : {{ {SITE} = 201 }}")
    assert ask(system, f"(401 OR 402) : {{ {SITE} = 202 }}") == ["402"]


@given(st.lists(st.sets(st.integers(0, 30)), max_size=6), st.integers(1, 7))
def test_numbers_in_so_many_sets(sets: list[set[int]], count: int) -> None:
    expected = {n for n in range(31) if sum(n in each for each in sets) >= count}
    assert set(at_least(count, [Spans.of(each) for each in sets])) == expected


CODES = sorted(set(CONCEPTS) - {"299"})


@given(st.sets(st.sampled_from(CODES), min_size=1))
def test_the_ends_of_a_set_are_those_that_no_other_is_beyond(system: StoredSystem, some: set[str]) -> None:
    def kin(code: str, way: str) -> set[str]:
        return set(ask(system, f"{way} {code}"))

    named = f"({' OR '.join(sorted(some))})"
    assert set(ask(system, f"!!> {named}")) == {code for code in some if not kin(code, ">") & some}
    assert set(ask(system, f"!!< {named}")) == {code for code in some if not kin(code, "<") & some}


def test_the_ends_of_sets_that_are_too_wide_are_refused(system: StoredSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecl_ends, "_MOST", 3)
    assert ask(system, "!!> (401 OR 405)") == ["401"]
    with pytest.raises(TooCostly):
        ask(system, "!!> (< 400)")
