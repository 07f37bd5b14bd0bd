"""Random code systems and value sets, and what they mean said in plain sets: the oracle of the property tests."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

URL = "urn:random"
CODES = [f"c{i}" for i in range(12)]
SETS = ["urn:vs:0", "urn:vs:1", "urn:vs:2"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Oracle:
    """A code system as plain dicts: parents and properties by code."""

    parents: dict[str, set[str]]
    colours: dict[str, str]

    def above(self, code: str) -> set[str]:
        found: set[str] = set()
        waiting = [code]
        while waiting:
            fresh = self.parents[waiting.pop()] - found
            found |= fresh
            waiting += fresh
        return found

    def below(self, code: str) -> set[str]:
        return {other for other in self.parents if code in self.above(other)}


@st.composite
def systems(draw: st.DrawFn) -> tuple[Json, Oracle]:
    """A CodeSystem in which every code may stand below several of those before it; some by nesting, some by property."""
    count = draw(st.integers(1, len(CODES)))
    parents: dict[str, set[str]] = {}
    colours: dict[str, str] = {}
    items: dict[str, Json] = {}
    roots: list[Json] = []
    for place in range(count):
        code = CODES[place]
        chosen = draw(st.lists(st.sampled_from(CODES[:place]), max_size=3, unique=True)) if place else []
        colour = draw(st.sampled_from(["", "red", "blue"]))
        item: Json = {"code": code, "display": f"Word{place % 4} text{place}"}
        rows: list[Json] = [{"code": "colour", "valueCode": colour}] if colour else []
        nested = bool(chosen) and draw(st.booleans())
        rows += [{"code": "parent", "valueCode": parent} for parent in chosen[1 if nested else 0 :]]
        if draw(st.booleans()):
            rows.append({"code": "inactive", "valueBoolean": True})
            colours[f"{code} inactive"] = "yes"
        if rows:
            item["property"] = rows
        (items[chosen[0]].setdefault("concept", []) if nested else roots).append(item)
        items[code] = item
        parents[code] = set(chosen)
        colours[code] = colour
    declared = [{"code": "colour", "type": "code"}, {"code": "parent", "type": "code"}]
    resource = {
        "resourceType": "CodeSystem", "url": URL, "version": "1", "name": "Random", "status": "active",
        "content": "complete", "property": declared, "concept": roots,
    }  # fmt: skip
    return resource, Oracle(parents, colours)


def filters(codes: list[str]) -> st.SearchStrategy[Json]:
    """Filters that a system with these codes answers."""
    one = st.sampled_from(codes)
    by_code = st.builds(
        lambda op, code: {"property": "concept", "op": op, "value": code},
        st.sampled_from(["is-a", "descendent-of", "is-not-a", "generalizes", "="]),
        one,
    )
    by_list = st.builds(
        lambda op, some: {"property": "concept", "op": op, "value": ",".join(some)},
        st.sampled_from(["in", "not-in"]),
        st.lists(one, min_size=1, max_size=4),
    )
    by_colour = st.builds(
        lambda op, value: {"property": "colour", "op": op, "value": value if op == "=" else "true"},
        st.sampled_from(["=", "exists"]),
        st.sampled_from(["red", "blue"]),
    )
    by_parent = st.builds(lambda code: {"property": "parent", "op": "=", "value": code}, one)
    by_text = st.just({"property": "code", "op": "regex", "value": "c[0-4]"})
    return st.one_of(by_code, by_list, by_colour, by_parent, by_text)


@st.composite
def parts(draw: st.DrawFn, codes: list[str], imports: list[str]) -> Json:
    """An include or exclude."""
    named = draw(st.lists(st.sampled_from(imports), max_size=2)) if imports else []
    part: Json = {"valueSet": named} if named else {}
    if not named or draw(st.booleans()):
        part["system"] = URL
        kind = draw(st.integers(0, 2))
        if kind == 1:
            part["concept"] = [{"code": code} for code in draw(st.lists(st.sampled_from([*codes, "x"]), min_size=1))]
        elif kind == 2:
            part["filter"] = draw(st.lists(filters(codes), min_size=1, max_size=2))
    return part


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Json, Oracle, list[Json]]:
    """A system and value sets over it, each of which imports only those after it."""
    system, oracle = draw(systems())
    codes = list(oracle.parents)
    value_sets = []
    for place, url in enumerate(SETS):
        part = parts(codes, SETS[place + 1 :])
        compose: Json = {"include": draw(st.lists(part, min_size=1, max_size=3))}
        excluded = draw(st.lists(part, max_size=2))
        if excluded:
            compose["exclude"] = excluded
        if draw(st.booleans()):
            compose["inactive"] = draw(st.booleans())
        value_sets.append({"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose})
    return system, oracle, value_sets


def meaning(oracle: Oracle, value_sets: dict[str, Json], value_set: Json) -> set[str]:
    """The codes of a value set, straight from the words of the standard."""
    compose = value_set["compose"]
    found: set[str] = set()
    for part in compose["include"]:
        found |= _part(oracle, value_sets, part)
    for part in compose.get("exclude", ()):
        found -= _part(oracle, value_sets, part)
    if compose.get("inactive") is False:
        found = {code for code in found if f"{code} inactive" not in oracle.colours}
    return found


def _part(oracle: Oracle, value_sets: dict[str, Json], part: Json) -> set[str]:
    every = set(oracle.parents)
    found = every
    if "concept" in part:
        found = {item["code"] for item in part["concept"]} & every
    for rule in part.get("filter", ()):
        found = found & {code for code in every if passes(oracle, rule, code)}
    for url in part.get("valueSet", ()):
        found = found & meaning(oracle, value_sets, value_sets[url])
    return found


def passes(oracle: Oracle, rule: Json, code: str) -> bool:
    """Whether one code passes one filter."""
    name, op, value = rule["property"], rule["op"], rule["value"]
    within = {code, *oracle.above(code)}
    if name == "concept":
        answers: dict[str, bool] = {
            "is-a": value in within,
            "descendent-of": value in within - {code},
            "is-not-a": value not in within,
            "generalizes": code == value or code in (oracle.above(value) if value in oracle.parents else ()),
            "=": code == value,
            "in": code in value.split(","),
            "not-in": code not in value.split(","),
        }
        return answers[op]
    if name == "colour":
        return bool(oracle.colours[code]) if op == "exists" else oracle.colours[code] == value
    if name == "parent":
        return value in oracle.parents[code]
    return code in CODES[:5]
