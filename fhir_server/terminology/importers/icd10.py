"""ICD-10 (and its national editions) in ClaML, the classification markup language. https://icd.who.int

Modifiers, by which one list of fourth or fifth characters is written once for many categories, are spelled out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source
from fhir_server.terminology.importers.xml_events import Element, elements

URL = "http://hl7.org/fhir/sid/icd-10"
_MOST_MADE = 500_000
_TYPES = {"kind": "code", "usage": "code", "exclusion": "string", "note": "string", "coding-hint": "string"}


@dataclass(slots=True)
class _Class:
    """A class as it stands in the file. modified: modifier and the codes of it that are valid, or none for all."""

    code: str
    kind: str
    above: list[str]
    modified: dict[str, list[str]]
    excluded: list[str]
    display: str = ""
    definition: str | None = None
    language: str = ""
    designations: list[dict[str, Any]] = field(default_factory=list)
    properties: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    title: str = ""
    version: str = ""
    classes: dict[str, _Class] = field(default_factory=dict)
    # By modifier, its codes with their texts.
    modifiers: dict[str, dict[str, str]] = field(default_factory=dict)


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of a ClaML file. Raises `Unprocessable` when there are no classes in it."""
    name = source.one("*claml*.xml", "*.xml", "*", what="the classification in ClaML")
    held = _File()
    with source.binary(name) as file:
        for element in elements(file, name, {"Title", "Class", "ModifierClass"}):
            _take(held, element, name, report)
    if not held.classes:
        raise Unprocessable(f"There is no Class in {name}. Give the ClaML file (XML) of the classification.")
    version = required(options.version, held.version, "which release this is")
    described = {"title": held.title, "publisher": "World Health Organization"} if held.title else {}
    return Content(
        options.system or URL, version, options.name or held.title or "ICD_10", _records(held), _TYPES, False, described
    )


def _take(held: _File, element: Element, name: str, report: Report) -> None:
    code = element.attributes.get("code", "")
    if element.name == "Title":
        held.title = held.title or element.attributes.get("name", "") or element.words()
        held.version = held.version or element.attributes.get("version", "")
    elif not code:
        report.refuse(name, f"a {element.name} has no code.")
    elif element.name == "ModifierClass":
        text = next((r.words() for r in element.all("Rubric") if r.attributes.get("kind") == "preferred"), "")
        held.modifiers.setdefault(element.attributes.get("modifier", ""), {})[code] = text
    else:
        held.classes.setdefault(code, _class(element, code))


def _class(element: Element, code: str) -> _Class:
    made = _Class(
        code, element.attributes.get("kind", ""), [e.attributes.get("code", "") for e in element.all("SuperClass")],
        {m.attributes.get("code", ""): [v.attributes.get("code", "") for v in m.all("ValidModifierClass")]
         for m in element.all("ModifiedBy")},
        [e.attributes.get("code", "") for e in element.all("ExcludeModifier")],
    )  # fmt: skip
    if made.kind:
        made.properties.append(("kind", made.kind))
    if element.attributes.get("usage"):
        made.properties.append(("usage", element.attributes["usage"]))
    for rubric in element.all("Rubric"):
        for label in rubric.all("Label"):
            _say(made, rubric.attributes.get("kind", ""), label.words(), label.attributes.get("lang", ""))
    return made


def _say(made: _Class, kind: str, text: str, language: str) -> None:
    if not text:
        return
    if kind == "preferred" and not made.display:
        made.display, made.language = text, language
    elif kind == "definition":
        made.definition = f"{made.definition}\n{text}" if made.definition else text
    elif kind in _TYPES:
        made.properties.append((kind, text))
    elif kind in ("preferred", "preferredLong", "inclusion"):
        use = {"system": "urn:salam:CodeSystem:claml-rubric", "code": kind}
        made.designations.append({**({"language": language} if language else {}), "use": use, "value": text})


def _records(held: _File) -> Iterator[Record]:
    parents = {above for each in held.classes.values() for above in each.above}
    made = 0
    for each in held.classes.values():
        grouping = each.kind in ("chapter", "block")
        yield Record(
            each.code, each.display, [a for a in each.above if a in held.classes], each.properties, each.designations,
            each.definition, False, grouping,
        )  # fmt: skip
        if grouping or each.code in parents:
            continue
        for record in _modified(held, each):
            if record.code not in held.classes:
                made += 1
                if made > _MOST_MADE:
                    raise Unprocessable("The modifiers of the classification make more than 500,000 codes.")
                yield record


def _modified(held: _File, base: _Class) -> Iterator[Record]:
    """What the modifiers in force make of a category that nothing stands below: fourth characters, then fifth ones."""
    level: Sequence[tuple[str, str]] = [(base.code, base.display)]
    in_force = _in_force(held.classes, base)
    for modifier in sorted(in_force, key=lambda name: not any(c.startswith(".") for c in held.modifiers.get(name, ()))):
        texts = held.modifiers.get(modifier, {})
        valid = [code for code in texts if not in_force[modifier] or code in in_force[modifier]]
        following = []
        for above, display in level:
            for code in valid:
                joined = above + code if code.startswith(".") or "." in above else f"{above}.{code}"
                following.append((joined, f"{display} : {texts[code]}"))
                yield Record(joined, following[-1][1], (above,), (("kind", base.kind),))
        level = following or level


def _in_force(classes: Mapping[str, _Class], base: _Class) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    excluded: set[str] = set()
    seen: set[str] = set()
    waiting = [base.code]
    while waiting:
        each = classes.get(waiting.pop(0))
        if each is None or each.code in seen:
            continue
        seen.add(each.code)
        excluded.update(each.excluded)
        for modifier, valid in each.modified.items():
            if modifier not in excluded:
                found.setdefault(modifier, valid)
        waiting += each.above
    return found


IMPORTER = Importer(read, "ICD-10 in ClaML (XML), file or zip", URL)
