"""Compile the official R4 core package into the compact definitions under `profiles/r4/`.

    python profiles/compile_r4.py <hl7.fhir.r4.core-4.0.1.tgz> [output directory]

Structure, codes, expressions and displays only; no prose. The same package gives the same bytes.
Shapes are read by `fhir_server/conformance/`. Package: https://hl7.org/fhir/R4/downloads.html
"""

import gzip
import re
import sys
import tarfile
import zipfile
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

Json = dict[str, Any]
BASE = "http://hl7.org/fhir/StructureDefinition/"
REGEX = BASE + "regex"
ANY_TARGET = 140  # a target list that names (nearly) every type says "any"

# The 4.0.1 package leaves affectsState out of every definition; the pages of these say that they write.
AFFECTS_STATE = {
    "Claim-submit", "ConceptMap-closure", "CoverageEligibilityRequest-submit", "Measure-submit-data",
    "MessageHeader-process-message", "Resource-meta-add", "Resource-meta-delete",
}
# Expressions that name an extension the package does not define can never match: corrected here, or left out.
CORRECTED = {
    "patient-extensions-Patient-mothersMaidenName":
        "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName').value",
}
# Search result and filter parameters with their own grammar are the search parser's.
SPECIAL = {"_text", "_content", "_query", "_filter"}
DROP_TERMINOLOGY = {
    "contact", "date", "definition", "description", "extension", "identifier", "meta", "publisher", "purpose", "text",
    "copyright", "useContext", "jurisdiction", "immutable", "experimental", "language", "resourceType", "_description",
}


def read_package(path: Path) -> dict[str, list[Json]]:
    """Definitions of the package by resource type, sorted by id."""
    wanted = {"StructureDefinition", "SearchParameter", "OperationDefinition", "CompartmentDefinition",
              "CodeSystem", "ValueSet", "ConceptMap"}
    found: dict[str, list[Json]] = {name: [] for name in wanted}
    with tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.split("/")
            kind = parts[-1].split("-")[0]
            if len(parts) == 2 and kind in wanted and member.name.endswith(".json"):
                handle = archive.extractfile(member)
                assert handle is not None
                found[kind].append(msgspec.json.decode(handle.read()))
    for definitions in found.values():
        definitions.sort(key=lambda definition: str(definition["id"]))
    return found


# --- structures ---------------------------------------------------------------------------------------------------


