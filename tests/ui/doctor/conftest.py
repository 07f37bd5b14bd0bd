"""The doctor and the nurse of the demo clinic, and visits of new patients."""

import pytest

from tests.ui.conftest import Demo, Person
from tests.ui.doctor.place import Visit, new_visit


@pytest.fixture(scope="module")
def doctor(clinic: Demo) -> Person:
    """The demo's doctor at the pages."""
    return clinic.person("practitioner")


@pytest.fixture(scope="module")
def nurse(clinic: Demo) -> Person:
    """The demo's nurse at the pages."""
    return clinic.person("nurse")


@pytest.fixture
def visit(clinic: Demo, doctor: Person) -> Visit:
    """A new patient in a visit."""
    return new_visit(clinic, doctor)
