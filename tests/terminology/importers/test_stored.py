"""Imported systems answer what walking through their concepts one by one says."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.terminology.stored import StoredSystem, stored_system
from fhir_server.terminology.words import fold, words_of
from tests.terminology.importers.generated import Generated, begin, do, enter, generate

if TYPE_CHECKING:
    from tests.conftest import TestTenant

URL = "urn:generated"
SIZE = 3000


@pytest.fixture(scope="module")
def made() -> Generated:
    return generate(SIZE)


@pytest.fixture(scope="module")
def system(made: Generated, tenant: "TestTenant", tmp_path_factory: pytest.TempPathFactory) -> StoredSystem:
    file = made.write(tmp_path_factory.mktemp("release") / "own.csv")
    ended = do(begin(tenant.id, file, URL))
    assert (ended.status, ended.message) == ("done", "")
    enter(tenant.id)
    found = stored_system(session(), tenant.id, URL)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def _entered(tenant: "TestTenant", system: StoredSystem) -> None:
    enter(tenant.id)


def codes(system: StoredSystem, numbers: object) -> set[str]:
    return {concept.code for concept in system.page(list(numbers))}  # type: ignore[call-overload]


def below(made: Generated) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in made.codes]
    for place in range(len(made.codes) - 1, -1, -1):
        for above in made.parents[place]:
            found[above] |= {place} | found[place]
    return found


def test_what_is_said_of_the_system(system: StoredSystem) -> None:
    assert (system.url, system.version, system.total, system.hierarchical) == (URL, "1", SIZE, True)
    assert system.languages == {"fr"}
    assert system.properties == {"colour": "code"}


def test_a_concept(system: StoredSystem, made: Generated) -> None:
    for place in (0, 5, 77, SIZE - 1):
        concept = system.find(made.codes[place])
        assert concept is not None
        assert (concept.display, concept.inactive) == (made.texts[place], made.inactive[place])
        assert concept.parents == tuple(made.codes[each] for each in made.parents[place])
        assert concept.designations == [{"language": "fr", "value": made.french[place]}]
        assert concept.properties == (("colour", made.colours[place]),)
    assert system.find("nobody") is None


def test_the_hierarchy(system: StoredSystem, made: Generated) -> None:
    closure = below(made)
    by_code = dict(zip(made.codes, range(SIZE), strict=True))
    for place in [*range(25), 100, 500, 2999]:
        code = made.codes[place]
        assert set(system.below(code)) == set(system.numbers(made.codes[each] for each in closure[place]).values())
        assert {by_code[each] for each in codes(system, system.children(code))} == {
            each for each in range(SIZE) if place in made.parents[each]
        }
        above = {by_code[each] for each in codes(system, system.above(code))}
        assert above == {each for each in range(SIZE) if place in closure[each]}
    assert not system.below("nobody")
    assert not system.above("nobody")


def test_properties(system: StoredSystem, made: Generated) -> None:
    by_value = {value: set(spans) for value, spans in system.values("colour")}
    assert set(by_value) == {"red", "green", "blue"}
    for value, numbers in by_value.items():
        expected = {made.codes[place] for place in range(SIZE) if made.colours[place] == value}
        assert codes(system, numbers) == expected
        assert set(system.having("colour", value)) == numbers
    assert codes(system, system.inactive()) == {made.codes[place] for place in range(SIZE) if made.inactive[place]}
    assert not system.having("colour", "pink")
    assert not system.abstract()


@pytest.mark.parametrize("sought", ["t", "th", "thing", "1", "10", "ba", "le", "be ta", "ka (thing", "xyz", "L'éka"])
def test_words(system: StoredSystem, made: Generated, sought: str) -> None:
    def found(place: int) -> bool:
        texts = (made.texts[place], made.french[place])
        there = {part for text in texts for word in words_of(text) for part in (word, *word.split("'"))}
        there.add(made.codes[place])
        return all(any(each.startswith(word) for each in there) for word in words_of(sought))

    expected = {made.codes[place] for place in range(SIZE) if found(place)}
    assert codes(system, system.matching(words_of(sought))) == expected


def test_numbers_are_places_in_the_hierarchy(system: StoredSystem, made: Generated) -> None:
    page = system.page(system.every().page(0, 50))
    assert [concept.number for concept in page] == list(range(1, 51))
    assert page[0].code == made.codes[0]
    assert len(system.numbers(made.codes)) == SIZE


@pytest.mark.parametrize(("many", "short"), [(4, 1), (40, 2)])
def test_kept_beginnings_say_the_same(
    made: Generated, tenant: "TestTenant", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, short: int
) -> None:
    from fhir_server.terminology.importers import postings

    monkeypatch.setattr(postings, "_MANY", many)
    monkeypatch.setattr(postings, "_SHORT", short)
    small = generate(400, seed=many)
    url = f"urn:kept:{many}"
    do(begin(tenant.id, small.write(tmp_path / "own.csv"), url))
    enter(tenant.id)
    kept = stored_system(session(), tenant.id, url)
    assert kept is not None
    for word in ("b", "ba", "t", "1", "10", "le"):
        expected = {
            small.codes[place]
            for place in range(400)
            if small.codes[place].startswith(word)
            or any(part.startswith(word) for text in (small.texts[place], small.french[place])
                   for part in fold(text).replace("'", " ").replace("(", " ").split())
        }  # fmt: skip
        assert codes(kept, kept.matching([word])) >= expected


def test_codes_whatever_their_case_where_the_system_says_so(tenant: "TestTenant", tmp_path: Path) -> None:
    concepts = [{"code": "A00.1", "display": "Éa-b"}, {"code": "mX9", "display": "x"}, {"code": "low"}]
    resource = {"resourceType": "CodeSystem", "caseSensitive": False, "concept": concepts}
    file = tmp_path / "own.json"
    file.write_text(json.dumps(resource))
    do(begin(tenant.id, file, "urn:loose", as_="fhir"))
    enter(tenant.id)
    system = stored_system(session(), tenant.id, "urn:loose")
    assert system is not None
    for written, code in (("a00.1", "A00.1"), ("A00.1", "A00.1"), ("MX9", "mX9"), ("mx9", "mX9"), ("LOW", "low")):
        found = system.find(written)
        assert found is not None, written
        assert found.code == code
    assert set(system.numbers(["a00.1", "Mx9", "lOw", "none"])) == {"a00.1", "Mx9", "lOw"}
    assert codes(system, system.matching(["a00"])) == {"A00.1"}
    assert codes(system, system.matching(["mx"])) == {"mX9"}
    assert codes(system, system.matching(["ea-b"])) == codes(system, system.matching(["ea", "b"])) == {"A00.1"}
