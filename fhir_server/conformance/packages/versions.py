"""Which of several versions is meant. https://confluence.hl7.org/display/FHIR/NPM+Package+Specification"""

from collections.abc import Iterable

from fhir_server.conformance.canonicals import version_order
from fhir_server.core.errors import Unprocessable

_MOVING = ("current", "dev")
LATEST = "latest"


def chosen(wanted: str, available: Iterable[str]) -> str | None:
    """The highest available version that fits: `6.1.0` exactly, `6.1.x` any with that beginning, `latest` the highest,
    releases before ballots and drafts. None when none fits.

    Raises `Unprocessable` for `current` and `dev`, which mean something else every day.
    """
    if wanted.partition("$")[0] in _MOVING:
        raise Unprocessable(f"{wanted} is no version: it changes. Name one, such as 6.1.0 or 6.1.x.")
    fitting = [version for version in available if fits(wanted, version)]
    return max(fitting, key=_order, default=None)


def fits(wanted: str, version: str) -> bool:
    """Whether a version is one of those wanted."""
    if wanted in (LATEST, "*", "x"):
        return True
    if wanted.endswith((".x", ".*")):
        return version == wanted[:-2] or version.startswith(wanted[:-1])
    return version == wanted


def _order(version: str) -> tuple[bool, object]:
    return "-" not in version, version_order(version)
