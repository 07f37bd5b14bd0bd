"""Code systems, value sets and concept maps that the tests of terminology operations store, and how answers are read."""

from typing import Any

from tests.client import Answer, Client

Json = dict[str, Any]
FISH = "urn:test:fish"
GENDER = "http://hl7.org/fhir/administrative-gender"

_CONCEPTS: list[Json] = [
    {
        "code": "any",
        "display": "Any fish",
        "property": [{"code": "notSelectable", "valueBoolean": True}],
        "concept": [
            {
                "code": "salmon",
                "display": "Atlantic salmon",
                "definition": "A fish that swims upstream.",
                "designation": [
                    {"language": "fr", "value": "Saumon de l'Atlantique"},
                    {"language": "es", "value": "Salmón"},
                    {"use": {"system": "urn:test:use", "code": "latin"}, "value": "Salmo salar"},
                ],
                "property": [
                    {"code": "water", "valueCode": "salt"},
                    {"code": "water", "valueCode": "fresh"},
                    {"code": "seen", "valueDateTime": "2020-01-01"},
                    {"code": "kin", "valueCoding": {"system": FISH, "code": "trout"}},
                ],
            },
            {
                "code": "trout",
                "display": "Brown trout",
                "designation": [{"language": "fr", "value": "Truite"}],
                "property": [{"code": "water", "valueCode": "fresh"}],
                "concept": [{"code": "sea-trout", "display": "Sea trout"}],
            },
            {"code": "migrant", "display": "Migrating fish"},
            {
                "code": "sturgeon",
                "display": "Sturgeon",
                "property": [
                    {"code": "parent", "valueCode": "migrant"},
                    {"code": "status", "valueCode": "retired"},
                ],
            },
        ],
    },
]


def fish(version: str = "1", **changes: Any) -> Json:
    """A code system with languages, a code below two others, one to group and one out of use."""
    return {
        "resourceType": "CodeSystem",
        "url": FISH,
        "version": version,
        "name": "Fish",
        "status": "active",
        "content": "complete",
        "valueSet": "urn:test:all-fish",
        "hierarchyMeaning": "is-a",
        "property": [
            {"code": "water", "type": "code"},
            {"code": "seen", "type": "dateTime"},
            {"code": "kin", "type": "Coding"},
            {"code": "notSelectable", "type": "boolean", "uri": "http://hl7.org/fhir/concept-properties#notSelectable"},
            {"code": "parent", "type": "code"},
            {"code": "status", "type": "code"},
        ],
        "concept": _CONCEPTS,
        **changes,
    }


def value_set(url: str, *include: Json, **more: Any) -> Json:
    """A ValueSet of these includes; `exclude` and `inactive` go into its compose."""
    compose = {"include": list(include)} | {k: more.pop(k) for k in ("inactive", "exclude") if k in more}
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose, **more}


def all_of(system: str = FISH, **more: Any) -> Json:
    """An include of a whole system, or of what else is said."""
    return {"system": system, **more}


def by(name: str, operator: str, value: str, system: str = FISH) -> Json:
    """An include by one filter."""
    return all_of(system, filter=[{"property": name, "op": operator, "value": value}])


def parameters(**values: Any) -> Json:
    """A Parameters resource; a keyword `url__valueUri` gives name and type, `_` in names stands for `-`; a list repeats."""
    rows: list[Json] = []
    for key, value in values.items():
        name, kind = key.split("__")
        rows += [
            {"name": name.replace("_", "-"), kind: each} for each in (value if isinstance(value, list) else [value])
        ]
    return {"resourceType": "Parameters", "parameter": rows}


def expand(client: Client, resource: Json, query: str = "", **values: Any) -> Json:
    """The expansion of a value set that is given."""
    answer = client.post(f"ValueSet/$expand{query}", parameters(valueSet__resource=resource, **values))
    assert answer.status == 200, answer.text
    found: Json = answer.json["expansion"]
    return found


def codes(expansion: Json) -> list[str]:
    """The codes of an expansion's first level."""
    return [item["code"] for item in expansion.get("contains", ())]


def said(answer: Answer, name: str) -> Any:
    """The value of an output parameter; None when there is none."""
    assert answer.status == 200, answer.text
    found = [p for p in answer.json["parameter"] if p["name"] == name]
    return next((v for p in found for k, v in p.items() if k.startswith(("value", "resource"))), None)


def refusal(answer: Answer) -> tuple[int, str]:
    """Status and issue code of a refusal, which says something."""
    assert answer.issues[0]["details"]["text"]
    return answer.status, answer.issues[0]["code"]
