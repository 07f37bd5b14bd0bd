"""Finding the patient, and the encounter, that an app is to work with: searches that run as the person who looks.

They go through the same dispatch as every FHIR request, under the person's role and with the audit log, so the picker
shows nobody whom the person could not open anyway.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.core.context import Principal, User
from fhir_server.core.messages import FhirRequest
from fhir_server.core.references import ID
from fhir_server.core.resource_json import decode
from fhir_server.rest import dispatch
from fhir_server.security.oauth.urls import Realm
from fhir_server.security.roles import roles
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage import open_records
from fhir_server.storage.session import Session

MOST = 20
_SCOPES = parse_scopes("user/Patient.rs user/Encounter.rs")
_CLIENT = "salam-picker"
_LONGEST = 200
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})\Z")
_LOCAL = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\Z")
_Query = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Person:
    """A patient in as many words as it takes to tell one from another. `born`: a FHIR date; `number`: an identifier."""

    id: str
    name: str
    born: str
    gender: str
    number: str


@dataclass(frozen=True, slots=True)
class Visit:
    """An encounter in a list. `start`: a FHIR dateTime or ""."""

    id: str
    start: str
    words: str
    status: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look, and for whom: the tenant's slug and FHIR base. `auth_time`: when the user signed in; `opened`: as
    in `Principal`."""

    slug: str
    base: str
    user: User
    auth_time: int | None = None
    opened: tuple[tuple[str, int], ...] = ()

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """A FHIR GET as the person; None when it is refused or there is nothing."""
        purpose = roles()[self.user.role].purposes[0]
        principal = Principal(
            _CLIENT, _SCOPES, None, user=self.user, purpose=purpose, auth_time=self.auth_time, opened=self.opened
        )
        request = FhirRequest("GET", path, query, {}, b"", self.base)
        answer = dispatch.handle(request, self.slug, principal=principal)
        return decode(answer.body) if answer.status == 200 and answer.body else None


def place(db: Session, realm: Realm, slug: str, user: User, auth_time: int | None = None) -> Place:
    """Where a user looks for patients, with the records that they have open by break-glass."""
    return Place(slug, realm.urls.fhir, user, auth_time, open_records.of_user(db, realm.tenant_id, user.id))


def own_patients(at: Place) -> list[Person] | None:
    """The patients of a person who sees none but these; None for somebody who may look for patients."""
    if not roles()[at.user.role].personal:
        return None
    return [person for each in at.user.patients if (person := patient(at, each)) is not None]


def patient(at: Place, patient_id: str) -> Person | None:
    """A patient whom the person may open; None for any other."""
    if not ID.match(patient_id):
        return None
    found = at.get(f"Patient/{patient_id}")
    return None if found is None else _person(found)


def search(at: Place, text: str) -> tuple[list[Person], bool]:
    """At most 20 patients who fit a name, date of birth, phone number or identifier, and whether there are more."""
    found: dict[str, Person] = {}
    more = False
    for query in queries(text):
        bundle = at.get("Patient", [*query, ("_count", str(MOST))]) or {}
        found.update((entry["resource"]["id"], _person(entry["resource"])) for entry in bundle.get("entry", ()))
        more = more or any(link["relation"] == "next" for link in bundle.get("link", ()))
    people = sorted(found.values(), key=lambda person: (person.name.casefold(), person.born))
    return people[:MOST], more or len(people) > MOST


def queries(text: str) -> list[_Query]:
    """The searches that a line of text asks for; none when it says too little. Words are of a name; a date is that of
    birth; what has digits is an identifier or a phone number; a single word may also be the id of the resource."""
    words, numbers, born = [], [], ""
    for each in text[:_LONGEST].split():
        if day := _date(each):
            born = day
        elif any(c.isdigit() for c in each):
            numbers.append(each)
        else:
            words.append(each)
    base: _Query = [("name", _escaped(word)) for word in words]
    if born:
        base.append(("birthdate", born))
    if numbers:
        spoken, joined = " ".join(numbers), "".join(numbers)
        forms = ",".join(dict.fromkeys(map(_escaped, (joined, spoken, re.sub(r"[^0-9A-Za-z+]", "", joined)))))
        found = [[*base, ("identifier", forms)], [*base, ("phone", forms)]]
    else:
        found = [base] if born or sum(map(len, words)) >= 2 else []
    return [*found, [("_id", text.strip())]] if found and not born and ID.match(text.strip()) else found


def visits(at: Place, patient_id: str) -> list[Visit]:
    """The newest encounters of a patient, at most 20."""
    query = [("patient", patient_id), ("_sort", "-date"), ("_count", str(MOST))]
    bundle = at.get("Encounter", query) or {}
    return [_visit(entry["resource"]) for entry in bundle.get("entry", ())]


def is_visit_of(at: Place, encounter_id: str, patient_id: str) -> bool:
    """Whether it is an encounter of the patient that the person may open."""
    if not ID.match(encounter_id):
        return False
    bundle = at.get("Encounter", [("_id", encounter_id), ("patient", patient_id)]) or {}
    return bool(bundle.get("entry"))


def _date(text: str) -> str:
    """A day as FHIR writes it, from 1980-03-02 or 2/3/1980; "" for anything else."""
    if match := _ISO.match(text):
        year, month, day = match.groups()
    elif match := _LOCAL.match(text):
        day, month, year = match.groups()
    else:
        return ""
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ""


def _escaped(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)


def _person(resource: dict[str, Any]) -> Person:
    numbers = [each["value"] for each in resource.get("identifier", ()) if "value" in each]
    return Person(
        resource["id"],
        _name(resource.get("name", ())),
        str(resource.get("birthDate", "")),
        str(resource.get("gender", "")),
        str(numbers[0]) if numbers else "",
    )


def _name(names: Sequence[dict[str, Any]]) -> str:
    chosen = next((each for each in names if each.get("use") == "official"), names[0] if names else {})
    parts = [*chosen.get("given", ()), chosen.get("family", "")]
    return str(chosen.get("text") or " ".join(part for part in parts if part))


def _visit(resource: dict[str, Any]) -> Visit:
    types = [each.get("text") or _display(each.get("coding", ())) for each in resource.get("type", ())]
    words = next((each for each in types if each), "") or _display([resource.get("class") or {}])
    return Visit(resource["id"], str(resource.get("period", {}).get("start", "")), words, str(resource["status"]))


def _display(codings: Sequence[dict[str, Any]]) -> str:
    return str(next((each["display"] for each in codings if each.get("display")), ""))
