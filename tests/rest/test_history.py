"""history of an instance, a type and the system. https://hl7.org/fhir/R4/http.html#history"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.client import Client
from tests.rest.answers import entries, link, pages, refused
from tests.rest.bodies import mark, patient

if TYPE_CHECKING:
    from tests.conftest import TestTenant


@pytest.fixture(scope="module")
def life(client: Client) -> str:
    """A patient that was created, updated, patched, deleted and brought back."""
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    client.put(local, {**stored, "active": True})
    steps = [{"op": "replace", "path": "/active", "value": False}]
    assert client.patch(local, steps, content_type="application/json-patch+json").status == 200
    client.delete(local)
    assert client.put(local, {**stored, "gender": "other"}).status in (200, 201)
    return local


def test_an_instances_versions_newest_first(client: Client, life: str) -> None:
    answer = client.get(f"{life}/_history")
    found = entries(answer)
    assert answer.json["type"] == "history"
    assert [one["response"]["etag"] for one in found] == [f'W/"{n}"' for n in (5, 4, 3, 2, 1)]
    assert [one["request"]["method"] for one in found] == ["PUT", "DELETE", "PATCH", "PUT", "POST"]
    assert [one["request"]["url"] for one in found] == [life, life, life, life, "Patient"]
    assert {one["fullUrl"] for one in found} == {f"{client.base}/{life}"}
    assert ["resource" in one for one in found] == [True, False, True, True, True]
    assert [one["response"]["status"][:3] for one in found][1:] == ["204", "200", "200", "201"]
    times = [one["response"]["lastModified"] for one in found]
    assert times == sorted(times, reverse=True)


def test_each_entry_is_what_vread_gives(client: Client, life: str) -> None:
    for one in entries(client.get(f"{life}/_history")):
        version = one["response"]["etag"].strip('W/"')
        if "resource" in one:
            assert client.get(f"{life}/_history/{version}").json == one["resource"]


LEVELS = ["Patient/_history", "_history"]


@pytest.mark.parametrize("level", LEVELS)
def test_type_and_system_hold_every_change(client: Client, life: str, level: str) -> None:
    group = client.create({"resourceType": "Group", "type": "person", "actual": True})
    found = [one for page in pages(client, f"{level}?_count=1000") for one in entries(page)]
    assert [one["response"]["etag"] for one in found if one["fullUrl"].endswith(life)][:5][::-1] == [
        f'W/"{n}"' for n in (1, 2, 3, 4, 5)
    ]
    assert any(one["fullUrl"].endswith(f"Group/{group['id']}") for one in found) == (level == "_history")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_pages_are_disjoint_and_complete(client: Client, life: str, count: int) -> None:
    found = pages(client, f"{life}/_history?_count={count}")
    tags = [one["response"]["etag"] for page in found for one in entries(page)]
    assert tags == [f'W/"{n}"' for n in (5, 4, 3, 2, 1)]
    assert all(len(entries(page)) == count for page in found[:-1])


def test_a_page_stays_where_it_was_while_others_write(client: Client) -> None:
    made = [client.create(patient(mark()))["id"] for _ in range(6)]
    first = client.get("Patient/_history?_count=3")
    client.create(patient(mark()))
    rest = client.get(str(link(first, "next")))
    ids = [one["resource"]["id"] for page in (first, rest) for one in entries(page)]
    assert ids == made[::-1]


def test_links_keep_the_parameters(client: Client, life: str) -> None:
    answer = client.get(f"{life}/_history?_count=2&_since=2020-01-01&_elements=gender")
    for relation in ("self", "next"):
        url = str(link(answer, relation))
        assert "_count=2" in url
        assert "_since=2020-01-01" in url
        assert "_elements=gender" in url


def _instant(moment: datetime) -> str:
    return quote(moment.isoformat(timespec="milliseconds"))


def test_since_is_inclusive_of_what_came_after(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    time.sleep(0.02)
    middle = datetime.now(UTC)
    time.sleep(0.02)
    client.put(local, {**stored, "active": True})

    def tags(parameter: str) -> list[str]:
        return [one["response"]["etag"] for one in entries(client.get(f"{local}/_history?{parameter}"))]

    assert tags(f"_since={_instant(middle)}") == ['W/"2"']
    assert tags(f"_since={_instant(middle - timedelta(days=1))}") == ['W/"2"', 'W/"1"']
    assert tags(f"_since={_instant(middle + timedelta(days=1))}") == []
    assert tags(f"_since={quote(stored['meta']['lastUpdated'])}") == ['W/"2"', 'W/"1"']


def test_at_gives_the_version_that_stood_then(client: Client) -> None:
    stored = client.create(patient(mark()))
    local = f"Patient/{stored['id']}"
    time.sleep(0.02)
    middle = datetime.now(UTC)
    time.sleep(0.02)
    client.put(local, {**stored, "active": True})
    time.sleep(0.02)

    def tags(moment: str) -> list[str]:
        return [one["response"]["etag"] for one in entries(client.get(f"{local}/_history?_at={moment}"))]

    assert tags(_instant(middle)) == ['W/"1"']
    assert tags(_instant(datetime.now(UTC))) == ['W/"2"']
    assert tags(_instant(middle - timedelta(days=1))) == []
    assert tags(middle.strftime("%Y")) == ['W/"2"', 'W/"1"']


BAD: list[tuple[str, str]] = [
    ("_count=0", "http._count"),
    ("_count=-1", "http._count"),
    ("_count=x", "http._count"),
    ("_since=yesterday", "http._since"),
    ("_since=2020-13-01", "http._since"),
    ("_at=", "http._at"),
    ("_cursor=abc", "http._cursor"),
    ("_sort=_lastUpdated", "http._sort"),
    ("name=x", "http.name"),
]


@pytest.mark.parametrize(("query", "expression"), BAD)
@pytest.mark.parametrize("level", ["_history", "Patient/_history", "Patient/x/_history"])
def test_a_parameter_that_makes_no_sense_is_named(client: Client, level: str, query: str, expression: str) -> None:
    refused(client.get(f"{level}?{query}"), 400, expression)


def test_the_history_of_what_never_was_is_not_found(client: Client) -> None:
    refused(client.get(f"Patient/{mark()}/_history"), 404)


def test_another_tenants_cursor_is_refused(client: Client, life: str, new_tenant: "Callable[[], TestTenant]") -> None:
    url = str(link(client.get("Patient/_history?_count=1"), "next"))
    other: Any = new_tenant().client()
    other.create(patient(mark()))
    refused(other.get(f"Patient/_history?{url.partition('?')[2]}"), 400, "http._cursor")
    refused(client.get(f"Group/_history?{url.partition('?')[2]}"), 400, "http._cursor")
