"""What is read from resources at the desk: parts of extensions, participants, names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhir_server.core.dates import moment
from ui import formats

Resource = dict[str, Any]
E = "urn:salam:StructureDefinition:"
_VALUE = "value"


def value(extension: Mapping[str, Any]) -> Any:
    """The value of an extension, whatever its type; None where it has none."""
    return next((each for name, each in extension.items() if name.startswith(_VALUE)), None)


def own(resource: Mapping[str, Any], name: str) -> Any:
    """The value of one of this server's extensions, by its short name."""
    return value(formats.extension(resource, E + name))


def parts(resource: Mapping[str, Any], name: str) -> dict[str, list[Any]]:
    """The values of the parts of one of this server's extensions, by part."""
    found: dict[str, list[Any]] = {}
    for each in formats.extension(resource, E + name).get("extension", ()):
        found.setdefault(str(each.get("url")), []).append(value(each))
    return found


def part(resource: Mapping[str, Any], name: str, of: str) -> Any:
    """The first value of a part of one of this server's extensions."""
    return next(iter(parts(resource, name).get(of, ())), None)


def actor(appointment: Mapping[str, Any], resource_type: str) -> Mapping[str, Any]:
    """The first participant of a type, as a Reference; an empty one where there is none."""
    for each in appointment.get("participant", ()):
        if str(each.get("actor", {}).get("reference", "")).startswith(f"{resource_type}/"):
            found: Mapping[str, Any] = each["actor"]
            return found
    return {}


def name_of(reference: Mapping[str, Any], known: Mapping[str, Resource]) -> str:
    """The name of whom or what a Reference means: as it is now, else as it was written down."""
    resource = known.get(str(reference.get("reference", "")))
    if resource is None:
        return str(reference.get("display", ""))
    named = resource.get("name")
    return named if isinstance(named, str) else formats.person(named) or str(reference.get("display", ""))


def instant(text: str | None) -> datetime | None:
    """A FHIR instant as a moment."""
    return moment(text) if text else None


def id_of(reference: str) -> str:
    """The id in `Type/id`."""
    return reference.partition("/")[2]


def id_in(reference: Mapping[str, Any]) -> str:
    """The id to which a Reference leads; "" for none."""
    return id_of(str(reference.get("reference", "")))


def said(**values: Any) -> dict[str, Any]:
    """The parameters that say something: without empty texts and what is not so."""
    return {name: value for name, value in values.items() if value}


def parameters(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The parameters of a name in a Parameters resource."""
    return [each for each in answer.get("parameter", ()) if each.get("name") == name]


def by_part(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """The values (or, for parts of parts, the parts) of a parameter's parts by name."""
    return {each["name"]: each["part"] if "part" in each else value(each) for each in parameter.get("part", ())}
