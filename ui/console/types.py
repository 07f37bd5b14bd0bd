"""The first page: every type that the person may read, and how many there are."""

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.console.capabilities import capabilities, readable
from ui.console.place import bp
from ui.fhir import Found
from ui.page import may_do, page, part

# Of which a clinic has some; the others stand behind them.
_USUAL = (
    "Patient", "Appointment", "Task", "Encounter", "Observation", "Condition", "AllergyIntolerance",
    "MedicationRequest", "DiagnosticReport", "ServiceRequest", "DocumentReference", "Communication", "Invoice",
    "Practitioner", "PractitionerRole", "HealthcareService", "Schedule", "Slot", "Location", "Organization", "Device",
    "Questionnaire", "QuestionnaireResponse", "Consent", "ActivityDefinition",
)  # fmt: skip
_MOST = 40


@bp.get("/")
def types(slug: str) -> ResponseReturnValue:
    """The types, those of a clinic's day first."""
    names = [each.name for each in readable()]
    usual = [name for name in _USUAL if name in names]
    return page("console/types.html", usual=usual, others=[name for name in names if name not in usual])


@bp.get("/counts")
def counts(slug: str) -> ResponseReturnValue:
    """How many resources there are of the `type`s."""
    wanted = [name for name in request.args.getlist("type")[:_MOST] if name in capabilities() and may_do(name, "s")]
    found = fhir.gather([(name, {"_summary": "count"}) for name in wanted]) if wanted else []
    known = zip(wanted, found, strict=True)
    totals = {name: each.total for name, each in known if isinstance(each, Found) and each.total is not None}
    return part("console/_counts.html", totals=totals)
