"""Code systems as people look things up in them: search as one types, and a concept with what is above and below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.definitions.answers import said, value_of
from ui.definitions.place import bp
from ui.definitions.systems import known_systems
from ui.fhir import Refused
from ui.page import page, part
from ui.texts import language

_PAGE = 25
# Of FHIR's own, what a clinic looks at most.
_EXAMPLES = {
    "http://terminology.hl7.org/CodeSystem/v3-ActCode": "ActCode",
    "http://terminology.hl7.org/CodeSystem/observation-category": "Observation Category Codes",
    "http://terminology.hl7.org/CodeSystem/service-type": "Service type",
}
_LINKS = ("parent", "child")


@dataclass(frozen=True, slots=True)
class Shown:
    """A concept as a page shows it. `texts`: (language, what it is for, text); `facts`: (property, value as text)."""

    code: str
    display: str
    definition: str
    system: str
    version: str
    texts: Sequence[tuple[str, str, str]]
    facts: Sequence[tuple[str, str]]
    parents: Sequence[tuple[str, str]]
    children: Sequence[tuple[str, str]]


@bp.get("/codes/")
def codes(slug: str) -> ResponseReturnValue:
    """The codes of one system that match; htmx asks for the list alone."""
    system, text = request.args.get("system", "").strip(), request.args.get("q", "").strip()[:200]
    offset = max(0, request.args.get("offset", 0, type=int))
    found, refused = _search(system, text, offset) if system else (None, None)
    values: dict[str, Any] = {
        "system": system, "text": text, "offset": offset, "step": _PAGE, "refused": refused,
        "systems": {} if system else {**known_systems(), **_EXAMPLES},
        "rows": found.get("contains", []) if found else [], "total": found.get("total", 0) if found else 0,
    }  # fmt: skip
    if request.headers.get("HX-Request"):
        return part("definitions/_codes.html", **values)
    return page("definitions/codes.html", **values)


@bp.get("/codes/concept")
def concept(slug: str) -> ResponseReturnValue:
    """One concept: its texts, properties, and its place among the others."""
    system, code = request.args.get("system", ""), request.args.get("code", "")
    answer = fhir.call("CodeSystem/$lookup", {"system": {"valueUri": system}, "code": fhir.code(code),
                                              "displayLanguage": fhir.code(language())})  # fmt: skip
    return page("definitions/concept.html", concept=_shown(system, code, answer), system=system)


def _search(system: str, text: str, offset: int) -> tuple[dict[str, Any] | None, Refused | None]:
    value_set = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": system}]}}
    asked = {"valueSet": value_set, "filter": text or None, "count": _PAGE, "offset": offset,
             "displayLanguage": fhir.code(language())}  # fmt: skip
    try:
        expansion: dict[str, Any] = fhir.call("ValueSet/$expand", asked)["expansion"]
    except Refused as error:
        if error.status in (401, 403):
            raise
        return None, error
    return expansion, None


def _shown(system: str, code: str, answer: Mapping[str, Any]) -> Shown:
    named: dict[str, str] = {}
    texts: list[tuple[str, str, str]] = []
    facts: list[tuple[str, str]] = []
    links: dict[str, list[tuple[str, str]]] = {name: [] for name in _LINKS}
    for each in answer.get("parameter", ()):
        parts = said(each.get("part", ()))
        if each["name"] == "designation":
            use = parts.get("use") or {}
            said_for = str(use.get("display") or use.get("code", ""))
            texts.append((str(parts.get("language", "")), said_for, str(parts.get("value", ""))))
        elif each["name"] == "property":
            name, value = str(parts.get("code", "")), parts.get("value", "")
            if name in links:
                links[name].append((str(value), str(parts.get("description", ""))))
            else:
                facts.append((name, _text(value)))
        elif not each.get("part"):
            named[each["name"]] = str(value_of(each))
    return Shown(
        code, named.get("display", code), named.get("definition", ""), named.get("name", system),
        named.get("version", ""), texts, facts, links["parent"], links["child"],
    )  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(str(value[name]) for name in ("code", "display", "value", "unit") if name in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
