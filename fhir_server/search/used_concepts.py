"""The codes that a tenant uses of a code system, in the order of the numbers of their concepts.

Joining 20,000 codes with the concepts of a large system takes the database 20,000 probes. What a code's concept is
never changes, so that is kept from one search to the next, and each search asks only whether the codes are still those:
their number and the exclusive or of their 64-bit keys say so, as of the same snapshot.
"""

from array import array
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.keys import token_key
from fhir_server.core.spans import Spans
from fhir_server.storage import used_codes
from fhir_server.storage.session import Row
from fhir_server.storage.used_codes import Mark
from fhir_server.terminology.systems import System

# Codes of all tenants together.
_MOST = 150_000


@dataclass(frozen=True, slots=True)
class UsedConcepts:
    """By place, ascending by number: the concepts in use, the keys of their exact forms and of their bare codes.
    `codes`: every code in use with its number; 0: the system does not have it."""

    mark: Mark = (-1, 0)
    codes: dict[str, int] = field(default_factory=dict)
    numbers: "array[int]" = field(default_factory=lambda: array("i"))
    exact: "array[int]" = field(default_factory=lambda: array("q"))
    bare: "array[int]" = field(default_factory=lambda: array("q"))

    def among(self, concepts: Spans) -> tuple["array[int]", "array[int]"]:
        """The keys, exact and bare, of those that are among the concepts."""
        exact, bare = array("q"), array("q")
        for place in concepts.places(self.numbers):
            exact += self.exact[place]
            bare += self.bare[place]
        return exact, bare


_NONE = UsedConcepts()
_kept: OrderedDict[Hashable, UsedConcepts] = OrderedDict()
_guard = Lock()


def known(key: Hashable | None) -> UsedConcepts:
    """What was worked out last under this key, or nothing yet. None: of a system that is not kept."""
    with _guard:
        found = _kept.get(key, _NONE)
        if found is not _NONE:
            _kept.move_to_end(key)
        return found


def settled(
    key: Hashable | None, before: UsedConcepts, rows: Sequence[Row], param: SearchParam, system: System
) -> UsedConcepts:
    """What the answer to `used_codes.unless` makes of what was known before: only codes that are new are looked up."""
    changed = used_codes.changed(rows, before.mark)
    if changed is None:
        return before
    mark, codes = changed
    fresh = [code for code, _ in codes if code not in before.codes]
    # In the order of the index, which is then read once.
    numbers = system.numbers(sorted(fresh)) if fresh else {}
    held = {code: before.codes[code] if code in before.codes else numbers.get(code, 0) for code, _ in codes}
    rows_ = sorted((held[code], key, code) for code, key in codes if held[code])
    made = UsedConcepts(
        mark, held, array("i", [row[0] for row in rows_]), array("q", [row[1] for row in rows_]),
        array("q", [token_key(param.resource_type, param.code, row[2]) for row in rows_]),
    )  # fmt: skip
    if key is not None:
        _keep(key, made)
    return made


def _keep(key: Hashable, made: UsedConcepts) -> None:
    with _guard:
        _kept[key] = made
        _kept.move_to_end(key)
        while sum(1000 + len(each.codes) for each in _kept.values()) > _MOST and len(_kept) > 1:
            _kept.popitem(last=False)
