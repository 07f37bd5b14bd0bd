"""Rules about slices, extensions and resources in resources, each with an instance that breaks it."""

from typing import Any

from tests.validation.profiles.cases import (
    ADULT,
    AWA,
    BORN,
    CONTAINED,
    LOINC,
    LONG_NAME,
    MASS,
    NAME,
    QUANTITY,
    REFERRED,
    Case,
    binding,
    coding,
    component,
    observation,
    patient,
    refers,
)
from tests.validation.profiles.kit import URL, Json, el, extension, slicing

TELECOM, COMPONENT = "Patient.telecom", "Observation.component"
PHONE, MAIL = {"system": "phone", "value": "1"}, {"system": "email", "value": "a@b"}


def phones(said: Json, **content: Any) -> tuple[Json, ...]:
    """A slice of telecoms that are phones."""
    return (el(TELECOM, slicing=said), el(f"{TELECOM}:phone", **content), el(f"{TELECOM}:phone.system", min=1, fixedCode="phone"))


def pressures(*paths: str, rules: str = "open", ordered: bool = False) -> tuple[Json, ...]:
    """Two slices of components by pattern."""
    found = [el(COMPONENT, slicing=slicing(*paths, rules=rules, ordered=ordered))]
    for name, code in (("systolic", "8480-6"), ("diastolic", "8462-4")):
        found.append(el(f"{COMPONENT}:{name}", min=1, max="1"))
        found.append(el(f"{COMPONENT}:{name}.code", patternCodeableConcept=coding(code, LOINC)))
        found.append(el(f"{COMPONENT}:{name}.value[x]", min=1, type=[{"code": "Quantity"}]))
    return tuple(found)


