"""Measurements over years, and the app that shows them, in the demo."""

from collections import Counter
from datetime import date
from random import Random
from typing import Any

import pytest

from fhir_server.demo.agenda import Person
from fhir_server.demo.apps import demo_apps
from fhir_server.demo.growth import ADULTS, CHILDREN, growth_resources, is_child
from fhir_server.rest.dispatch import session
from fhir_server.security.oauth import clients
from fhir_server.security.oauth.clients import Client
from fhir_server.storage import tenants
from tests.conftest import TestTenant

TODAY = date(2026, 11, 21)


def people(*births: str) -> list[Person]:
    return [
        Person(f"Patient/p{number}", f"P {number}", number % 2 == 0, date.fromisoformat(birth))
        for number, birth in enumerate(births)
    ]


def by_code(found: list[dict[str, Any]], code: str) -> list[float]:
    return [float(each["valueQuantity"]["value"]) for each in found if each["code"]["coding"][0]["code"] == code]


def test_a_child_grows() -> None:
    found = list(growth_resources(people("2020-01-05"), TODAY))
    heights = by_code(found, "8306-3") + by_code(found, "8302-2")
    assert len(heights) >= 10 and heights == sorted(heights)
    assert 45 < heights[0] < 55 and 100 < heights[-1] < 130
    assert 2.5 < by_code(found, "29463-7")[0] < 4.5
    assert all(each["effectiveDateTime"][:10] <= TODAY.isoformat() for each in found)


def test_ids_are_fixed_and_each_its_own() -> None:
    crowd = people(*(f"{year}-03-02" for year in range(1940, 2026)))
    one, other = (list(growth_resources(crowd, TODAY)) for _ in range(2))
    assert one == other
    assert max(Counter(each["id"] for each in one).values()) == 1
    assert len({each["subject"]["reference"] for each in one}) == CHILDREN + ADULTS


def test_it_draws_nothing_from_the_seed_of_the_rest() -> None:
    random = Random(1)
    state = random.getstate()
    list(growth_resources(people("2020-01-05", "1950-01-01"), TODAY))
    assert random.getstate() == state


def test_a_diabetes_gets_better() -> None:
    found = list(growth_resources(people("1950-01-01"), TODAY))
    values = by_code(found, "4548-4")
    assert len(values) == 12 and sum(values[:3]) > sum(values[-3:])
    assert sum(1 for each in found if "component" in each) == 24


def test_who_is_a_child() -> None:
    assert [is_child(each, TODAY) for each in people("2026-11-01", "2009-01-01", "2008-01-01")] == [True, True, False]


def registered(tenant: TestTenant, base: str) -> Client | None:
    db = session()
    state = tenants.find(db, tenant.slug)
    db.enter(state.tenant.id, None, state.registry_version, writing=True)
    demo_apps(db, state.tenant.id, base)
    db.commit()
    db.enter(state.tenant.id, None, state.registry_version)
    return clients.find(db, state.tenant.id, "croissance")


def test_the_app_follows_the_address_of_the_server(tenant: TestTenant) -> None:
    first = registered(tenant, "http://127.0.0.1:8080/t/x/fhir")
    assert first is not None and first.public
    assert first.redirect_uris == ("http://127.0.0.1:8080/ui/apps/growth/", "http://localhost:8080/ui/apps/growth/")
    moved = registered(tenant, "https://clinic.example/t/x/fhir")
    assert moved is not None and moved.redirect_uris == ("https://clinic.example/ui/apps/growth/",)
    assert moved.launch_uri == "https://clinic.example/ui/apps/growth/launch.html"
    everywhere = registered(tenant, "http://0.0.0.0:9000/t/x/fhir")
    assert everywhere is not None and everywhere.launch_uri == "http://127.0.0.1:9000/ui/apps/growth/launch.html"


@pytest.mark.parametrize("base", ["http://192.168.1.5:8080/t/x/fhir", "http://clinic.example/t/x/fhir"])
def test_where_no_app_can_be_registered_nothing_is(new_tenant: Any, base: str) -> None:
    assert registered(new_tenant(), base) is None
