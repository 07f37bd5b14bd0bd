"""Patient/{id}/$disclosures: who saw this patient's record, when, what of it, and for what purpose.

Our own operation (profiles/operations/Patient-disclosures.json): the accounting of disclosures that HIPAA 164.528 and
GDPR article 15 ask for, straight from the audit log. Events that wrote and showed nothing are not in it.
"""

from typing import Any
from urllib.parse import urlencode

from fhir_server.core.context import Context
from fhir_server.core.cursor import seal, unseal
from fhir_server.core.dates import parse_range
from fhir_server.core.errors import Invalid, NotFound, NotSupported
from fhir_server.core.keys import patient_key
from fhir_server.core.messages import FhirResponse
from fhir_server.interactions import audit_log
from fhir_server.interactions.audit_query import MOST
from fhir_server.interactions.bundle import bundle, link
from fhir_server.operations.call import OperationCall
from fhir_server.security import audit, policy
from fhir_server.security.audit_events import SUCCESS, kinds
from fhir_server.security.audit_text import LANGUAGES
from fhir_server.settings import settings
from fhir_server.storage import audit_log as log
from fhir_server.storage.audit_log import Wanted
from fhir_server.storage.clock import END, first_seq


def disclosures(ctx: Context, call: OperationCall) -> FhirResponse:
    """A page of the events that showed something of the patient's record, newest first, with the names of who saw it.

    Raises `Forbidden` for who may not read the audit log, `NotFound` for another patient than the caller's own.
    """
    patient = call.id or ""
    policy.allow(ctx, "search", audit_log.TYPE)
    may = audit_log.rights(ctx, "s")
    rids = log.rids_of(ctx.db, ctx.tenant.id, [("Patient", ctx.registry.type_ids["Patient"], patient)])
    if not rids or (may.own is not None and patient not in may.own):
        raise NotFound(f"Patient/{patient} is not known here.")
    asked: dict[str, Any] = {n: call.parameters[n] for n in ("start", "end", "_count") if n in call.parameters}
    count = _count(asked)
    scope = f"{ctx.tenant.id}|{call.path}|{asked}|{policy.visible_text(ctx, 's')}"
    cursor = _cursor(call)
    after = unseal(ctx.cursor_key, scope, cursor) if cursor else None
    rows = audit_log.rows_of_patient(ctx, patient, _wanted(patient, asked), after, count + 1)
    own = audit_log.Rights(frozenset({patient}), queries=False)
    events = audit_log.rendered(ctx, rows[:count], own, language=_language(ctx))
    detail = {"what": call.path, "query": urlencode(asked)}
    ctx.db.run([audit.about(ctx, "operation", resource_type="Patient", rids=rids, detail=detail)], final=True)
    links = [link("self", _url(ctx, call, asked))]
    if len(rows) > count:
        onward = seal(ctx.cursor_key, scope, rows[count - 1].seq)
        links.append(link("next", _url(ctx, call, {**asked, "_cursor": onward})))
    return FhirResponse(200, bundle("searchset", [audit_log.entry(ctx, each) for each in events], links=links))


def _wanted(patient: str, asked: dict[str, Any]) -> Wanted:
    return Wanted(
        since=first_seq(parse_range(asked["start"])[0]) if "start" in asked else None,
        until=first_seq(parse_range(asked["end"])[1]) if "end" in asked else END,
        events=[kind.number for kind in kinds().values() if kind.discloses],
        outcomes=[SUCCESS],
        patients=[patient_key(patient)],
    )


def _language(ctx: Context) -> str:
    return ctx.tenant.language if ctx.tenant.language in LANGUAGES else LANGUAGES[0]


def _count(asked: dict[str, Any]) -> int:
    count = int(asked.get("_count", settings.page_size))
    if count < 1:
        raise Invalid("_count takes a whole number from 1.", expression="http._count", code="value")
    return min(count, MOST)


def _cursor(call: OperationCall) -> str | None:
    cursors = [value for name, value in call.extra if name == "_cursor"]
    if len(cursors) > 1:
        raise NotSupported("_cursor comes from one page link.", expression="http._cursor")
    return cursors[0] if cursors else None


def _url(ctx: Context, call: OperationCall, pairs: dict[str, Any]) -> str:
    url = f"{ctx.base}/{call.path}"
    return f"{url}?{urlencode(pairs, safe='/:,|')}" if pairs else url
