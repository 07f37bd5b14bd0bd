"""The `%` variables that are always there. https://hl7.org/fhir/R4/fhirpath.html#vars"""

from collections.abc import Mapping

from fhir_server.fhirpath.compiled import Run

EXTERNALS: Mapping[str, Run] = {
    "resource": lambda this, env: [env.resource],
    "rootResource": lambda this, env: [env.root],
    "context": lambda this, env: env.context,
}
_CONSTANTS = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}


def constant(name: str) -> str | None:
    """The text of `%sct`, `%"vs-name"`, `%"ext-name"` and their kin; None for other names."""
    if name.startswith("vs-"):
        return f"http://hl7.org/fhir/ValueSet/{name[3:]}"
    if name.startswith("ext-"):
        return f"http://hl7.org/fhir/StructureDefinition/{name[4:]}"
    return _CONSTANTS.get(name)


def is_reserved(name: str) -> bool:
    """Whether a name means something already, so that nobody may define a variable of that name."""
    return name in EXTERNALS or constant(name) is not None
