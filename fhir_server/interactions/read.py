"""read and vread. https://hl7.org/fhir/R4/http.html#read"""

from fhir_server.core.context import Context
from fhir_server.core.errors import Gone, NotFound
from fhir_server.security import policy
from fhir_server.storage import resources
from fhir_server.storage.versions import Version


def read(ctx: Context, resource_type: str, resource_id: str) -> Version:
    """The current version. Raises `NotFound`, or `Gone` when it was deleted."""
    policy.allow(ctx, "read", resource_type)
    version = resources.read(ctx.db, ctx.tenant.id, ctx.registry.type_ids[resource_type], resource_type, resource_id)
    return present(version, resource_type, resource_id)


def vread(ctx: Context, resource_type: str, resource_id: str, version_id: str) -> Version:
    """One version. Raises `NotFound`, or `Gone` when that version is a deletion."""
    policy.allow(ctx, "vread", resource_type)
    number = int(version_id) if version_id.isascii() and version_id.isdigit() and len(version_id) < 10 else 0
    type_id = ctx.registry.type_ids[resource_type]
    version = resources.vread(ctx.db, ctx.tenant.id, type_id, resource_type, resource_id, number)
    return present(version, resource_type, resource_id)


def present(version: Version | None, resource_type: str, resource_id: str) -> Version:
    """The version if it can be shown; else the error that says why not."""
    if version is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known here.")
    if version.deleted:
        raise Gone(
            f"{resource_type}/{resource_id} was deleted.", headers={"ETag": f'W/"{version.version}"'}
        )
    return version