class Structures:
    """Compiles StructureDefinitions; collects the distinct constraints in one table."""

    def __init__(self, definitions: list[Json]) -> None:
        self.by_url = {definition["url"]: definition for definition in definitions}
        self.base = [d for d in definitions if d["kind"] != "logical" and d.get("derivation") != "constraint"]
        self.constraints: list[list[str]] = []
        self._positions: dict[tuple[str, ...], int] = {}

    def compiled(self) -> Json:
        structures: Json = {}
        for definition in self.base:
            structures.update(self._structures_of(definition))
        return {"constraints": self.constraints, "structures": structures}

    def _structures_of(self, definition: Json) -> Json:
        """The structure of a type and one more for each of its backbone elements."""
        elements = [e for e in definition["snapshot"]["element"] if e["max"] != "0"]
        paths = {e["path"] for e in elements}
        parents = {path.rsplit(".", 1)[0] for path in paths if "." in path}
        made: Json = {}
        for element in elements:
            path = element["path"]
            if path in parents or "." not in path:
                children = [e for e in elements if e["path"].rsplit(".", 1)[0] == path and "." in e["path"]]
                made[path] = self._structure(definition, element, children, parents)
        return made

    def _structure(self, definition: Json, root: Json, children: list[Json], parents: set[str]) -> Json:
        is_type = root["path"] == definition["type"]
        primitive = definition["kind"] == "primitive-type"
        base = definition.get("baseDefinition", "") if is_type else BASE + root["type"][0]["code"]
        rows = [self._element(e, parents) for e in children if not (primitive and e["path"].endswith(".value"))]
        structure: Json = {
            "kind": (definition["kind"] if is_type else "backbone"),
            "base": base.removeprefix(BASE) or None,
            "abstract": definition["abstract"] if is_type else False,
            "constraints": self._constraints(root.get("constraint", [])),
            "elements": rows,
        }
        pattern = _primitive_pattern(children) if primitive else None
        if pattern:
            structure["pattern"] = pattern
        return structure

    def _element(self, element: Json, parents: set[str]) -> list[Any]:
        """[name, [[type, targets]...], min, max, binding, flags, representation, constraints]; a name ending in [x] is
        a choice; flags: 1 summary, 2 modifier."""
        path = element["path"]
        binding = element.get("binding")
        bound = binding and binding.get("valueSet") and [binding["strength"], binding["valueSet"].split("|")[0]]
        constraints = [c for c in element.get("constraint", []) if c["key"] not in ("ele-1", "ext-1")]
        for type_ in element.get("type", []):
            for profile in type_.get("profile", []):
                constraints += self._profile_constraints(profile)
        return [
            path.rsplit(".", 1)[1],
            self._types(element, parents),
            element["min"],
            None if element["max"] == "*" else int(element["max"]),
            bound or None,
            int(element.get("isSummary", False)) + 2 * int(element.get("isModifier", False)),
            "xhtml" if path == "Narrative.div" else (element.get("representation") or [""])[0],
            [] if path in parents else self._constraints(constraints),
        ]

    def _types(self, element: Json, parents: set[str]) -> list[list[Any]]:
        path = element["path"]
        if path in parents:
            return [[path, []]]
        if "contentReference" in element:
            return [[element["contentReference"].lstrip("#"), []]]
        return [[_type_code(path, t), self._targets(t)] for t in element["type"]]

    def _targets(self, type_: Json) -> list[str]:
        names = [self.by_url[url]["type"] for url in type_.get("targetProfile", [])]
        return [] if "Resource" in names else list(dict.fromkeys(names))

    def _profile_constraints(self, url: str) -> list[Json]:
        """Invariants that a profile of a data type (SimpleQuantity) adds to the type's own."""
        profile = self.by_url.get(url)
        if profile is None or profile["kind"] != "complex-type":
            return []
        inherited = self.by_url[BASE + profile["type"]]["snapshot"]["element"][0].get("constraint", [])
        keys = {c["key"] for c in inherited}
        return [c for c in profile["snapshot"]["element"][0].get("constraint", []) if c["key"] not in keys]

    def _constraints(self, constraints: list[Json]) -> list[int]:
        rows = [(c["key"], c["severity"], c["human"], c["expression"]) for c in constraints if c.get("expression")]
        for row in rows:
            if row not in self._positions:
                self._positions[row] = len(self.constraints)
                self.constraints.append(list(row))
        return list(dict.fromkeys(self._positions[row] for row in rows))


def _type_code(path: str, type_: Json) -> str:
    code = str(type_["code"])
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    if path == "Extension.url":
        return "uri"
    named = [e["valueUrl"] for e in type_.get("extension", []) if e["url"].endswith("fhir-type")]
    return named[0] if named else "string"


def _primitive_pattern(children: list[Json]) -> str | None:
    for element in children:
        if element["path"].endswith(".value"):
            for extension in element["type"][0].get("extension", []):
                if extension["url"] == REGEX:
                    return str(extension["valueString"])
    return None


def resource_ids(structures: Json) -> None:
    """A resource's `id` has the type id (the package says string, https://hl7.org/fhir/R4/resource.html#id)."""
    for structure in structures["structures"].values():
        if structure["kind"] == "resource":
            for row in structure["elements"]:
                if row[0] == "id":
                    row[1], row[6] = [["id", []]], ""


# --- structure definitions as resources ---------------------------------------------------------------------------

DROP_STRUCTURE = {"text", "mapping", "differential", "contact", "meta"}
DROP_ELEMENT = {"mapping", "comment", "requirements", "alias", "example"}


def structure_resource(definition: Json) -> Json:
    """A StructureDefinition as snapshots are made from it and shown: without mappings and background prose, and without
    the differential where there is a snapshot."""
    kept = {k: v for k, v in definition.items() if k not in DROP_STRUCTURE}
    if "snapshot" not in definition:
        kept["differential"] = definition["differential"]
    else:
        elements = definition["snapshot"]["element"]
        kept["snapshot"] = {
            "element": [{k: v for k, v in element.items() if k not in DROP_ELEMENT} for element in elements]
        }
    return kept


def write_structures(folder: Path, definitions: list[Json]) -> None:
    """One file for each definition, so that one can be read without the others, and `index.json`: {url: file}."""
    names = {definition["url"]: f"{definition['id']}.json" for definition in definitions}
    with zipfile.ZipFile(folder / "structure-definitions.zip", "w") as archive:
        _add(archive, "index.json", msgspec.json.encode(names, order="sorted"))
        for definition in definitions:
            _add(archive, names[definition["url"]], msgspec.json.encode(structure_resource(definition)))


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)


