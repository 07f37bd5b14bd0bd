"""A tenant with its authorization server, for each module."""

from collections.abc import Callable

import pytest

from tests.conftest import TestTenant
from tests.oauth.place import Place


@pytest.fixture(scope="module")
def place(tenant: TestTenant) -> Place:
    """The module's authorization server."""
    return Place(tenant)


@pytest.fixture(scope="module")
def other(new_tenant: Callable[[], TestTenant]) -> Place:
    """Another tenant's."""
    return Place(new_tenant())
