"""How a unit is written for people: with its printed symbols, and in words."""

from fhir_server.core.ucum.syntax import Product, Simple, parse

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def printed(code: str) -> str:
    """The unit in symbols: `ug/dL` as `μg/dL`, `10*9/L` as `10⁹/L`. Raises `Problem`."""
    return _symbols(parse(code))


def _symbols(tree: Product) -> str:
    text = ""
    for number, (sign, part) in enumerate(tree.of):
        text += "/" if sign < 0 else "·" if number else ""
        if isinstance(part, Product):
            text += f"({_symbols(part)}){part.note}"
        elif isinstance(part, Simple):
            text += _symbol(part)
        else:
            text += part.note or str(part.value)
    return text


def _symbol(part: Simple) -> str:
    prefix = part.prefix.symbol if part.prefix else ""
    power = "" if part.power == 1 else str(part.power).translate(_RAISED)
    return f"{prefix}{part.atom.symbol}{power}{part.note}"


def named(code: str) -> str:
    """The unit in words, as UCUM's tests want them: `mg/m2` as `(milligram) / (meter ^ 2)`. Raises `Problem`."""
    return _words(parse(code))


def _words(tree: Product) -> str:
    text = ""
    for number, (sign, part) in enumerate(tree.of):
        text += ("1 / " if not number else " / ") if sign < 0 else " * " if number else ""
        if isinstance(part, Product):
            text += f"({_words(part)})"
        elif isinstance(part, Simple):
            text += f"({_name(part)})"
        else:
            text += "(unity)" if part.value == 1 and len(tree.of) == 1 else str(part.value)
    return text


def _name(part: Simple) -> str:
    name = (part.prefix.name if part.prefix else "") + part.atom.name
    return name if part.power == 1 else f"{name} ^ {part.power}"
