"""Small allowances, so that what is refused for its cost is refused soon."""

import pytest

from fhir_server.fhirpath import allowance, nodes


@pytest.fixture(autouse=True)
def small_allowances(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of what a server gives."""
    monkeypatch.setattr(allowance, "MOST_SECONDS", allowance.MOST_SECONDS / 5)
    monkeypatch.setattr(allowance, "MOST_WORK", allowance.MOST_WORK // 5)
    monkeypatch.setattr(allowance, "SHARED_WORK", allowance.SHARED_WORK // 5)
    monkeypatch.setattr(nodes, "MOST_SECONDS", nodes.MOST_SECONDS / 5)
    monkeypatch.setattr(nodes, "MOST_WORK", nodes.MOST_WORK // 5)
