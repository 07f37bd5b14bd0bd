"""Several who change the packages of one tenant at once: whoever comes second is told to come again, and nothing is done
twice."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

from fhir_server.core.keys import key64
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.storage import locks
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.packages.making import guide, install, profile, remove, told

ATONCE = 4


def _all(work: Callable[[int], Answer]) -> list[int]:
    def one(number: int) -> int:
        try:
            answer, deadline = work(number), time.monotonic() + 120
            while answer.status == 503 and time.monotonic() < deadline:
                assert answer.headers["Retry-After"] == "2"
                assert answer.issues[0]["code"] == "lock-error"
                time.sleep(0.05)
                answer = work(number)
            return answer.status
        finally:
            session().close()

    with ThreadPoolExecutor(ATONCE) as pool:
        return list(pool.map(one, range(ATONCE)))


def _installed(client: Client) -> list[str]:
    return [each["name"] for each in told(client.get("$packages"), "package")]


def test_the_same_package_is_installed_once(tenant: TestTenant) -> None:
    content, client = guide("test.race", "1.0.0", profile("race")), tenant.client()
    assert _all(lambda number: install(client, content)) == [200] * ATONCE
    assert _installed(client) == ["test.race"]
    assert client.get("StructureDefinition/race").json["meta"]["versionId"] == "1"
    assert sorted(_all(lambda number: remove(client, "test.race"))) == [200, 404, 404, 404]
    assert _installed(client) == []


def test_packages_with_the_same_ids_each_get_their_own(tenant: TestTenant) -> None:
    contents = [guide(f"test.race{n}", f"1.0.{n}", profile("same", version=f"1.0.{n}")) for n in range(ATONCE)]
    client = tenant.client()
    assert _all(lambda number: install(client, contents[number])) == [200] * ATONCE
    assert len(_installed(client)) == ATONCE
    found = client.get("StructureDefinition?_count=50&url=http://example.org/ig/StructureDefinition/same").json
    assert len({each["resource"]["id"] for each in found["entry"]}) == ATONCE


def test_a_package_and_a_client_who_want_the_same_id(tenant: TestTenant) -> None:
    content = guide("test.id", "1.0.0", profile("wanted"))
    mine = profile("wanted", url="http://example.org/mine")
    client = tenant.client()

    def work(number: int) -> Answer:
        return install(client, content) if number == 0 else client.request("PUT", "StructureDefinition/wanted", mine)

    statuses = _all(work)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {200, 201, 409}
    found = client.get("StructureDefinition?_count=50&name=Wanted").json["entry"]
    tagged = [each["resource"] for each in found if "tag" in each["resource"]["meta"]]
    assert [each["url"] for each in tagged] == ["http://example.org/ig/StructureDefinition/wanted"]


def test_nobody_waits_for_a_package_that_is_being_checked(tenant: TestTenant) -> None:
    """A web process that waits answers nobody, of other tenants either."""
    client, begun, go_on = tenant.client(), Event(), Event()

    def hold() -> None:
        db = session()
        db.enter(tenant.id, None, refresh(db, tenant.slug).version)
        with db.hold():
            locks.lock(db, key64(f"{tenant.id}\x1fpackages"))
            begun.set()
            go_on.wait(60)
        db.commit()
        db.close()

    other = Thread(target=hold)
    other.start()
    try:
        assert begun.wait(60)
        assert install(client, guide("test.wait", "1.0.0", profile("wait"))).status == 503
        assert remove(client, "test.wait").status == 503
        assert "test.wait" not in _installed(client)
    finally:
        go_on.set()
        other.join()
    assert install(client, guide("test.wait", "1.0.0", profile("wait"))).status == 200
