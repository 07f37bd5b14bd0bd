"""A tenant on the live server for clients written by others."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import TestTenant


@pytest.fixture(scope="module")
def base(live_server: str, tenant: "TestTenant") -> str:
    """The tenant's FHIR base URL on the live server."""
    return f"{live_server}/t/{tenant.slug}/fhir"


@pytest.fixture(scope="module")
def token(tenant: "TestTenant") -> str:
    """A token that may do everything in the tenant."""
    return tenant.token()
