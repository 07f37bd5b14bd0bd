"""Uri parameters: the exact text as a key, and as a row for `:below`. https://hl7.org/fhir/R4/search.html#uri"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.keys import token_key
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.values.leaf import Leaf

LONGEST = 500
# The key under which a claim of one version of a profile is found by the profile alone.
ANY_VERSION = "_profile:below"
_KEYS_ONLY = frozenset({"_profile", "_source"})


def emitter(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of uri parameters for a primitive FHIR type; None for complex types."""
    if not fhir_type[0].islower():
        return None
    params = [(leaf.resource_type, leaf.code, None if leaf.code in _KEYS_ONLY else leaf.param) for leaf in leaves]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        text = str(value)
        for resource_type, code, param in params:
            rows.tokens.append(token_key(resource_type, code, text))
            if code == "_profile" and "|" in text:
                rows.tokens.append(token_key(resource_type, ANY_VERSION, text.partition("|")[0]))
            if param is not None:
                rows.strings.append((param, text[:LONGEST].replace("\x00", "")))

    return emit
