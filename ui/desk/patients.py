"""A patient at the desk: what is needed to help at once, and the contact details to mend."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import birth_dates, fhir, formats
from ui.desk.answers import panel
from ui.desk.choices import choices, main_queue
from ui.desk.contacts import KIN, KIN_SYSTEM, LANGUAGES, e164, kin, languages, phone_problem
from ui.desk.day import sort_queues, visit_of
from ui.desk.entry import bp, may_see_money
from ui.desk.fields import Resource
from ui.desk.tickets_of_day import is_queue, queue_of, ticket_of
from ui.fhir import Found, Refused
from ui.page import me, of_today
from ui.texts import say

_LONGEST = 200
_CLINICAL = ("practitioner", "nurse")


@bp.get("/patients/<patient_id>")
def patient(slug: str, patient_id: str) -> ResponseReturnValue:
    """The card of a patient."""
    return card(patient_id)


def card(patient_id: str, *, status: int = 200, registered: bool = False, **more: Any) -> ResponseReturnValue:
    """The card. `registered`: the patient was made just now; `more`: problems of a form on it."""
    who = f"Patient/{patient_id}"
    today = of_today()
    reads: list[Any] = [
        who,
        ("Appointment", {"patient": who, "date": today[0], "_sort": "date", "_count": 6,
                         "_include": ["Appointment:actor"]}),
        ("Task", {"patient": who, "authored-on": today, "_count": 10}),
        ("RelatedPerson", {"patient": who, "_count": 10}),
        ("HealthcareService", {"active": "true", "_count": 200, "_elements": "name,extension,location"}),
    ]  # fmt: skip
    if may_see_money():
        reads.append(("Invoice", {"subject": who, "status": "issued", "_count": 10}))
    person, *answers = fhir.gather(reads)
    if isinstance(person, Refused):
        raise person
    booked, tasks, kin_of, services, *bills = (each if isinstance(each, Found) else Found([]) for each in answers)
    visits = [visit_of(each, booked.by_reference) for each in booked.resources if each.get("start")]
    tickets = [each for each in (ticket_of(task, {}) for task in tasks.resources) if each.queue]
    queues = [each for each in sort_queues([queue_of(s) for s in services.resources if is_queue(s)])
              if each.state != "closed"]  # fmt: skip
    expected = next((each for each in visits if each.group == "expected" and each.is_today()), None)
    values = {
        "patient": person, "visits": visits, "tickets": tickets, "born": birth_dates.shown(person.get("birthDate")),
        "waiting": next((each for each in tickets if each.is_open), None),
        "expected": expected, "relatives": kin_of.resources, "queues": queues, "registered": registered,
        "main": main_queue(queues, choices(), expected.site_id if expected else ""),
        "bills": bills[0].resources if bills else [], "clinical": me().user.role in _CLINICAL,
        "spoken": languages(), "kin": kin(), "problems": {}, "typed": contact_of(person),
        "kin_typed": {}, "saved": "", "open_part": "",
    }  # fmt: skip
    return panel("_card.html", status=status, **{**values, **more})


def contact_of(patient: Resource) -> dict[str, str]:
    """The contact details as the form shows them."""
    address: Resource = next(iter(patient.get("address", ())), {})
    first: Resource = next(iter(patient.get("communication", ())), {})
    coding: Resource = next(iter(first.get("language", {}).get("coding", ())), {})
    return {
        "phone": formats.telecom(patient, "phone"), "email": formats.telecom(patient, "email"),
        "line": ", ".join(address.get("line", ())), "city": str(address.get("city", "")),
        "language": str(coding.get("code", "")).partition("-")[0],
        "version": str(patient.get("meta", {}).get("versionId", "")),
    }  # fmt: skip


@bp.post("/patients/<patient_id>/contact")
def contact(slug: str, patient_id: str) -> ResponseReturnValue:
    """Mend the contact details, unless somebody else did it meanwhile: then what was typed stays, and says so."""
    typed = {name: " ".join(request.form.get(name, "").split())[:_LONGEST] for name in
             ("phone", "email", "line", "city", "language", "version")}  # fmt: skip
    problems = {"phone": phone_problem(typed["phone"])} if phone_problem(typed["phone"]) else {}
    if typed["email"] and "@" not in typed["email"].strip("@"):
        problems["email"] = say("This is not an e-mail address.")
    if typed["language"] not in (*LANGUAGES, ""):
        problems["language"] = say("Choose one of these.")
    if problems:
        return card(patient_id, status=422, problems=problems, typed=typed, open_part="contact")
    before = fhir.read(f"Patient/{patient_id}")
    try:
        fhir.update(with_contact(before, typed), if_match=typed["version"])
    except Refused as error:
        if error.status != 412:
            raise
        text = say("Somebody else has changed these details meanwhile. Save again if yours are right.")
        fresh = {**typed, "version": str(before["meta"]["versionId"])}
        return card(patient_id, status=412, problems={"contact": text}, typed=fresh, open_part="contact")
    return card(patient_id, saved=say("Saved."))


def with_contact(patient: Resource, typed: dict[str, str]) -> Resource:
    """A patient with these contact details in the place of the first of each kind; what else there is stays."""
    made = dict(patient)
    phone = e164(typed["phone"]) if typed["phone"] else ""
    telecom = _with(_with(patient.get("telecom", ()), "phone", phone), "email", typed["email"])
    address = [dict(each) for each in patient.get("address", ())] or [{"use": "home"}]
    if typed["line"] or typed["city"] or patient.get("address"):
        address[0] |= {"line": [typed["line"]], "city": typed["city"]}
        address[0] = {name: value for name, value in address[0].items() if value not in ("", [""])}
        address[0].pop("text", None)
    spoken = [each for each in patient.get("communication", ()) if not _speaks(each, typed["language"])]
    if typed["language"]:
        same = next((each for each in patient.get("communication", ()) if _speaks(each, typed["language"])), None)
        coded = {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": typed["language"]}]}}
        others = [{name: value for name, value in each.items() if name != "preferred"} for each in spoken]
        spoken = [{**(same or coded), "preferred": True}, *others]
    usable = [each for each in address if each.keys() - {"use"}]
    for name, value in (("telecom", telecom), ("address", usable), ("communication", spoken)):
        if value:
            made[name] = value
        else:
            made.pop(name, None)
    return made


def _speaks(communication: Resource, language: str) -> bool:
    codings = communication.get("language", {}).get("coding", ())
    return any(str(each.get("code", "")).partition("-")[0] == language for each in codings)


def _with(telecom: Any, system: str, value: str) -> list[Resource]:
    """Contacts with this one in the place of the first of its kind; without it when it is empty."""
    found = [dict(each) for each in telecom]
    at = next((n for n, each in enumerate(found) if each.get("system") == system and each.get("use") != "old"), None)
    if at is None:
        use = {"use": "mobile"} if system == "phone" else {}
        return [*found, {"system": system, "value": value, **use}] if value else found
    if not value:
        return found[:at] + found[at + 1 :]
    found[at]["value"] = value
    return found


@bp.post("/patients/<patient_id>/relatives")
def add_relative(slug: str, patient_id: str) -> ResponseReturnValue:
    """Note somebody who belongs to the patient."""
    typed = {name: " ".join(request.form.get(name, "").split())[:_LONGEST] for name in ("kin_name", "kin_phone", "kin")}
    problems = {}
    if not typed["kin_name"]:
        problems["kin_name"] = say("Please enter the name.")
    if wrong := phone_problem(typed["kin_phone"]):
        problems["kin_phone"] = wrong
    if typed["kin"] not in KIN:
        problems["kin"] = say("Choose one of these.")
    if problems:
        return card(patient_id, status=422, problems=problems, kin_typed=typed, open_part="kin")
    given, _, family = typed["kin_name"].rpartition(" ")
    name = {"family": family, **({"given": given.split()} if given else {}), "text": typed["kin_name"]}
    coded = {"coding": [{"system": KIN_SYSTEM, "code": typed["kin"]}], "text": dict(kin())[typed["kin"]]}
    made: Resource = {
        "resourceType": "RelatedPerson", "active": True, "patient": {"reference": f"Patient/{patient_id}"},
        "name": [name], "relationship": [coded],
    }  # fmt: skip
    if typed["kin_phone"]:
        made["telecom"] = [{"system": "phone", "value": e164(typed["kin_phone"]), "use": "mobile"}]
    fhir.create(made)
    return card(patient_id, saved=say("Saved."))
