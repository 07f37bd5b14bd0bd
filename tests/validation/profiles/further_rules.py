"""Rules that extensions of R4 and tools add to an element, bounds that move with the clock, and what canonicals name."""

from decimal import Decimal
from typing import Any

from tests.validation.profiles.cases import (
    COLOURS,
    NAME,
    QUANTITY,
    Case,
    coding,
    invariant,
    observation,
    patient,
)
from tests.validation.profiles.kit import CORE, Json, el, profile, slicing

FAMILY, BORN, PHOTO, MARITAL = "Patient.name.family", "Patient.birthDate", "Patient.photo", "Patient.maritalStatus"
VISITOR = profile("Patient", name="visitor-type")
TITLED = profile("Questionnaire", el("Questionnaire.title", min=1), name="titled")
ASKED = "QuestionnaireResponse.questionnaire"


def limit(name: str, **value: Any) -> list[Json]:
    """An extension of R4 on an element."""
    return [{"url": CORE + name, **value}]


def response(questionnaire: str) -> Json:
    """A response to a Questionnaire."""
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": questionnaire}


def names(*profiles: str) -> list[Json]:
    """ElementDefinition.type of a canonical."""
    return [{"code": "canonical", "targetProfile": list(profiles)}]


def asked(**content: Any) -> Json:
    """A Questionnaire, as a definition that the tenant has."""
    return {"resourceType": "Questionnaire", "status": "active", **content}


LONG, SHORT = asked(url="urn:long", title="All of it"), asked(url="urn:short")
ANY = "http://example.org/ValueSet/any-colour"
ADDED = "http://hl7.org/fhir/tools/StructureDefinition/additional-binding"


def also(purpose: str, *parts: Json) -> Json:
    """A binding with one more, by extension."""
    said = [{"url": "purpose", "valueCode": purpose}, {"url": "valueSet", "valueCanonical": COLOURS}, *parts]
    return {"strength": "extensible", "valueSet": ANY, "extension": [{"url": ADDED, "extension": said}]}


def photo(**content: Any) -> Json:
    """A Patient with a photo."""
    return patient(photo=[content])


