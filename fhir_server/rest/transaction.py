"""A transaction Bundle: all entries or none, in the order DELETE, POST, PUT and PATCH, GET.

Identities are settled first, then every link in the Bundle is rewritten to them, then all resources are validated, then
all versions are written together. https://hl7.org/fhir/R4/http.html#trules
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Invalid, Issue
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.references import ID
from fhir_server.core.resource_json import decode
from fhir_server.interactions import life_cycle
from fhir_server.interactions.conditional import check_new, conditional_delete, existing_version
from fhir_server.interactions.result import Written
from fhir_server.interactions.stage import CREATE, PATCH, UPDATE, stage, stage_deletion
from fhir_server.interactions.validated import accept
from fhir_server.interactions.write import (
    as_version,
    check_head,
    check_id,
    check_match,
    existing,
    lock_heads,
    lock_one,
    stage_update,
    store,
)
from fhir_server.rest import respond
from fhir_server.rest.entries import Entry
from fhir_server.rest.identities import Identity, claim, settle
from fhir_server.rest.instance import change_of
from fhir_server.rest.links import Links
from fhir_server.security import policy
from fhir_server.storage.versions import NewVersion, Version

T = TypeVar("T")
Perform = Callable[[FhirRequest], FhirResponse]
Heads = dict[tuple[int, str], Version]


@dataclass(slots=True)
class _Plan:
    """A POST, PUT or PATCH entry on its way to a version."""

    entry: Entry
    identity: Identity
    resource: dict[str, Any]
    result: Written | None = None
    notes: list[Issue] | None = None


def transact(ctx: Context, entries: Sequence[Entry], perform: Perform) -> list[bytes]:
    """Run the entries in the context's transaction; their responses in request order."""
    answers: list[bytes] = [b""] * len(entries)
    with ctx.db.hold():
        deleted: dict[str, Entry] = {}
        for entry in entries:
            if entry.request.method == "DELETE":
                answers[entry.index] = entry.answer(_within(entry, lambda e=entry: _delete(ctx, e, deleted)))  # type: ignore[misc]
        writing = [e for e in entries if e.request.method in ("POST", "PUT", "PATCH") and "$" not in e.request.path]
        for plan in _write(ctx, writing, deleted):
            assert plan.result is not None
            ctx.notes = plan.notes
            answers[plan.entry.index] = plan.entry.answer(respond.written(ctx, plan.entry.request, plan.result))
        for entry in entries:
            if not answers[entry.index]:
                answers[entry.index] = entry.answer(_within(entry, lambda e=entry: perform(e.request)))  # type: ignore[misc]
    return answers


def _within(entry: Entry, work: Callable[[], T]) -> T:
    try:
        return work()
    except FhirError as error:
        raise entry.blame(error) from None


def _delete(ctx: Context, entry: Entry, deleted: dict[str, Entry]) -> FhirResponse:
    name, _, resource_id = entry.request.path.partition("/")
    if name not in ctx.registry.type_ids:
        raise Invalid("The url of a DELETE is Type/id or Type?condition.", expression="request.url")
    if not resource_id:
        for id_ in conditional_delete(ctx, name, entry.request.query):
            claim(deleted, f"{name}/{id_}", entry)
        return FhirResponse(204)
    if not ID.match(resource_id):
        raise Invalid("The url of a DELETE is Type/id or Type?condition.", expression="request.url")
    policy.allow(ctx, "delete", name)
    claim(deleted, f"{name}/{resource_id}", entry)
    head = lock_one(ctx, name, resource_id, "d")
    if head is not None and head.hidden:
        head = None
    if_match = entry.request.header("if-match")
    if if_match is not None:
        check_match(head, if_match, None)
    if head is not None and not head.deleted:
        check_head(ctx, head, name, resource_id)
        head = as_version(_stored(ctx, stage_deletion(ctx, head)))
    return FhirResponse(204, None, {"ETag": f'W/"{head.version}"'} if head else {})


