"""What validation and expressions ask: membership, small value sets, subsumption, and that not knowing is said."""


import pytest

from fhir_server.conformance.canonicals import Definitions
from fhir_server.conformance.registry import base_registry
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.terminology.membership import Membership
from tests.client import Client
from tests.conftest import TestTenant
from tests.operations.terminology_resources import FISH, all_of, by, fish, value_set
from tests.terminology.imported import import_table

GENDERS, GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender", "http://hl7.org/fhir/administrative-gender"


@pytest.fixture(scope="module")
def members(client: Client, tenant: TestTenant, tmp_path_factory: pytest.TempPathFactory) -> Membership:
    client.create(fish())
    client.create(value_set("urn:test:trout", by("concept", "is-a", "trout"), version="1"))
    client.create(value_set("urn:test:circle", {"valueSet": ["urn:test:circle"]}))
    client.create(value_set("urn:test:plants", all_of("urn:test:plants")))
    client.create(value_set("urn:test:mixed", all_of(), {"system": "http://snomed.info/sct"}))
    import_table(tmp_path_factory.mktemp("t"), tenant.id, "urn:test:plants", "code,display,parent\noak,Oak,\nholm,Holm oak,oak")
    db = session()
    world = refresh(db, tenant.slug)
    db.enter(tenant.id, None, world.version)
    return Membership(world.registry, Definitions(world.registry.canonicals, db, tenant.id), db, tenant.id)


CHECKED: list[tuple[str, str | None, str, bool | None]] = [
    (GENDERS, GENDER, "male", True),
    (f"{GENDERS}|4.0.1", GENDER, "male", True),
    (GENDERS, None, "male", True),
    (GENDERS, GENDER, "x", False),
    (GENDERS, None, "x", False),
    ("urn:test:trout", FISH, "sea-trout", True),
    ("urn:test:trout|1", FISH, "salmon", False),
    ("urn:test:trout|9", FISH, "salmon", None),
    ("urn:test:nowhere", FISH, "salmon", None),
    ("urn:test:circle", FISH, "salmon", None),
    ("urn:test:plants", "urn:test:plants", "holm", True),
    ("urn:test:plants", None, "pine", False),
    ("urn:test:mixed", FISH, "trout", True),
    ("urn:test:mixed", "http://snomed.info/sct", "1", None),
    ("urn:test:mixed", None, "trout", True),
    ("urn:test:mixed", None, "1", None),
    ("http://hl7.org/fhir/ValueSet/ucum-units", "http://unitsofmeasure.org", "mg/dL", True),
    ("http://hl7.org/fhir/ValueSet/languages", "urn:ietf:bcp:47", "fr", True),
    ("http://hl7.org/fhir/ValueSet/mimetypes", None, "text/plain", True),
]


@pytest.mark.parametrize(("url", "system", "code", "expected"), CHECKED)
def test_check(members: Membership, url: str, system: str | None, code: str, expected: bool | None) -> None:
    assert members.check(url, system, code) is expected


def test_the_table_would_notice_a_wrong_row(members: Membership) -> None:
    assert members.check(GENDERS, GENDER, "females") is not True


def test_small_value_sets_are_listed(members: Membership) -> None:
    assert members.codes("urn:test:trout") == frozenset({(FISH, "trout"), (FISH, "sea-trout")})
    assert members.codes("urn:test:plants") == frozenset({("urn:test:plants", "oak"), ("urn:test:plants", "holm")})
    assert members.codes("urn:test:trout", most=1) is None
    assert members.codes("urn:test:mixed") is None
    assert members.codes("urn:test:nowhere") is None
    assert members.codes(GENDERS) == base_registry().codes(GENDERS)


def test_subsumes(members: Membership) -> None:
    assert members.subsumes(FISH, "any", "sea-trout") is True
    assert members.subsumes(FISH, "sea-trout", "any") is False
    assert members.subsumes(FISH, "trout", "trout") is True
    assert members.subsumes("urn:test:plants", "oak", "holm") is True
    assert members.subsumes(FISH, "trout", "pike") is None
    assert members.subsumes("urn:test:nowhere", "a", "b") is None


def test_it_agrees_with_the_bindings_of_the_base_on_what_they_can_tell() -> None:
    registry = base_registry()
    members = Membership(registry, Definitions(registry.canonicals, None, 0), None, 0)
    compared = 0
    for url in sorted(registry.terminology.all("value-sets"))[::7]:
        told, listed = registry.codes(url), members.codes(url, most=10_000)
        if told is not None and listed is not None:
            assert listed == told, url
            compared += 1
    assert compared > 100
