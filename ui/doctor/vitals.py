"""Vital signs of a visit: a form with the values of last time, and Observations of what was measured."""

from decimal import Decimal
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, formats, page
from ui.doctor import trends, vital_signs
from ui.doctor.chart import Chart
from ui.doctor.concepts import has_code, refers
from ui.doctor.entry import bp, here, is_id, professional, signer
from ui.doctor.record import Place, done, form, of_patient, place, refreshed, work
from ui.doctor.trends import Trend
from ui.doctor.vital_signs import ENTERED, GLUCOSE_UNITS
from ui.texts import ngettext, say

_MOST_UNDONE = 20


@form("vitals")
def values(where: Place, chart: Chart | None) -> dict[str, Any]:
    """The empty form; `previous`: by field, the last value in words and when."""
    found = chart.vitals if chart is not None else _last(where)
    return {"signs": ENTERED, "glucose_units": list(GLUCOSE_UNITS), "typed": {}, "wrong": {}, "doubtful": {},
            "previous": _previous(found), "checked": ""}  # fmt: skip


@bp.post("/patient/<patient_id>/vitals")
def save_vitals(slug: str, patient_id: str) -> ResponseReturnValue:
    """Store what was measured. What is hardly possible is asked about once, and stored when it is sent again."""
    where = place(patient_id)
    reading = vital_signs.read(request.form)
    typed = {name: request.form.get(name, "") for name in (*(sign.name for sign in ENTERED), "glucose_unit")}
    wrong = {name: say(text) for name, text in reading.wrong.items()}
    if not reading.values and not wrong:
        wrong["systolic"] = say("Nothing was measured yet.")
    doubtful = {name: say(text) for name, text in reading.doubtful.items()}
    # The values that were seen to be unusual, so that another one is asked about again.
    checked = ";".join(f"{name}={reading.values[name].normalize()}" for name in sorted(doubtful))
    if wrong or checked != request.form.get("checked", ""):
        return work(
            where, "vitals", status=422, typed=typed, wrong=wrong, doubtful=doubtful, checked="" if wrong else checked
        )
    now = page.now().astimezone(page.zone()).isoformat(timespec="seconds")
    about = {**where.about(), "effectiveDateTime": now, **({"performer": [signer()]} if professional() else {})}
    made = vital_signs.observations(reading, about)
    urls = {name: f"urn:uuid:00000000-0000-4000-8000-{number:012}" for number, (name, _) in enumerate(made)}
    entries = []
    for name, observation in made:
        if name == "bmi":
            observation["derivedFrom"] = [refers(urls["weight"]), refers(urls["height"])]
        entries.append(
            {"fullUrl": urls[name], "resource": observation, "request": {"method": "POST", "url": "Observation"}}
        )
    stored = fhir.transaction(entries)["entry"]
    ids = ",".join(each["response"]["location"].partition("Observation/")[2].partition("/")[0] for each in stored)
    text = ngettext("%(count)s value was saved.", "%(count)s values were saved.", len(entries))
    return done(where, "vitals", text, undo=here(f"patient/{patient_id}/vitals/undo?visit={where.visit_id}&ids={ids}"))


@bp.post("/patient/<patient_id>/vitals/undo")
def undo_vitals(slug: str, patient_id: str) -> ResponseReturnValue:
    """Mark what was just saved as entered in error; it stays in the history."""
    where = place(patient_id)
    ids = request.args.get("ids", "").split(",")[:_MOST_UNDONE]
    entries = []
    for each in fhir.gather([f"Observation/{id_}" for id_ in ids if is_id(id_)]):
        if not isinstance(each, dict):
            raise NotFound("There is no such page.")
        of_patient(where, each)
        if not any(has_code(category, "vital-signs") for category in each.get("category", ())):
            raise NotFound("There is no such page.")
        name = f"Observation/{each['id']}"
        resource = {**each, "status": "entered-in-error"}
        entries.append(
            {
                "resource": resource,
                "request": {"method": "PUT", "url": name, "ifMatch": f'W/"{each["meta"]["versionId"]}"'},
            }
        )
    if entries:
        fhir.transaction(entries)
    return refreshed(say("Taken back: the values are marked as entered in error."), where=where, name="vitals")


def _last(where: Place) -> list[Trend]:
    asked = {"patient": f"Patient/{where.patient_id}", "category": "vital-signs", "_count": 100, "_sort": "-date"}
    return trends.trends(fhir.search("Observation", asked).resources)


def _previous(found: list[Trend] | Any) -> dict[str, tuple[str, str]]:
    previous: dict[str, tuple[str, str]] = {}
    for sign in ENTERED:
        codes = [sign.code, *([sign.also[0]] if sign.also else [])]
        if sign.name == "glucose":
            codes = [each.code for each in GLUCOSE_UNITS.values()]
        trend = trends.named(found, *codes)
        if trend:
            previous[sign.name] = (trend.latest.text, trend.latest.at)
    pressure = trends.named(found, "85354-9")
    if pressure and len(pressure.latest.numbers) == 2:
        for name, number in zip(("systolic", "diastolic"), pressure.latest.numbers, strict=True):
            previous[name] = (formats.number(Decimal(number)), pressure.latest.at)
    height = trends.named(found, "8302-2")
    if height and height.latest.numbers:
        previous["height_cm"] = (str(height.latest.numbers[0]), height.latest.at)
    return previous
