"""What would stand in the way of a write besides the content itself: rights, ids, versions, labels, states and the
business rules of features. Nothing is stored."""

from collections.abc import Iterator
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Issue, NotFound
from fhir_server.interactions import life_cycle, stored
from fhir_server.interactions.stage import new_id, stage, stage_deletion
from fhir_server.interactions.write import check_head, check_id, check_match, existing, lock_one, stage_update
from fhir_server.search.parameter_resource import check_search_parameter
from fhir_server.security import policy

_MOST_REFERENCES = 50
# What is checked of definitions once they are stored.
_ALSO = {"SearchParameter": check_search_parameter}


def write(ctx: Context, resource: dict[str, Any], resource_id: str | None, if_match: str | None) -> list[Issue]:
    """What a create (`resource_id` None) or an update of valid content would be refused for, and warnings of references
    to what is not here; [] when it would be stored."""
    name = resource["resourceType"]
    try:
        with ctx.db.hold():
            if resource_id is None:
                new = stage(ctx, resource, new_id())
                policy.check_result(ctx, resource, "c", new.index.keys)
            else:
                check_id(resource, name, resource_id)
                head = lock_one(ctx, name, resource_id)
                staged = stage_update(ctx, name, resource_id, resource, head, if_match=if_match)
                if staged is None:
                    return []
                new = staged
            life_cycle.check(ctx, [new])
    except FhirError as error:
        return list(error.issues)
    also = _ALSO.get(name)
    return [*(also(resource, ctx.registry) if also else ()), *_dangling(ctx, resource)]


def delete(ctx: Context, resource_type: str, resource_id: str, if_match: str | None) -> list[Issue]:
    """What a deletion would be refused for; [] when it would be done. Raises `NotFound` for what is not there."""
    with ctx.db.hold():
        head = existing(lock_one(ctx, resource_type, resource_id, "d"), resource_type, resource_id)
        try:
            check_match(head, if_match, None)
            check_head(ctx, head, resource_type, resource_id)
            life_cycle.check(ctx, [stage_deletion(ctx, head)])
        except NotFound:
            raise
        except FhirError as error:
            return list(error.issues)
    return []


def _dangling(ctx: Context, resource: dict[str, Any]) -> Iterator[Issue]:
    """A warning for every reference to this server behind which the caller finds nothing; the first 50 are followed."""
    for number, (path, reference) in enumerate(_references(resource, resource["resourceType"])):
        kind, _, id_ = (stored.local(ctx, reference) or "").partition("/")
        if number >= _MOST_REFERENCES or kind not in ctx.registry.type_ids:
            continue
        try:
            stored.get(ctx, kind, id_)
        except NotFound:
            yield Issue("warning", "not-found", f"There is no {kind} of this id here.", f"{path}.reference")


def _references(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield path, value
        for name, child in value.items():
            yield from _references(child, f"{path}.{name}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _references(child, f"{path}[{index}]")
