"""Which types a profile may leave to an element. https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type"""

from collections.abc import Callable
from typing import Any

from fhir_server.conformance.differential import Entry

Type = dict[str, Any]
IsA = Callable[[str, str], bool]

STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
_FHIR_TYPE = f"{STRUCTURE}structuredefinition-fhir-type"
_ANY_TARGET = f"{STRUCTURE}Resource"


def type_code(type_: Type) -> str:
    """The FHIR name of a type; what stands for ids and urls is one of FHIRPath's own (`System.String`)."""
    code = str(type_.get("code", ""))
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    named = (e.get("valueUrl") or e.get("valueUri") for e in type_.get("extension", ()) if e.get("url") == _FHIR_TYPE)
    return str(next(named, None) or "string")


def choice_type(stem: str, name: str, types: list[Type]) -> Type | None:
    """The type that the name of a choice says: Quantity of `valueQuantity` (stem `value`)."""
    if not name.startswith(stem):
        return None
    return next((t for t in types if capital(type_code(t)) == name[len(stem) :]), None)


def capital(code: str) -> str:
    """A type's code as it stands in the name of a choice."""
    return code[:1].upper() + code[1:]


def narrowed(base: list[Type], wanted: list[Type], entry: Entry, is_a: IsA) -> list[Type]:
    """The types that a differential leaves. What it does not say about one of them stays as it was.

    Raises `Unprocessable` for a type or a target that the base does not have. `is_a` says whether a type or profile is
    one of another.
    """
    if not base:
        raise entry.refusal("the base gives this element no type of its own: leave `type` out.")
    return [_one(base, type_, entry, is_a) for type_ in wanted]


def _one(base: list[Type], wanted: Type, entry: Entry, is_a: IsA) -> Type:
    code = type_code(wanted)
    held = [t for t in base if type_code(t) == code] or [t for t in base if _stands_for(t, code, is_a)]
    if not held:
        allowed = ", ".join(dict.fromkeys(map(type_code, base)))
        raise entry.refusal(f"the type {code} is not one of the base's ({allowed}).")
    if len(held) > 1:  # R4 lists a type once; older definitions once for each target.
        return wanted
    _check_targets(held[0], wanted, entry, is_a)
    return {**held[0], **wanted} if held[0].get("code") == code else wanted


def _stands_for(type_: Type, code: str, is_a: IsA) -> bool:
    if str(type_.get("code", "")).startswith("http://hl7.org/fhirpath/"):
        return code in ("string", "id", "uri")
    return is_a(code, type_code(type_))


def _check_targets(base: Type, wanted: Type, entry: Entry, is_a: IsA) -> None:
    allowed = base.get("targetProfile", [])
    if not allowed or _ANY_TARGET in allowed:
        return
    for target in wanted.get("targetProfile", ()):
        if target not in allowed and not any(is_a(target, held) for held in allowed):
            names = ", ".join(url.rpartition("/")[2] for url in allowed)
            raise entry.refusal(f"the target {target} is not one of the base's ({names}).")
