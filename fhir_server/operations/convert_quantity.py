"""$convert-quantity: a quantity in another UCUM unit. https://ucum.org/ucum"""

import re
from decimal import Decimal
from typing import Any

from fhir_server.core import ucum
from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Unprocessable
from fhir_server.operations.call import OperationCall
from fhir_server.operations.parameters import returned

# https://hl7.org/fhir/R4/datatypes.html#decimal
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,99})(\.[0-9]{1,99})?([eE][+-]?[0-9]{1,9})?")


def convert_quantity(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """The quantity in the unit `to`. Raises `Invalid` for what is no quantity or no UCUM code, `Unprocessable` for
    units that measure different things."""
    quantity, where = _asked(call.parameters)
    source, target = quantity["code"], call.parameters["to"]
    for code, place in ((source, where), (target, "http.to")):
        problem = ucum.problem(code)
        if problem is not None:
            raise Invalid(problem, expression=place, code="code-invalid")
    try:
        value = ucum.convert(_decimal(quantity["value"]), source, target)
    except ucum.NotCommensurable as error:
        raise Unprocessable(str(error), expression="http.to", code="not-supported") from None
    except OverflowError as error:
        raise Unprocessable(f"{source} cannot be converted: {error}.", expression=where, code="value") from None
    found = {"value": value, "unit": ucum.printed(target), "system": ucum.SYSTEM, "code": target}
    if "comparator" in quantity:
        found = {"value": value, "comparator": quantity["comparator"], **found}
    return returned("Quantity", found)


def _asked(given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What to convert, and where its unit stands in the request."""
    if "quantity" in given:
        quantity = given["quantity"]
        if "value" in given or "unit" in given:
            raise Invalid("Give either quantity, or value and unit.", expression="http.quantity")
        if quantity.get("system", ucum.SYSTEM) != ucum.SYSTEM:
            raise Invalid(f"Only units of {ucum.SYSTEM} are converted.", expression="http.quantity", code="value")
        if "value" not in quantity or not quantity.get("code"):
            raise Invalid("The quantity needs value and code.", expression="http.quantity", code="required")
        return quantity, "http.quantity"
    if "value" not in given or not given.get("unit"):
        raise Invalid("$convert-quantity needs quantity, or value and unit.", expression="http.value", code="required")
    return {"value": given["value"], "code": given["unit"]}, "http.unit"


def _decimal(value: Any) -> Decimal:
    text = str(value)
    if not _DECIMAL.fullmatch(text):
        raise Invalid("value is a decimal number.", expression="http.value", code="value")
    return Decimal(text)
