"""The room's blueprint, and as whom its pages ask: patients and relatives as themselves, all others as visitors."""

from collections.abc import Iterator
from contextlib import contextmanager

from fhir_server.authorization_server.browser import SignedIn
from ui import fhir, page
from ui.room import room

bp = room("booking", roles=None)
_PERSONAL = ("patient", "proxy")


def person() -> SignedIn | None:
    """The patient or relative who is signed in; None for visitors, and for staff, who book at the desk."""
    found = page.visitor()
    return found if found is not None and found.user.role in _PERSONAL else None


@contextmanager
def asking(*, holding: bool = False) -> Iterator[None]:
    """Ask inside as the person who is signed in, else as a visitor. `holding`: a visitor who may hold a time."""
    if person() is not None:
        yield
        return
    with fhir.as_guest(holding=holding):
        yield


def home(slug: str) -> str:
    """The address of the room's first page."""
    return f"/t/{slug}/ui/booking/"
