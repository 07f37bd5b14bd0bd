"""A clinic that sends messages (sending.py), one for each test."""

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import TestTenant
from tests.features.notifications.sending import Clinic, clinic_of


@pytest.fixture
def clinic(new_tenant: Callable[[], TestTenant], monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """An empty clinic with one patient."""
    with clinic_of(new_tenant(), monkeypatch) as made:
        yield made