def years(number: int) -> Json:
    """A time, as a quantity."""
    return {"value": number, "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}


FACETS = [
    Case("regex", (el(FAMILY, extension=limit("regex", valueString="[A-Z][a-z]+")),), patient(name=[{"family": "Diop"}]),
         patient(name=[{"family": "diop"}]), "Patient.name[0].family", FAMILY),
    Case("regex is of the whole", (el(FAMILY, extension=limit("regex", valueString="[a-z]+")),), patient(name=[{"family": "diop"}]),
         patient(name=[{"family": "diop 2"}]), "Patient.name[0].family", FAMILY),
    Case("regex of a type", (el(FAMILY, type=[{"code": "string", "extension": limit("regex", valueString="[a-z]+")}]),),
         patient(name=[{"family": "diop"}]), patient(name=[{"family": "2"}]), "Patient.name[0].family", FAMILY),
    Case("minLength", (el(FAMILY, extension=limit("minLength", valueInteger=2)),), patient(name=[{"family": "Ba"}]),
         patient(name=[{"family": "B"}]), "Patient.name[0].family", FAMILY),
    Case("maxDecimalPlaces", (el(QUANTITY, type=[{"code": "Quantity"}]), el(f"{QUANTITY}.value", extension=limit("maxDecimalPlaces", valueInteger=1))),
         observation(valueQuantity={"value": 1}), observation(valueQuantity={"value": Decimal("1.25")}), "Observation.value.value",
         "Observation.value[x].value"),
    Case("maxSize", (el(PHOTO, extension=limit("maxSize", valueDecimal=0.000003)),), photo(contentType="text/plain", data="YWJj"),
         photo(contentType="text/plain", data="YWJjZA=="), "Patient.photo[0]", PHOTO),
    Case("mimeType", (el(PHOTO, extension=limit("mimeType", valueCode="image/*")),), photo(contentType="image/png"),
         photo(contentType="text/plain"), "Patient.photo[0]", PHOTO),
]  # fmt: skip

BOUNDS = [
    Case("at most so long ago", (el(BORN, minValueQuantity=years(130)),), patient(birthDate="1980"), patient(birthDate="1799-05-01"),
         BORN, BORN),
    Case("not after now", (el(BORN, maxValueQuantity=years(0)),), patient(birthDate="1980-01-01"), patient(birthDate="2999"), BORN, BORN),
    Case("a moment before now", (el("Observation.effective[x]", type=[{"code": "dateTime"}], minValueQuantity=years(100)),),
         observation(effectiveDateTime="2020-01-01T10:00:00Z"), observation(effectiveDateTime="1820-01-01T10:00:00+01:00"),
         "Observation.effective", "Observation.effective[x]"),
    Case("minValue of a quantity", (el(QUANTITY, type=[{"code": "Quantity"}], minValueQuantity={**years(1), "code": "mo"}),),
         observation(valueQuantity=years(1)), observation(valueQuantity={**years(2), "code": "d"}), "Observation.value", QUANTITY),
]  # fmt: skip

ADDED_BINDINGS = [
    Case("one more required binding", (el(MARITAL, binding=also("required")),), patient(maritalStatus=coding("red")),
         patient(maritalStatus=coding("pink")), MARITAL, MARITAL),
    Case("one more greatest binding", (el(MARITAL, binding=also("maximum")),), patient(maritalStatus=coding("red")),
         patient(maritalStatus=coding("pink")), MARITAL, MARITAL),
    Case("one more extensible binding", (el(MARITAL, binding=also("extensible")),), patient(maritalStatus=coding("red")),
         patient(maritalStatus=coding("pink")), MARITAL, MARITAL, "warning"),
    Case("one more binding of some uses only is nobody's", (el(NAME, min=1), el(MARITAL, binding=also("required", {"url": "usage"}))),
         patient(maritalStatus=coding("pink"), name=[{"text": "A"}]), patient(maritalStatus=coding("pink")), NAME, NAME),
]  # fmt: skip

PRACTICE = "elementdefinition-bestpractice"
ADVICE = [
    Case("best practice", (el("Patient", constraint=[{**invariant("t-20", "name.exists()")[0],
                                                      "extension": limit(PRACTICE, valueBoolean=True)}]),),
         patient(name=[{"text": "A"}]), patient(active=True), "Patient", "t-20", "warning"),
    Case("no best practice", (el("Patient", constraint=[{**invariant("t-21", "name.exists()")[0],
                                                         "extension": limit(PRACTICE, valueBoolean=False)}]),),
         patient(name=[{"text": "A"}]), patient(active=True), "Patient", "t-21"),
]  # fmt: skip

CANONICALS = [
    Case("the type of a canonical", (el(ASKED, type=names(TITLED["url"])),), response("urn:long"),
         response(VISITOR["url"]), ASKED, ASKED, definitions=(TITLED, VISITOR, LONG)),
    Case("the profile of a canonical", (el(ASKED, type=names(TITLED["url"])),), response("urn:long|1"), response("urn:short"),
         ASKED, ASKED, definitions=(TITLED, LONG, SHORT)),
    Case("one of two profiles of a canonical", (el(ASKED, type=names(TITLED["url"], f"{CORE}Questionnaire")),), response("urn:short"),
         response(VISITOR["url"]), ASKED, ASKED, definitions=(TITLED, VISITOR, SHORT)),
    Case("a canonical of others", (el(ASKED, type=names(TITLED["url"])),), response("http://else.where/q"), response("urn:short"),
         ASKED, ASKED, definitions=(TITLED, SHORT)),
    Case("the profile of a contained canonical", (el(ASKED, type=names(TITLED["url"])),),
         {**response("#q"), "contained": [asked(id="q", title="T")]}, {**response("#q"), "contained": [asked(id="q")]},
         ASKED, ASKED, definitions=(TITLED,)),
]  # fmt: skip

# By the value itself, and by a type on the way to it.
GIVEN, MEASURED = "Patient.name.given", "Observation.component"
PATHS = [
    Case("by the value itself", (el(GIVEN, slicing=slicing("value:$this")), el(f"{GIVEN}:awa", min=1, patternString="Awa")),
         patient(name=[{"given": ["Awa", "B"]}]), patient(name=[{"given": ["B"]}]), "Patient.name[0].given", f"{GIVEN}:awa"),
    Case("by a value of one type", (
        el(MEASURED, slicing=slicing("value:value.ofType(Quantity).unit")), el(f"{MEASURED}:kilo", min=1),
        el(f"{MEASURED}:kilo.value[x]", type=[{"code": "Quantity"}]), el(f"{MEASURED}:kilo.value[x].unit", min=1, fixedString="kg"),
     ), observation(component=[{"code": coding("a"), "valueQuantity": {"value": 1, "unit": "kg"}}]),
        observation(component=[{"code": coding("a"), "valueString": "kg"}]), MEASURED, f"{MEASURED}:kilo"),
]  # fmt: skip

FURTHER = [*FACETS, *BOUNDS, *ADDED_BINDINGS, *ADVICE, *CANONICALS, *PATHS]
