"""special parameters: `near`. https://hl7.org/fhir/R4/location.html#positional"""

from collections.abc import Sequence
from math import isfinite

from fhir_server.core.keys import param_id, unit_key
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.escape import split
from fhir_server.search.ranges import Near
from fhir_server.search.tree import Node, any_of

_KM = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344, "mi": 1.609344, "[mi_us]": 1.609347, "[ft_i]": 0.0003048, "cm": 1e-5}
_DEFAULT_KM = 50.0
_EXPECTED = "latitude|longitude[|distance[|unit]]: degrees, unit km (the default), m or [mi_i]; 50 km if not said"


def compile_term(asked: Asked) -> Term:
    """The compiler of values for `near`; other special parameters are not indexed."""
    if asked.param.code != "near" or asked.modifier:
        raise asked.bad_modifier(("missing",))
    codes = [param_id(asked.resource_type, f"near:{axis}") for axis in ("lat", "lon")]

    def match(values: Sequence[str], asker: Asker) -> Node:
        return any_of([Near(codes[0], codes[1], unit_key(None, None), *_position(asked, v)) for v in values])

    return match


def _position(asked: Asked, value: str) -> tuple[float, float, float]:
    parts = split(value, "|")
    if not 2 <= len(parts) <= 4:
        raise asked.bad_value(_EXPECTED)
    unit = parts[3] if len(parts) == 4 and parts[3] else "km"
    try:
        latitude, longitude = float(parts[0]), float(parts[1])
        km = float(parts[2]) * _KM[unit] if len(parts) > 2 and parts[2] else _DEFAULT_KM
    except (ValueError, KeyError):
        raise asked.bad_value(_EXPECTED) from None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and isfinite(km) and km >= 0):
        raise asked.bad_value(_EXPECTED)
    return latitude, longitude, km
