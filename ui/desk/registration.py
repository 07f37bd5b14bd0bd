"""A new patient in half a minute: what is needed, checked at the field, and who may be the same person already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from flask import request
from flask.typing import ResponseReturnValue

from ui import birth_dates, fhir
from ui.desk.answers import panel
from ui.desk.contacts import LANGUAGES, e164, languages, phone_problem
from ui.desk.entry import bp, may_register
from ui.desk.fields import Resource
from ui.desk.lookup import ELEMENTS, Hit, with_today
from ui.desk.patients import card
from ui.fhir import Found
from ui.page import part, today
from ui.patient_search import escaped, named, region
from ui.texts import language, say

GENDERS = ("female", "male", "other", "unknown")
_NAMES = ("family", "given", "gender", "birth", "phone", "language", "identifier")
_LONGEST = 100
_MOST = 5


@dataclass(frozen=True, slots=True)
class Entered:
    """What stands in the form, as it was typed, and what is wrong with it by field."""

    values: Mapping[str, str]
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def born(self) -> str:
        """The date of birth as FHIR date; "" for none."""
        return birth_dates.read_partial(self.values["birth"])


def entered() -> Entered:
    """The form of this request, checked."""
    values = {name: " ".join(request.form.get(name, "").split()) for name in _NAMES}
    found = Entered(values)
    for name in ("family", "given"):
        if len(values[name]) > _LONGEST:
            found.problems[name] = say("That is longer than a name can be here.")
    if not values["family"]:
        found.problems["family"] = say("Please enter the family name.")
    if values["birth"] and not found.born:
        found.problems["birth"] = say("Write the date like 24/11/1980; only the year will do.")
    elif found.born > today().isoformat():
        found.problems["birth"] = say("This date is in the future.")
    if values["gender"] not in (*GENDERS, ""):
        found.problems["gender"] = say("Choose one of these.")
    if values["language"] not in (*LANGUAGES, ""):
        found.problems["language"] = say("Choose one of these.")
    if wrong := phone_problem(values["phone"]):
        found.problems["phone"] = wrong
    if len(values["identifier"]) > _LONGEST:
        found.problems["identifier"] = say("That is longer than a number can be here.")
    return found


@bp.get("/patients/new")
def new_patient(slug: str) -> ResponseReturnValue:
    """The empty form."""
    empty = Entered(dict.fromkeys(_NAMES, "") | {"language": language()})
    return _form(empty)


@bp.post("/patients/same")
def same_patients(slug: str) -> ResponseReturnValue:
    """Who may be the same person, asked while the form is filled in."""
    return part("desk/_same.html", same=candidates(entered()), asked=False)


@bp.post("/patients")
def register(slug: str) -> ResponseReturnValue:
    """Register a patient. Who may be the same is shown once, and never stands in the way a second time."""
    given = entered()
    if given.problems:
        return _form(given, status=422)
    known = set(request.form.get("seen", "").split())
    found = candidates(given)
    if any(each.patient["id"] not in known for each in found):
        return _form(given, same=found, status=200)
    made = fhir.create(patient_of(given), if_none_exist=_exactly(given))
    return card(made["id"], registered=True)


def _form(given: Entered, *, same: Sequence[Hit] = (), status: int = 200) -> ResponseReturnValue:
    return panel(
        "_register.html", status=status, given=given, same=same, spoken=languages(), genders=genders(),
        may=may_register(), asked=bool(same), country=region(),
    )  # fmt: skip


def genders() -> list[tuple[str, str]]:
    """Administrative genders in words."""
    words = {"female": say("Female"), "male": say("Male"), "other": say("Other"), "unknown": say("Not known")}
    return [(code, words[code]) for code in GENDERS]


def patient_of(given: Entered) -> Resource:
    """The Patient of a form without problems."""
    values = given.values
    name: Resource = {"use": "official", "family": values["family"]}
    if values["given"]:
        name["given"] = values["given"].split()
    made: Resource = {"resourceType": "Patient", "active": True, "name": [name]}
    if values["phone"]:
        made["telecom"] = [{"system": "phone", "value": e164(values["phone"]), "use": "mobile"}]
    if values["gender"]:
        made["gender"] = values["gender"]
    if given.born:
        made["birthDate"] = given.born
    if values["language"]:
        coded = {"coding": [{"system": "urn:ietf:bcp:47", "code": values["language"]}]}
        made["communication"] = [{"language": coded, "preferred": True}]
    if values["identifier"]:
        kind = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NI"}
        system = f"urn:salam:national-identifier:{region() or 'XX'}"
        made["identifier"] = [{"use": "official", "type": {"coding": [kind]}, "system": system,
                               "value": values["identifier"].upper()}]  # fmt: skip
    return made


def _exactly(given: Entered) -> str:
    """The condition under which nobody is registered anew: the same form again, as by a double click. "" where the form
    says too little to tell people apart."""
    values = given.values
    if not given.born or not (values["phone"] or values["identifier"]):
        return ""
    asked = [("family:exact", escaped(values["family"])), ("birthdate", given.born)]
    asked += [("given:exact", escaped(each)) for each in values["given"].split()]
    if values["phone"]:
        asked.append(("phone", escaped(e164(values["phone"]))))
    if values["identifier"]:
        asked.append(("identifier", escaped(values["identifier"].upper())))
    return urlencode(asked)


# -- who may be the same -----------------------------------------------------------------------------------------------


def candidates(given: Entered) -> list[Hit]:
    """Patients who may be the one in the form: of the same number or phone, of the same name and birth date, or, where
    no date is known, of the same names."""
    values = given.values
    family, first = values["family"].split()[:2], values["given"].split()[:1]
    asked: list[list[tuple[str, str]]] = []
    if values["identifier"]:
        asked.append([("lookup", escaped(values["identifier"].replace(" ", "")))])
    if phone := e164(values["phone"]):
        asked.append([("lookup", phone.removeprefix("+"))])
    if family and given.born:
        asked.append([named(family), ("birthdate", given.born)])
    if family and first and not given.born:
        asked.append([named([*family, *first])])
    if first and given.born:
        asked.append([named(first), ("birthdate", given.born)])
    if not asked:
        return []
    limits = [("_count", str(_MOST)), ("_elements", ELEMENTS)]
    answers = fhir.gather([("Patient", [*each, *limits]) for each in asked])
    found: dict[str, Resource] = {}
    for answer in answers:
        if isinstance(answer, Found):
            found |= {each["id"]: each for each in answer.resources}
    return with_today(list(found.values())[:_MOST])