def _stored(ctx: Context, new: NewVersion) -> NewVersion:
    store(ctx, [new])
    return new


def _write(ctx: Context, entries: Sequence[Entry], deleted: dict[str, Entry]) -> list[_Plan]:
    identities = settle(ctx, entries, deleted)
    links = Links(ctx, _full_urls(entries, identities))
    plans = []
    for entry, identity in zip(entries, identities, strict=True):
        resource = _within(entry, lambda e=entry: links.rewrite(e.request.resource, e.full_url))  # type: ignore[misc]
        plans.append(_Plan(entry, identity, resource))
    heads = _lock(ctx, identities)
    news: list[NewVersion] = []
    for plan in plans:
        new = _within(plan.entry, lambda p=plan: _stage(ctx, p, heads))  # type: ignore[misc]
        if new is not None:
            _within(plan.entry, lambda n=new: life_cycle.check(ctx, [n]))  # type: ignore[misc]
            news.append(new)
    if news:
        store(ctx, news, checked=True)
    return plans


def _full_urls(entries: Sequence[Entry], identities: Sequence[Identity]) -> dict[str, str]:
    """fullUrl -> `Type/id`. https://hl7.org/fhir/R4/bundle.html#bdl-7"""
    known: dict[str, str] = {}
    for entry, identity in zip(entries, identities, strict=True):
        if entry.full_url and known.setdefault(entry.full_url, identity.local) != identity.local:
            raise Invalid("Another entry has the same fullUrl.", expression=f"{entry.path}.fullUrl")
    return known


def _lock(ctx: Context, identities: Sequence[Identity]) -> Heads:
    names = {(i.type, i.id) for i in identities if not i.fresh and not i.matched_create}
    return lock_heads(ctx, names, "u") if names else {}


def _stage(ctx: Context, plan: _Plan, heads: Heads) -> NewVersion | None:
    """Decide one entry: sets the plan's result, and returns the version to write if there is one."""
    identity, request = plan.identity, plan.entry.request
    name, resource_id = identity.type, identity.id
    if identity.matched_create:
        version = existing_version(ctx, name, identity.match) if identity.match else None
        if version is not None:
            plan.result = Written(name, version, created=False, changed=False)
            return None
    head = heads.get((ctx.registry.type_ids[name], resource_id))
    resource = _patched(ctx, plan, head) if request.method == "PATCH" else plan.resource
    accept(ctx, resource, expected_type=name)
    plan.notes = None if ctx.notes is None else list(ctx.notes)
    if request.method == "POST":
        policy.allow(ctx, "create", name)
        new: NewVersion | None = stage(ctx, resource, resource_id, method=CREATE)
        assert new is not None
        policy.check_result(ctx, resource, "c", new.index.keys)
    else:
        if "/" not in request.path and identity.match is None:
            check_new(head, name)
        new = _staged_update(ctx, request, name, resource_id, resource, head)
    standing = new or head
    assert standing is not None
    created = new is not None and (head is None or head.deleted)
    plan.result = Written(name, standing, created=created, changed=new is not None)
    return new


def _staged_update(
    ctx: Context, request: FhirRequest, name: str, resource_id: str, resource: dict[str, Any], head: Version | None
) -> NewVersion | None:
    policy.allow(ctx, "update" if request.method == "PUT" else "patch", name)
    if "/" not in request.path:
        resource = {**resource, "id": resource_id}
    check_id(resource, name, resource_id)
    return stage_update(
        ctx,
        name,
        resource_id,
        resource,
        head,
        if_match=request.header("if-match"),
        if_none_match=request.header("if-none-match"),
        method=UPDATE if request.method == "PUT" else PATCH,
    )


def _patched(ctx: Context, plan: _Plan, head: Version | None) -> dict[str, Any]:
    identity = plan.identity
    current = existing(head, identity.type, identity.id)
    request = plan.entry.request
    request.resource = plan.resource
    return change_of(ctx, request)(decode(current.body))