# --- search parameters --------------------------------------------------------------------------------------------


def search_parameters(definitions: list[Json], defined: Container[str]) -> Json:
    """{url: {code, type, base, expression, target, component}}; target [] = any type."""
    compiled: Json = {}
    for definition in definitions:
        identity = definition["id"]
        if identity.startswith("example") or definition["code"] in SPECIAL or not definition.get("base"):
            continue
        expression = CORRECTED.get(identity) or definition.get("expression", "")
        extensions = re.findall(r"xtension\('([^']*)'\)", expression)
        if not expression or any(url not in defined for url in extensions):
            continue
        targets = definition.get("target", [])
        row: Json = {
            "code": definition["code"], "type": definition["type"], "base": definition["base"],
            "expression": re.sub(r"(\.extension\('[^']*'\))$", r"\1.value", expression),
            "target": [] if len(targets) >= ANY_TARGET else targets,
        }
        if definition.get("component"):
            row["component"] = [
                {"definition": c["definition"], "expression": c["expression"].replace("as(DateTime)", "as(dateTime)")}
                for c in definition["component"]
            ]
        compiled[definition["url"]] = row
    return compiled


# --- operations, compartments, terminology ------------------------------------------------------------------------


def operations(definitions: list[Json]) -> list[Json]:
    """Operations without their documentation."""
    kept = []
    for definition in definitions:
        if not definition["url"].startswith("http://hl7.org/fhir/OperationDefinition/"):
            continue
        row = {key: definition[key] for key in ("url", "code", "system", "type", "instance", "resource")}
        row["affectsState"] = definition["id"] in AFFECTS_STATE
        row["parameter"] = [_parameter(p) for p in definition.get("parameter", [])]
        kept.append(row)
    return kept


def _parameter(parameter: Json) -> Json:
    kept = {k: v for k, v in parameter.items() if k not in ("documentation", "part", "extension")}
    if "part" in parameter:
        kept["part"] = [_parameter({"use": parameter["use"], **part}) for part in parameter["part"]]
    return kept


def compartments(definitions: list[Json]) -> Json:
    """{compartment: {resource type: [parameter codes]}}; `{def}` (the focal resource itself) is an empty list."""
    compiled = {}
    for definition in definitions:
        if definition["id"] != "example":
            compiled[definition["code"]] = {
                member["code"]: [p for p in member["param"] if p != "{def}"]
                for member in definition["resource"] if member.get("param")
            }
    return compiled


def strip_prose(value: Any, drop: frozenset[str] = frozenset()) -> Any:
    """A copy without prose and extensions, at every depth below the first."""
    if isinstance(value, dict):
        inner = frozenset({"definition", "extension", "documentation", "description", "text"})
        return {k: strip_prose(v, inner) for k, v in value.items() if k not in drop}
    if isinstance(value, list):
        return [strip_prose(item, drop) for item in value]
    return value


def terminology(definitions: list[Json]) -> Json:
    """{url: compact definition in FHIR's JSON form}."""
    return {d["url"]: strip_prose(d, frozenset(DROP_TERMINOLOGY)) for d in definitions}


def write(folder: Path, name: str, value: Any) -> None:
    raw = msgspec.json.encode(value, order="sorted" if isinstance(value, dict) else None)
    (folder / f"{name}.json.gz").write_bytes(gzip.compress(raw, 9, mtime=0))


def report(folder: Path, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield f"{name}.json.gz  {(folder / f'{name}.json.gz').stat().st_size:,} bytes"


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print(__doc__)
        return 2
    folder = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).parent / "r4"
    folder.mkdir(parents=True, exist_ok=True)
    package = read_package(Path(arguments[0]))
    source = Structures(package["StructureDefinition"])
    structures = source.compiled()
    resource_ids(structures)
    made = {
        "structures": structures,
        "search-parameters": search_parameters(package["SearchParameter"], source.by_url),
        "operations": operations(package["OperationDefinition"]),
        "compartments": compartments(package["CompartmentDefinition"]),
        "code-systems": terminology(package["CodeSystem"]),
        "value-sets": terminology(package["ValueSet"]),
        "concept-maps": terminology(package["ConceptMap"]),
    }
    for name, value in made.items():
        write(folder, name, value)
    write_structures(folder, package["StructureDefinition"])
    print("\n".join(report(folder, made)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
