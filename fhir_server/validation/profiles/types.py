"""The types that a profile leaves to an element, and the profiles that its values conform to.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fhir_server.conformance.structures import Element
from fhir_server.fhirpath import Node
from fhir_server.validation.profiles.references import core_type, reference_checks
from fhir_server.validation.profiles.tree import Branch
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

if TYPE_CHECKING:
    from fhir_server.validation.profiles.compiler import Compiler

# Whether an item has a type that the profile does not allow, which it then notes.
Refuse = Callable[[Node, Path, Trial], bool]
QUANTITIES = frozenset({"SimpleQuantity", "MoneyQuantity"})
_ANY = frozenset({"Resource", "DomainResource"})


def narrowed(part: Branch, elements: Sequence[Element]) -> frozenset[str] | None:
    """The JSON properties of a choice that a profile allows, None when it allows all that R4 does."""
    if elements[0].choice is None or not part.types or part.max == 0:
        return None
    codes = [entry.get("code", "") for entry in part.types]
    allowed = frozenset(f"{elements[0].choice}{code[:1].upper()}{code[1:]}" for code in codes)
    return None if allowed >= {element.name for element in elements} else allowed


def refusal(
    part: Branch, elements: Sequence[Element], allowed: frozenset[str] | None, rule: str, owner: str
) -> Refuse | None:
    """What notes items of a wrong type; None where every type of R4 is right."""
    codes = [entry.get("code", "") for entry in part.types]
    if allowed is not None:
        types = frozenset(element.type for element in elements if element.name in allowed)
    elif elements[0].type in _ANY and codes and _ANY.isdisjoint(codes):
        types = frozenset(codes)
    else:
        return None
    text = f"'{part.name}' must have the type {' or '.join(dict.fromkeys(codes))} in {owner}, and not {{}}."

    def refuse(node: Node, path: Path, trial: Trial) -> bool:
        if node[0] in types:
            return False
        trial.fail(path, "structure", text.format(node[0]), rule)
        return True

    return refuse


def type_checks(compiler: "Compiler", branch: Branch, type_: str, beside: Branch | None) -> list[Check]:
    """The checks of an element's `type` entries on items of one type."""
    known = () if beside is None else beside.types
    entries = [entry for entry in branch.types if _is_about(entry, type_) and entry not in known]
    bases = [element for element in compiler.base(branch) if element.type == type_]
    made: list[Check] = []
    for entry in entries:
        targets = bases[0].targets if bases else ()
        made += reference_checks(entry, targets, branch.name, compiler.rule(branch), compiler.owner)
    profiles = [p for entry in entries for p in entry.get("profile", ()) if core_type(p) != type_]
    if profiles and "." in branch.id and not any(not entry.get("profile") for entry in entries):
        made.append(_profile_check(tuple(dict.fromkeys(profiles)), branch.name, compiler.rule(branch), compiler.owner))
    return made


def _is_about(entry: Mapping[str, Any], type_: str) -> bool:
    code = entry.get("code")
    # A type of R4's base that is itself a profile (SimpleQuantity) is written as the type that it constrains.
    return code == type_ or code in _ANY or type_ in _ANY or (code == "Quantity" and type_ in QUANTITIES)


def _profile_check(profiles: tuple[str, ...], name: str, rule: str, owner: str) -> Check:
    """Conformance to one of the profiles of an element's type."""
    shown = ", ".join(profile.rpartition("/")[2] for profile in profiles)

    def check(node: Node, path: Path, trial: Trial) -> None:
        inline = isinstance(node[1], dict) and "resourceType" in node[1]
        at = trial.within(node[1], contained=path[1] == "contained") if inline else trial
        plans = [at.plans.target(at.scope, profile) for profile in profiles]
        known = [plan for plan in plans if plan is not None]
        if not known:
            note = f"The profile {shown} of '{name}' is not known here, so it was not checked."
            trial.fail(path, "not-found", note, rule, "warning")
            return
        fitting = [plan for plan in known if at.plans.is_a(node[0], plan.type)]
        if any(plan.base for plan in fitting):
            return
        if len(fitting) == 1 and len(plans) == 1:
            at.against(fitting[0], node, path)
        elif not any(at.holds(lambda n, p, t, plan=plan: t.against(plan, n, p), node, path) for plan in fitting) and (  # type: ignore[misc]
            len(known) == len(plans)
        ):
            trial.fail(path, "value", f"'{name}' does not conform to any of {shown}, as {owner} demands.", rule)

    return check