HIGH, LOW = component("8480-6", valueQuantity={"value": 120}), component("8462-4", valueQuantity={"value": 80})
MEAN = component("8478-0", valueQuantity={"value": 90})
BY_PATTERN = pressures("pattern:code")
SLICES = [
    Case("min of a slice", phones(slicing("value:system"), min=1), patient(telecom=[MAIL, PHONE]), patient(telecom=[MAIL]),
         TELECOM, f"{TELECOM}:phone"),
    Case("min of a slice of what is absent", phones(slicing("value:system"), min=1), patient(telecom=[PHONE]),
         patient(active=True), TELECOM, f"{TELECOM}:phone"),
    Case("max of a slice", phones(slicing("value:system"), max="1"), patient(telecom=[PHONE, MAIL, MAIL]),
         patient(telecom=[PHONE, MAIL, PHONE]), "Patient.telecom[2]", f"{TELECOM}:phone"),
    Case("max 0 of a slice", phones(slicing("value:system"), max="0"), patient(telecom=[MAIL]), patient(telecom=[MAIL, PHONE]),
         "Patient.telecom[1]", f"{TELECOM}:phone"),
    Case("the content of a slice", (*phones(slicing("value:system")), el(f"{TELECOM}:phone.use", min=1)),
         patient(telecom=[MAIL, {**PHONE, "use": "home"}]), patient(telecom=[MAIL, PHONE]),
         "Patient.telecom[1].use", f"{TELECOM}:phone.use"),
    Case("a closed slicing", phones(slicing("value:system", rules="closed")), patient(telecom=[PHONE]),
         patient(telecom=[PHONE, MAIL]), "Patient.telecom[1]", TELECOM),
    Case("open at the end", phones(slicing("value:system", rules="openAtEnd")), patient(telecom=[PHONE, MAIL]),
         patient(telecom=[MAIL, PHONE]), "Patient.telecom[0]", TELECOM),
    Case("by a pattern", BY_PATTERN, observation(component=[MEAN, HIGH, LOW]), observation(component=[HIGH, MEAN]),
         COMPONENT, f"{COMPONENT}:diastolic"),
    Case("a slice's type", BY_PATTERN, observation(component=[HIGH, LOW]),
         observation(component=[HIGH, component("8462-4", valueString="80")]),
         "Observation.component[1].value", f"{COMPONENT}:diastolic.value[x]"),
    Case("a slice twice", BY_PATTERN, observation(component=[HIGH, LOW]), observation(component=[HIGH, LOW, HIGH]),
         "Observation.component[2]", f"{COMPONENT}:systolic"),
    Case("an order", pressures("pattern:code", ordered=True), observation(component=[HIGH, LOW]),
         observation(component=[LOW, HIGH]), "Observation.component[1]", COMPONENT),
    Case("by a value along a path",
         (el(COMPONENT, slicing=slicing("value:code.coding.code")), el(f"{COMPONENT}:mean", min=1),
          el(f"{COMPONENT}:mean.code.coding", min=1), el(f"{COMPONENT}:mean.code.coding.code", fixedCode="8478-0", min=1)),
         observation(component=[HIGH, MEAN]), observation(component=[HIGH]), COMPONENT, f"{COMPONENT}:mean"),
    Case("by two discriminators",
         (el(TELECOM, slicing=slicing("value:system", "value:use")), el(f"{TELECOM}:homePhone", min=1),
          el(f"{TELECOM}:homePhone.system", min=1, fixedCode="phone"), el(f"{TELECOM}:homePhone.use", min=1, fixedCode="home")),
         patient(telecom=[MAIL, {**PHONE, "use": "home"}]), patient(telecom=[PHONE, {**MAIL, "use": "home"}]),
         TELECOM, f"{TELECOM}:homePhone"),
    Case("by what exists",
         (el(NAME, slicing=slicing("exists:period")), el(f"{NAME}:former", max="1"), el(f"{NAME}:former.period", min=1),
          el(f"{NAME}:current", min=1), el(f"{NAME}:current.period", max="0")),
         patient(name=[AWA, {**AWA, "period": {"end": "2000"}}]), patient(name=[{**AWA, "period": {"end": "2000"}}]),
         NAME, f"{NAME}:current"),
    Case("by type",
         (el(QUANTITY, slicing=slicing("type:$this")), el(f"{QUANTITY}:valueQuantity", type=[{"code": "Quantity"}]),
          el(f"{QUANTITY}:valueQuantity.unit", min=1)),
         observation(valueString="x"), observation(valueQuantity={"value": 1}),
         "Observation.value.unit", f"{QUANTITY}:valueQuantity.unit"),
    Case("a slice of a choice that is there",
         (el(QUANTITY, slicing=slicing("type:$this", rules="closed")),
          el(f"{QUANTITY}:valueQuantity", min=1, type=[{"code": "Quantity"}])),
         observation(valueQuantity=MASS), observation(status="amended"), "Observation.value", f"{QUANTITY}:valueQuantity"),
    Case("by the type referred to",
         (el("Patient.generalPractitioner", slicing=slicing("type:$this.resolve()")),
          el(f"{REFERRED}:house", min=1, type=refers("Organization"))),
         patient(generalPractitioner=[{"reference": "Practitioner/1"}, {"reference": "Organization/1"}]),
         patient(generalPractitioner=[{"reference": "Practitioner/1"}]), REFERRED, f"{REFERRED}:house"),
    Case("by profile",
         (el(NAME, slicing=slicing("profile:$this")),
          el(f"{NAME}:long", min=1, type=[{"code": "HumanName", "profile": [URL + "long-name"]}])),
         patient(name=[{"text": "x"}, AWA]), patient(name=[{"text": "x"}]), NAME, f"{NAME}:long",
         definitions=(LONG_NAME,)),
    Case("by the profile of what is referred to",
         (el("Patient.link", slicing=slicing("profile:other.resolve()")), el("Patient.link:born", min=1),
          el("Patient.link:born.other", type=refers(URL + "born"))),
         patient(contained=[{"resourceType": "Patient", "id": "a", "birthDate": "2000"}],
                 link=[{"type": "seealso", "other": {"reference": "#a"}}]),
         patient(contained=[{"resourceType": "Patient", "id": "a", "gender": "male"}],
                 link=[{"type": "seealso", "other": {"reference": "#a"}}]),
         "Patient.link", "Patient.link:born", definitions=(ADULT,)),
    Case("by a required binding",
         (el("Observation.category", slicing=slicing("value:$this")),
          el("Observation.category:colour", min=1, binding=binding("required"))),
         observation(category=[coding("x"), coding("red")]), observation(category=[coding("x")]),
         "Observation.category", "Observation.category:colour"),
    Case("by an extension",
         (el("Patient.address", slicing=slicing(f"value:extension('{URL}kind').value")), el("Patient.address:camp", min=1),
          el("Patient.address:camp.extension", slicing=slicing("value:url")),
          el("Patient.address:camp.extension:kind", min=1, type=[{"code": "Extension", "profile": [URL + "kind"]}]),
          el("Patient.address:camp.extension:kind.value[x]", fixedCode="camp", type=[{"code": "code"}])),
         patient(address=[{"city": "x", "extension": [{"url": URL + "kind", "valueCode": "camp"}]}]),
         patient(address=[{"city": "x", "extension": [{"url": URL + "kind", "valueCode": "house"}]}]),
         "Patient.address", "Patient.address:camp",
         definitions=(extension("kind", el("Extension.value[x]", type=[{"code": "code"}])),)),
    Case("a slice of a slice",
         (*phones(slicing("value:system"), slicing=slicing("value:use")), el(f"{TELECOM}:phone/home", min=1), el(f"{TELECOM}:phone/home.system", fixedCode="phone", min=1),
          el(f"{TELECOM}:phone/home.use", fixedCode="home", min=1)),
         patient(telecom=[PHONE, {**PHONE, "use": "home"}]), patient(telecom=[PHONE, {**MAIL, "use": "home"}]),
         TELECOM, f"{TELECOM}:phone/home"),
    Case("the default slice",
         (*phones(slicing("value:system", rules="closed")), el(f"{TELECOM}:@default"), el(f"{TELECOM}:@default.use", min=1)),
         patient(telecom=[PHONE, {**MAIL, "use": "work"}]), patient(telecom=[PHONE, MAIL]),
         "Patient.telecom[1].use", f"{TELECOM}:@default.use"),
    Case("what holds for all holds in slices", (phones(slicing("value:system"))[0], el(f"{TELECOM}.value", min=1), *phones(slicing("value:system"))[1:]),
         patient(telecom=[PHONE]), patient(telecom=[{"system": "phone", "use": "home"}]),
         "Patient.telecom[0].value", f"{TELECOM}.value"),
]  # fmt: skip

