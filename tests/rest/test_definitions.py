"""What a tenant defines, or an operator revokes, holds in every process with the next request."""

from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.interactions.worlds import world
from fhir_server.rest import dispatch
from fhir_server.rest.dispatch import session
from fhir_server.storage import tenants
from tests.client import Client

if TYPE_CHECKING:
    from tests.conftest import TestTenant


def raised_elsewhere(tenant: "TestTenant") -> None:
    """Raise the tenant's registry version as another process would, behind this one's back."""
    place = world(session(), tenant.slug)
    db = session()
    db.enter(tenant.id, None, place.version)
    tenants.raise_registry_version(db, tenant.id)
    db.commit()


@pytest.mark.parametrize("path", ["Patient?nothing=1", "Patient/$nothing", "metadata", "CodeSystem/$lookup?code=x"])
def test_an_answer_without_statements_is_judged_by_the_present_definitions(
    client: Client, tenant: "TestTenant", path: str
) -> None:
    client.get(path)
    before = world(session(), tenant.slug).version
    raised_elsewhere(tenant)
    client.get(path)
    assert world(session(), tenant.slug).version == before + 1


def test_a_process_that_falls_over_an_outdated_definition_asks_for_the_present_one(
    client: Client, tenant: "TestTenant", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault may be mended already; and what fails all the same is in the audit log."""
    failing = [KeyError("id")]
    perform = dispatch.perform

    def falling(*given: Any) -> Any:
        if failing:
            raise failing.pop()
        return perform(*given)

    client.get("Patient?_count=1")
    monkeypatch.setattr(dispatch, "perform", falling)
    raised_elsewhere(tenant)
    assert client.get("Patient?_count=1").status == 200 and not failing
    failing += [KeyError("id")] * 2
    raised_elsewhere(tenant)
    assert client.get("Patient?_count=1").status == 500
    newest = client.search("AuditEvent?_sort=-date&_count=3")
    assert "8" in [event["outcome"] for event in newest]


@pytest.mark.parametrize("path", ["Patient?nothing=1", "Patient/1", "Patient?name=a", "Patient/$validate"])
def test_a_revoked_token_is_refused_whatever_is_asked(tenant: "TestTenant", path: str) -> None:
    client = tenant.client("system/*.cruds")
    assert client.get(path).status != 401
    db = session()
    db.enter(tenant.id, None, world(db, tenant.slug).version)
    db.run([("UPDATE access_token SET revoked_at = now() WHERE tenant_id = $1", (tenant.id,))], final=True)
    assert client.get(path).status == 401
