"""What clients may not change by plain writes: moves of a state that its table does not have, and elements that only an
operation changes. The tables are data: `profiles/{feature}/governed.json`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from fhir_server.conformance.own_definitions import own_table
from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.core.resource_json import decode
from fhir_server.interactions import packaged
from fhir_server.storage.versions import NewVersion

Rule = Mapping[str, Any]


@cache
def _rules() -> Mapping[str, tuple[Rule, ...]]:
    found: dict[str, tuple[Rule, ...]] = {}
    for _, table in own_table("governed"):
        for rule in table:
            found[rule["type"]] = (*found.get(rule["type"], ()), rule)
    return found


def check(ctx: Context, news: Sequence[NewVersion]) -> None:
    """Raise `Unprocessable` when one of the versions breaks a rule or a feature's guard finds fault with it, `Conflict`
    when it changes what a package brought. What operations write is theirs to answer for; bulk loads may bring any
    history along."""
    if ctx.acting:
        return
    packaged.check(ctx, news)
    for new in news:
        name = ctx.registry.type_names[new.type_id]
        rules, guards = _rules().get(name, ()), ctx.guards.get(name, ())
        if not rules and not guards:
            continue
        before = decode(new.old.body) if new.old is not None and not new.old.deleted else None
        after = decode(new.body) if new.body else None
        for rule in () if ctx.importing else rules:
            if _meant(rule, before) or _meant(rule, after):
                _check(rule, before, after)
        issues = [issue for guard in guards for issue in guard(ctx, before, after)]
        if issues:
            raise Unprocessable(issues=issues)


def _meant(rule: Rule, resource: Mapping[str, Any] | None) -> bool:
    if resource is None or "code" not in rule:
        return resource is not None
    wanted = rule["code"]["system"], rule["code"]["code"]
    codings = resource.get("code", {}).get("coding", ())
    return any((coding.get("system"), coding.get("code")) == wanted for coding in codings)


def _check(rule: Rule, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
    name = rule["type"]
    if after is None:
        if not rule.get("delete", True):
            raise _refused(rule, name)
    elif before is None:
        if not rule.get("create", True):
            raise _refused(rule, name)
    elif "moves" in rule:
        element = rule["element"]
        old, new = before.get(element), after.get(element)
        if old != new and new not in rule["moves"].get(old, ()):
            allowed = ", ".join(rule["moves"].get(old, ())) or "nothing"
            raise _refused(rule, f"{name}.{element}", f"From {old} it goes to {allowed}.")
    else:
        for element in rule["elements"]:
            if _value(before, element) != _value(after, element):
                raise _refused(rule, f"{name}.{element.partition('|')[0]}")


def _value(resource: Mapping[str, Any], element: str) -> Any:
    name, _, url = element.partition("|")
    if not url:
        return resource.get(name)
    return [extension for extension in resource.get(name, ()) if extension.get("url") == url]


def _refused(rule: Rule, expression: str, more: str = "") -> Unprocessable:
    text = f"{rule['text']} {more}".strip()
    return Unprocessable(text, expression=expression, code="business-rule", detail="wrong-state")