SEX = extension("sex", el("Extension.value[x]", min=1, type=[{"code": "code"}], binding=binding("required")))
RACE = extension(
    "race", el("Extension.extension", slicing=slicing("value:url")),
    el("Extension.extension:colour", max="2"), el("Extension.extension:colour.url", fixedUri="colour"),
    el("Extension.extension:colour.value[x]", min=1, type=[{"code": "Coding"}], binding=binding("required")),
    el("Extension.extension:text", min=1, max="1"), el("Extension.extension:text.url", fixedUri="text"),
    el("Extension.extension:text.value[x]", min=1, type=[{"code": "string"}]), el("Extension.value[x]", max="0"),
)  # fmt: skip


def of(name: str, **content: Any) -> tuple[Json, ...]:
    """A slice of extensions."""
    kind = [{"code": "Extension", "profile": [URL + name]}]
    return (el("Patient.extension", slicing=slicing("value:url")), el(f"Patient.extension:{name}", type=kind, **content))


def sex(code: str) -> Json:
    """A simple extension."""
    return {"url": URL + "sex", "valueCode": code}


def race(*parts: Json) -> Json:
    """A complex extension."""
    return {"url": URL + "race", "extension": list(parts)}


TEXT, RED_PART = {"url": "text", "valueString": "x"}, {"url": "colour", "valueCoding": {"system": "urn:colours", "code": "red"}}
EXTENSIONS = [
    Case("min of an extension", of("sex", min=1), patient(extension=[sex("red")]), patient(active=True),
         "Patient.extension", "Patient.extension:sex", definitions=(SEX,)),
    Case("max of an extension", of("sex", max="1"), patient(extension=[sex("red")]),
         patient(extension=[sex("red"), sex("red")]), "Patient.extension[1]", "Patient.extension:sex", definitions=(SEX,)),
    Case("the type of an extension's value", of("sex"), patient(extension=[sex("red")]),
         patient(extension=[{"url": URL + "sex", "valueString": "red"}]), "Patient.extension[0].value",
         "sex#Extension.value[x]", definitions=(SEX,)),
    Case("the binding of an extension", of("sex"), patient(extension=[sex("red")]), patient(extension=[sex("blue")]),
         "Patient.extension[0].value", "sex#Extension.value[x]", definitions=(SEX,)),
    Case("a part of an extension", of("race"), patient(extension=[race(TEXT)]), patient(extension=[race(RED_PART)]),
         "Patient.extension[0].extension", "race#Extension.extension:text", definitions=(RACE,)),
    Case("the number of a part", of("race"), patient(extension=[race(TEXT, RED_PART, RED_PART)]),
         patient(extension=[race(TEXT, RED_PART, RED_PART, RED_PART)]), "Patient.extension[0].extension[3]",
         "race#Extension.extension:colour", definitions=(RACE,)),
    Case("the binding of a part", of("race"), patient(extension=[race(TEXT, RED_PART)]),
         patient(extension=[race(TEXT, {"url": "colour", "valueCoding": {"code": "x"}})]),
         "Patient.extension[0].extension[1].value", "race#Extension.extension:colour.value[x]", definitions=(RACE,)),
    Case("an unknown part", of("race"), patient(extension=[race(TEXT)]),
         patient(extension=[race(TEXT, {"url": "smell", "valueString": "x"})]), "Patient.extension[0].extension[1].url",
         "race#Extension.extension", definitions=(RACE,)),
    Case("others' extensions stay", of("sex"), patient(extension=[{"url": "urn:theirs", "valueString": "x"}, sex("red")]),
         patient(extension=[{"url": "urn:theirs", "valueString": "x"}, sex("blue")]), "Patient.extension[1].value",
         "sex#Extension.value[x]", definitions=(SEX,)),
    Case("an extension of a primitive",
         (el("Patient.birthDate.extension", slicing=slicing("value:url")),
          el("Patient.birthDate.extension:sex", min=1, type=[{"code": "Extension", "profile": [URL + "sex"]}])),
         patient(birthDate="1980", _birthDate={"extension": [sex("red")]}), patient(birthDate="1980"),
         "Patient.birthDate.extension", "Patient.birthDate.extension:sex", definitions=(SEX,)),
]  # fmt: skip


