"""How much one search may ask for. Beyond it the answer is 422 `too-costly`, not a statement that the database
chokes on."""

from collections.abc import Sequence

from fhir_server.core.errors import TooCostly

MOST_CONDITIONS = 60
MOST_VALUES = 2000
# Of types whose OR-ed values are each a range of an index.
MOST_RANGES = 60
MOST_LINKS = 8
MOST_SORT_KEYS = 8
MOST_INCLUDES = 40


def check(number: int, most: int, what: str, expression: str) -> None:
    """Raise `TooCostly` when there are more than `most`."""
    if number > most:
        raise TooCostly(f"A search may have at most {most} {what}; this one has {number}.", expression=expression)


def check_chain(name: str) -> None:
    """Raise `TooCostly` for a parameter that goes through too many resources."""
    check(name.count(".") + name.count("_has:"), MOST_LINKS, "links in one chain", "http.query")


def check_values(values: Sequence[str], search_type: str, name: str) -> None:
    """Raise `TooCostly` for too many OR-ed values."""
    most = MOST_VALUES if search_type in ("token", "reference", "uri") else MOST_RANGES
    check(len(values), most, f"OR-ed values of {name}", f"http.{name}")
