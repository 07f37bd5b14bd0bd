"""$validation-policy and $change-validation-policy (profiles/conformance/operations/): what a tenant does with data
that breaks rules."""

from typing import Any

from fhir_server.conformance.canonicals import Definitions
from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Issue, Unprocessable
from fhir_server.operations.call import OperationCall
from fhir_server.operations.definitions_rights import check_may_change
from fhir_server.storage import tenants
from fhir_server.validation import modes

_SETTING = "validation"


def show(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with `rules` for each type that has its own, and for all others."""
    return _told(ctx.tenant.settings.get(_SETTING, {}))


def change(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Set what holds for one type or for all others; the whole policy as it is then. Every process follows it from its
    next request on. Raises `Unprocessable` for a profile that is not known here or is about another type."""
    check_may_change(ctx, "change what is done with data that breaks rules")
    given = call.parameters
    name = given.get("type")
    part: dict[str, Any] = {key: given[key] for key in ("mode", "unknown") if key in given}
    if "profile" in given:
        if name is None:
            raise Invalid("Profiles are demanded of a type: say which.", expression="http.type", code="required")
        part["profiles"] = list(dict.fromkeys(given["profile"]))
    policy = _changed(tenants.held_setting(ctx.db, ctx.tenant.id, _SETTING) or {}, name, part)
    refuse_unusable(policy, ctx)
    tenants.change_setting(ctx.db, ctx.tenant.id, _SETTING, policy)
    return _told(policy)


def _changed(policy: dict[str, Any], name: str | None, part: dict[str, Any]) -> dict[str, Any]:
    if name is None:
        changed = {**policy, "default": part}
    else:
        changed = {**policy, "types": {**policy.get("types", {}), name: part}}
        changed["types"] = {key: value for key, value in changed["types"].items() if value}
    return {key: value for key, value in changed.items() if value}


def refuse_unusable(policy: Any, ctx: Context) -> None:
    """Raise `Unprocessable` with everything that is wrong with a policy: its form, and profiles that are not here."""
    found = modes.check(policy, ctx.registry.type_ids)
    if not found:
        definitions = Definitions(ctx.registry.canonicals, ctx.db, ctx.tenant.id)
        for name, part in policy.get("types", {}).items():
            for canonical in part.get("profiles", ()):
                found += _profile_issues(definitions, name, canonical)
    if found:
        raise Unprocessable(issues=found)


def _profile_issues(definitions: Definitions, name: str, canonical: str) -> list[Issue]:
    definition = definitions.find("StructureDefinition", canonical)
    if definition is None:
        text = f"The profile {canonical} is not known here: install or store it first."
        return [Issue("error", "not-found", text, "http.profile")]
    if definition.get("type") != name:
        text = f"The profile {canonical} is about {definition.get('type')}, not about {name}."
        return [Issue("error", "value", text, "http.profile")]
    return []


def _told(policy: dict[str, Any]) -> dict[str, Any]:
    types = policy.get("types", {})
    rows = [_rules(name, modes.policy_of({_SETTING: policy}, name)) for name in sorted(types)]
    rest = _rules(None, modes.policy_of({_SETTING: policy}, ""))
    return {"resourceType": "Parameters", "parameter": [*rows, rest]}


def _rules(name: str | None, policy: modes.Policy) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "type", "valueCode": name}] if name else []
    if policy.mode is not None:
        parts.append({"name": "mode", "valueCode": policy.mode})
    parts.append({"name": "unknown", "valueCode": policy.unknown})
    parts += [{"name": "profile", "valueCanonical": each} for each in policy.profiles]
    return {"name": "rules", "part": parts}
