"""How composite parameters are indexed: shared by extraction and by the query compiler.

A composite is true of *one* element (of the parameter's base expression): its parts are joined before they are hashed,
never across elements. https://hl7.org/fhir/R4/search.html#composite

With `form1` any form of the first part (`code` and `system|code` or `|code`; never `system|`):

| parts                     | rows                                                                                    |
|---------------------------|-----------------------------------------------------------------------------------------|
| token $ token             | token and key `pair_key(type, code, form1, form2)`                                      |
| token $ reference         | token and key `pair_key(type, code, form1, local form or canonical)`                    |
| token $ uri               | token and key `pair_key(type, code, form1, uri)`                                        |
| token $ quantity          | quantity rows of `param_id(type, code)`, `unit_key(system, unit, prefix=form1)`         |
| token $ number            | quantity rows of `param_id(type, code)`, `unit_key(None, None, prefix=form1)`           |
| token $ number $ number   | one quantity row, `unit_key(None, None, prefix=form1)`: `lo` is the first number (an    |
|                           | interval's start), `hi` the second; each prefix test goes to its own column             |
| token $ string            | string row of `param_id(type, code)`: `string_value(form1, text)`, so that a prefix of  |
|                           | the text is a prefix of the row                                                         |
| token $ date              | date rows of `date_param(type, code, form1)`, and the key `pair_key(type, code, form1)` |
|                           | on the row, which makes a collision of the 32-bit parameter harmless                    |

The parts of a composite may stand in any order in its definition; `form1` is always the first *token* part.
"""

from fhir_server.core.keys import param_id, token_key
from fhir_server.search.text import normalize

KINDS = frozenset(
    {
        ("token", "token"),
        ("token", "reference"),
        ("token", "uri"),
        ("token", "quantity"),
        ("token", "number"),
        ("token", "number", "number"),
        ("token", "string"),
        ("token", "date"),
    }
)


def pair_key(resource_type: str, code: str, form: str, other: str = "") -> int:
    """Token key of two parts of one element; with no `other`, the key that says: the first part occurs."""
    return token_key(resource_type, code, f"{form}${other}")


def string_value(form: str, text: str) -> str:
    """Value of the string row of token $ string; `text` may be a prefix as the client wrote it."""
    return f"{form[:300]}${normalize(text)}"


def date_param(resource_type: str, code: str, form: str) -> int:
    """Parameter id of the date rows of token $ date."""
    return param_id(resource_type, f"{code}${form}")