def bundle(*resources: Json) -> Json:
    """A collection."""
    entries = [{"fullUrl": f"http://a/{r['resourceType']}/{i}", "resource": r} for i, r in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


ENTRY = "Bundle.entry"
NESTED = [
    Case("the type of an entry", (el(f"{ENTRY}.resource", type=[{"code": "Patient"}]),), bundle(patient(active=True)),
         bundle(patient(active=True), observation()), "Bundle.entry[1].resource", f"{ENTRY}.resource"),
    Case("the profile of an entry", (el(f"{ENTRY}.resource", type=[{"code": "Patient", "profile": [URL + "born"]}]),),
         bundle(patient(birthDate="2000")), bundle(patient(birthDate="2000"), patient(active=True)),
         "Bundle.entry[1].resource.birthDate", "born#Patient.birthDate", definitions=(ADULT,)),
    Case("entries by type",
         (el(ENTRY, slicing=slicing("type:resource")), el(f"{ENTRY}:patient", min=1, max="1"),
          el(f"{ENTRY}:patient.resource", min=1, type=[{"code": "Patient"}])),
         bundle(observation(), patient(active=True)), bundle(observation()), ENTRY, f"{ENTRY}:patient"),
    Case("entries by profile",
         (el(ENTRY, slicing=slicing("profile:resource")), el(f"{ENTRY}:born", min=1),
          el(f"{ENTRY}:born.resource", min=1, type=[{"code": "Patient", "profile": [URL + "born"]}])),
         bundle(patient(active=True), patient(birthDate="2000")), bundle(patient(active=True)), ENTRY, f"{ENTRY}:born",
         definitions=(ADULT,)),
    Case("a contained resource's profile", (el("Observation.contained", type=[{"code": "Patient", "profile": [URL + "born"]}]),),
         observation(**BORN), observation(**CONTAINED), "Observation.contained[0].birthDate", "born#Patient.birthDate",
         definitions=(ADULT,)),
    Case("contained resources by type",
         (el("Observation.contained", slicing=slicing("type:$this", rules="closed")),
          el("Observation.contained:subject", max="1", type=[{"code": "Patient"}])),
         observation(**BORN),
         observation(contained=[{"resourceType": "Group", "id": "g", "type": "person", "actual": True}],
                     subject={"reference": "#g"}),
         "Observation.contained[0]", "Observation.contained"),
    Case("an item in an item", (el("Questionnaire.item.prefix", min=1),),
         {"resourceType": "Questionnaire", "status": "draft", "item": [
             {"linkId": "1", "type": "group", "prefix": "A", "item": [{"linkId": "2", "type": "display", "text": "x", "prefix": "B"}]}]},
         {"resourceType": "Questionnaire", "status": "draft", "item": [
             {"linkId": "1", "type": "group", "prefix": "A", "item": [{"linkId": "2", "type": "display", "text": "x"}]}]},
         "Questionnaire.item[0].item[0].prefix", "Questionnaire.item.prefix"),
    Case("a parameter's resource",
         (el("Parameters.parameter", slicing=slicing("value:name")), el("Parameters.parameter:who", min=1),
          el("Parameters.parameter:who.name", fixedString="who"),
          el("Parameters.parameter:who.resource", min=1, type=[{"code": "Patient", "profile": [URL + "born"]}])),
         {"resourceType": "Parameters", "parameter": [{"name": "who", "resource": patient(birthDate="2000")}]},
         {"resourceType": "Parameters", "parameter": [{"name": "who", "resource": patient(active=True)}]},
         "Parameters.parameter[0].resource.birthDate", "born#Patient.birthDate", definitions=(ADULT,)),
]  # fmt: skip
