"""$terminologies, $import-terminology, $remove-terminology (profiles/terminology/operations/): what was imported."""

from functools import partial
from typing import Any

from fhir_server.core.binaries import content_of
from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, Invalid
from fhir_server.operations.call import OperationCall
from fhir_server.operations.definitions_rights import check_may_change, may_change
from fhir_server.security import policy
from fhir_server.storage import terminology_jobs
from fhir_server.storage.concepts import SITE, SystemRow
from fhir_server.storage.terminology_jobs import Job
from fhir_server.terminology.importers import jobs as imports
from fhir_server.terminology.stored import stored_systems

Json = dict[str, Any]
_OPTIONS = ("system", "version", "name", "language", "replace")
_UPLOAD = "upload"


def terminologies(ctx: Context, call: OperationCall) -> Json:
    """Parameters with a `terminology` for each imported system that the tenant has, its own before everybody's, and,
    for who may import, an `import` for each job of its own, the newest first."""
    may = may_change(ctx)
    if not may and not policy.whole(ctx, "CodeSystem", "r"):
        raise Forbidden("The imported code systems are shown to who may read every CodeSystem.")
    url = call.parameters.get("system")
    rows = [row for row in stored_systems(ctx.db, ctx.tenant.id) if url in (None, row.url)]
    parameter = [_system(row) for row in rows if row.status == "active"]
    if may:
        parameter += [_job(job) for job in terminology_jobs.jobs(ctx.db.run, ctx.tenant.id)]
    return {"resourceType": "Parameters", "parameter": parameter}


def import_terminology(ctx: Context, call: OperationCall) -> Json:
    """Ask for an import; the worker does it. Parameters with the `import` as it stands."""
    check_may_change(ctx, "import code systems")
    given = call.parameters
    file, content = given.get("file"), given.get("content")
    if (file is None) == (content is None):
        raise Invalid("Give file, a name in the server's folder terminology, or content, a Binary.")
    options: Json = {name: given[name] for name in _OPTIONS if name in given}
    if content is not None:
        options["uploaded"] = True
    elif file is not None:
        imports.in_library(file)
    job = imports.new_job(ctx.tenant.id, given["format"], file or _UPLOAD, options, imports.WORKER)
    imports.ask(ctx.db.run, job, None if content is None else content_of(content))
    return {"resourceType": "Parameters", "parameter": [_job(job)]}


def remove_terminology(ctx: Context, call: OperationCall) -> Json:
    """Take a system of the tenant's own out of use, or cancel an import. Parameters with what was `removed`."""
    check_may_change(ctx, "remove code systems")
    url, job_id = call.parameters.get("system"), call.parameters.get("job")
    if (url is None) == (job_id is None):
        raise Invalid("Give system, the URL of an imported code system, or job, the id of an import to cancel.")
    if job_id is not None:
        job = imports.cancel(ctx.db.run, ctx.tenant.id, job_id)
        ctx.db.when_committed(partial(imports.forget, job))
        return {"resourceType": "Parameters", "parameter": [{"name": "removed", "valueString": job.id}]}
    versions = imports.remove(ctx.db.run, ctx.tenant.id, str(url), call.parameters.get("version"))
    removed = [f"{url}|{version}" if version else str(url) for version in versions]
    return {"resourceType": "Parameters", "parameter": [{"name": "removed", "valueString": each} for each in removed]}


def _system(row: SystemRow) -> Json:
    parts: list[Json] = [{"name": "system", "valueUri": row.url}]
    if row.version:
        parts.append({"name": "version", "valueString": row.version})
    for name in ("name", "title", "copyright"):
        if row.described.get(name):
            parts.append({"name": name, "valueString": row.described[name]})
    parts += [
        {"name": "concepts", "valueInteger": row.concepts},
        {"name": "shared", "valueBoolean": row.tenant_id == SITE},
        {"name": "source", "valueString": row.source},
        {"name": "imported", "valueInstant": row.imported_at},
    ]
    parts += [{"name": "language", "valueCode": each} for each in row.described.get("languages", ())]
    parts += [{"name": "property", "valueCode": each} for each in row.described.get("properties", ())]
    return {"name": "terminology", "part": parts}


def _job(job: Job) -> Json:
    parts: list[Json] = [
        {"name": "id", "valueId": job.id},
        {"name": "format", "valueCode": job.format},
        {"name": "source", "valueString": job.source if job.options.get("by") == imports.WORKER else "command"},
        {"name": "status", "valueCode": job.status},
        {"name": "done", "valueInteger": job.done},
    ]
    if job.phase:
        parts.append({"name": "phase", "valueCode": job.phase})
    if job.total:
        parts.append({"name": "total", "valueInteger": job.total})
    if job.message:
        parts.append({"name": "message", "valueString": job.message})
    for name, value in (("system", job.options.get("system")), ("version", job.options.get("version"))):
        if value:
            parts.append({"name": name, "valueString": value})
    for name, value in (("created", job.created), ("updated", job.updated)):
        if value:
            parts.append({"name": name, "valueInstant": value})
    return {"name": "import", "part": parts}
