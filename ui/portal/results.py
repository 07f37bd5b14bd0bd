"""Results: reports with their values, values that belong to no report, and how one of them developed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, formats
from ui.fhir import Found, Refused, Resource
from ui.portal import documents, whose
from ui.portal.measured import Measured, chart, measured, moment_of
from ui.portal.place import bp
from ui.portal.shown import shown
from ui.texts import say

_RELEASED = "final,amended,corrected,appended,preliminary"
_MOST = 100


@dataclass(slots=True)
class Report:
    """Values that were told together. `to_read`: how many lie outside of the usual range."""

    title: str
    at: datetime | None
    by: str = ""
    conclusion: str = ""
    preliminary: bool = False
    values: list[Measured] = field(default_factory=list)
    files: Sequence[documents.File] = ()

    @property
    def to_read(self) -> int:
        """How many values lie outside of the usual range."""
        return sum(bool(each.flag) for each in self.values)


@bp.get("/results")
def results(slug: str) -> ResponseReturnValue:
    """Reports, and below them the other values of the laboratory, the newest first."""
    patient = whose.patient()
    reports, values = fhir.gather([
        ("DiagnosticReport", {"patient": patient, "status": _RELEASED, "_sort": "-date", "_count": 40,
                              "_include": ["DiagnosticReport:result"]}),
        ("Observation", {"patient": patient, "category": "laboratory", "status": _RELEASED, "_sort": "-date",
                         "_count": _MOST}),
    ])  # fmt: skip
    found = _reports(reports) if isinstance(reports, Found) else []
    told = _told(reports.of("DiagnosticReport")) if isinstance(reports, Found) else set()
    loose = [each for each in values.resources if each["id"] not in told] if isinstance(values, Found) else []
    found += _by_day(loose)
    found.sort(key=lambda each: each.at.timestamp() if each.at else 0, reverse=True)
    return shown("results.html", reports=found)


def _told(reports: Sequence[Resource]) -> set[str]:
    """Ids of the Observations that stand in a report."""
    return {
        str(each.get("reference", "")).rpartition("/")[2] for report in reports for each in report.get("result", ())
    }


def _reports(found: Found) -> list[Report]:
    known = found.by_reference
    made = []
    for resource in found.of("DiagnosticReport"):
        names = ["/".join(str(each.get("reference", "")).split("/")[-2:]) for each in resource.get("result", ())]
        report = Report(
            title=formats.coded(resource.get("code")) or say("Report"), at=moment_of(resource),
            by=", ".join(filter(None, (str(each.get("display", "")) for each in resource.get("performer", ())))),
            conclusion=str(resource.get("conclusion", "")),
            preliminary=resource.get("status") in ("preliminary", "partial", "registered"),
            files=documents.files_of(resource, "presentedForm"),
        )  # fmt: skip
        for name in names:
            report.values += measured(known[name]) if name in known else []
        made.append(report)
    return made


def _by_day(observations: Sequence[Resource]) -> list[Report]:
    days: dict[Any, Report] = {}
    for each in observations:
        at = moment_of(each)
        report = days.setdefault(at.date() if at else None, Report(say("Laboratory results"), at))
        report.values += measured(each)
    return list(days.values())


@bp.get("/results/trend")
def trend(slug: str) -> ResponseReturnValue:
    """How one value developed. `code`: system|code, of an Observation or of a component."""
    code = request.args.get("code", "")
    if not code.rpartition("|")[2]:
        raise whose.Missing
    params = {"patient": whose.patient(), "combo-code": code, "status": _RELEASED, "_sort": "-date", "_count": _MOST}
    try:
        found = fhir.search("Observation", params).resources
    except Refused as error:
        if error.status != 400:
            raise
        raise whose.Missing from None
    values = [value for each in reversed(found) for value in measured(each) if value.code == code]
    if not values:
        raise whose.Missing
    return shown("trend.html", values=values[::-1], name=values[-1].name, chart=chart(values),
                     last=values[-1])  # fmt: skip


@bp.get("/measures")
def measures(slug: str) -> ResponseReturnValue:
    """The vital signs: the last of each, with its history."""
    params = {"patient": whose.patient(), "category": "vital-signs", "status": _RELEASED, "_sort": "-date",
              "_count": _MOST}  # fmt: skip
    latest: dict[str, Measured] = {}
    for each in fhir.search("Observation", params).resources:
        for value in measured(each):
            latest.setdefault(value.code or value.name, value)
    return shown("measures.html", values=list(latest.values()))
