"""read and vread. https://hl7.org/fhir/R4/http.html#read"""

from dataclasses import replace

from fhir_server.core.context import Context
from fhir_server.core.errors import Gone, NotFound
from fhir_server.core.resource_json import decode
from fhir_server.interactions import shared_definitions
from fhir_server.interactions.past import visible_versions
from fhir_server.search.values.reference import local_target
from fhir_server.security import audit, policy
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage import resources
from fhir_server.storage.versions import Version


def read(ctx: Context, resource_type: str, resource_id: str) -> Version:
    """The current version; of what the tenant never had, the shared definition. Raises `NotFound`, or `Gone` when it
    was deleted."""
    ctx = _as_self(ctx, resource_type, resource_id)
    policy.allow(ctx, "read", resource_type)
    rule = policy.rule(ctx, (resource_type,), "r")
    type_id = ctx.registry.type_ids[resource_type]
    log = audit.Disclosure(ctx, "read", resource_type, single=True, absent="deleted")
    version = resources.read(ctx.db, ctx.tenant.id, type_id, resource_type, resource_id, rule, log)
    if version is None and rule is not None and resource_type == "Binary":
        version = _by_context(ctx, resource_id)
    if version is None:
        version = shared_definitions.read(ctx, "read", resource_type, resource_id)
    return present(version, resource_type, resource_id)


def _as_self(ctx: Context, resource_type: str, resource_id: str) -> Context:
    """The scope fhirUser lets an app read the resource of its user; role, labels and consents still bind.

    https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-identity-data
    """
    who = ctx.principal
    if who.user is None or "fhirUser" not in who.scopes.words or who.user.fhir_user != f"{resource_type}/{resource_id}":
        return ctx
    scopes = parse_scopes(f"{who.scopes.text} user/{resource_type}.r")
    return replace(ctx, principal=replace(who, scopes=scopes, memo={}))


def _by_context(ctx: Context, resource_id: str) -> Version | None:
    """A Binary belongs to whom the resource belongs that its securityContext names, as that resource is now.

    https://hl7.org/fhir/R4/binary.html#security-context
    """
    type_ids = ctx.registry.type_ids
    version = resources.read(ctx.db, ctx.tenant.id, type_ids["Binary"], "Binary", resource_id)
    if version is None or version.deleted:
        return None
    context = decode(version.body).get("securityContext", {}).get("reference", "")
    _, kind, id_ = local_target(context, ctx.base)
    if kind is None or id_ is None or kind == "Binary" or not policy.access(ctx).rule(kind, "r"):
        return None
    holder = resources.read(ctx.db, ctx.tenant.id, type_ids[kind], kind, id_, policy.rule(ctx, (kind,), "r"))
    if holder is None or holder.deleted:
        return None
    # The Binary is what is shown; its holder only says to whom.
    ctx.db.run([audit.about(ctx, "read", resource_type="Binary", rids=[version.rid])], final=True)
    return version


def vread(ctx: Context, resource_type: str, resource_id: str, version_id: str) -> Version:
    """One version. Raises `NotFound`, or `Gone` when that version is a deletion."""
    policy.allow(ctx, "vread", resource_type)
    number = int(version_id) if version_id.isascii() and version_id.isdigit() and len(version_id) < 10 else 0
    type_id = ctx.registry.type_ids[resource_type]
    rule = policy.rule(ctx, (resource_type,), "r")
    log = audit.Disclosure(ctx, "vread", resource_type, single=True, absent="deleted")
    version = resources.vread(ctx.db, ctx.tenant.id, type_id, resource_type, resource_id, number, rule, log)
    if version is not None and rule is not None and not visible_versions(ctx, [version]):
        version = None
    if version is None and number == 1:
        version = _shared(ctx, resource_type, resource_id)
    return present(version, resource_type, resource_id)


def _shared(ctx: Context, resource_type: str, resource_id: str) -> Version | None:
    """The one version of a shared definition, where the tenant has no resource of that id."""
    type_id = ctx.registry.type_ids[resource_type]
    if resources.read(ctx.db, ctx.tenant.id, type_id, resource_type, resource_id) is not None:
        return None
    return shared_definitions.read(ctx, "vread", resource_type, resource_id)


def present(version: Version | None, resource_type: str, resource_id: str) -> Version:
    """The version if it can be shown; else the error that says why not."""
    if version is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known here.")
    if version.deleted:
        raise Gone(
            f"{resource_type}/{resource_id} was deleted.", headers={"ETag": f'W/"{version.version}"'}
        )
    return version
