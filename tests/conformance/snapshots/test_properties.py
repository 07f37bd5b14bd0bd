"""Whatever a differential says: what comes of it never allows more than its base, and is a base like any other."""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from fhir_server.conformance import base_definitions
from fhir_server.conformance.element_merge import most
from fhir_server.conformance.element_types import type_code
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import Unprocessable
from tests.conformance.snapshots.profiles import CORE, Element, Known, profile

_TYPES = ("Patient", "Observation")
_STRENGTHS = ("example", "preferred", "extensible", "required")


def snapshot(type_: str) -> list[Element]:
    found = base_definitions.find("StructureDefinition", CORE + type_)
    assert found is not None
    elements: list[Element] = found["snapshot"]["element"]
    return elements


_FACTS: dict[str, st.SearchStrategy[Any]] = {
    "min": st.integers(0, 2),
    "max": st.sampled_from(["*", "2", "1", "0"]),
    "mustSupport": st.booleans(),
    "maxLength": st.integers(1, 9),
    "short": st.text(max_size=5),
    "binding": st.fixed_dictionaries({"strength": st.sampled_from(_STRENGTHS), "valueSet": st.just("http://v")}),
    "slicing": st.sampled_from(["open", "closed"]).map(
        lambda rules: {"discriminator": [{"type": "value", "path": "$this"}], "rules": rules}
    ),
}


@st.composite
def differentials(draw: st.DrawFn, type_: str = "") -> tuple[str, list[Element]]:
    """Entries about elements of a type, of its data types and of slices; some in the wrong order, some wider."""
    type_ = type_ or draw(st.sampled_from(_TYPES))
    elements = snapshot(type_)[9:17]
    paths = [p for e in elements for p in (e["path"], f"{e['path']}.extension", f"{e['path']}.coding")]
    entries: list[Element] = []
    chosen = draw(st.lists(st.integers(0, len(paths) - 1), min_size=3, max_size=9))
    for number in sorted(chosen) if draw(st.integers(0, 4)) else chosen:
        names = draw(st.lists(st.sampled_from(sorted(_FACTS)), min_size=1, max_size=3, unique=True))
        entry: Element = {"path": paths[number], **{name: draw(_FACTS[name]) for name in names}}
        if any("slicing" in other and other["path"] == entry["path"] for other in entries):
            entry["sliceName"] = draw(st.sampled_from("ab"))
        types = elements[number // 3].get("type", [])
        if not number % 3 and draw(st.booleans()):
            entry["type"] = draw(st.lists(st.sampled_from([*types, {"code": "Quantity"}]), min_size=1, max_size=2))
        entries.append(entry)
    return type_, entries


def accepted(type_: str, entries: Sequence[Element], base: str = "", known: Any = None) -> list[Element] | None:
    """The snapshot; None when the differential is refused, which is the only other thing that may happen."""
    try:
        return snapshot_of(profile(*entries, type_=type_, base=base, name=f"x{bool(base)}"), known or Known())
    except Unprocessable:
        return None


def narrow_entries(type_: str, entries: Sequence[Element], base: str = "", known: Any = None) -> list[Element]:
    """Those that are accepted one after the other, so that most examples say something."""
    kept: list[Element] = []
    for entry in entries:
        if accepted(type_, [*kept, entry], base, known) is not None:
            kept.append(entry)
    return kept


def narrower(element: Element, held: Element) -> bool:
    """Whether an element allows no more than another one."""
    strengths = [_STRENGTHS.index(e.get("binding", {}).get("strength", "example")) for e in (element, held)]
    codes = {type_code(t) for t in element.get("type", ())}
    return (
        element["min"] >= held["min"]
        and most(element["max"]) <= most(held["max"])
        and {c["key"] for c in element.get("constraint", ())} >= {c["key"] for c in held.get("constraint", ())}
        and (codes <= {type_code(t) for t in held.get("type", ())} or held["type"][0]["code"] == "Resource")
        and strengths[0] >= strengths[1]
        and bool(element.get("mustSupport")) >= bool(held.get("mustSupport"))
        and element.get("maxLength", 0) <= held.get("maxLength", 9)
        and element["base"] == held["base"]
    )


@settings(max_examples=80)
@given(differentials(), st.data())
def test_nothing_is_wider_than_the_base(drawn: tuple[str, list[Element]], data: st.DataObject) -> None:
    type_, entries = drawn
    first = profile(*narrow_entries(type_, entries), type_=type_, name="first")
    known = Known(first)
    base = snapshot_of(first, known)
    more = narrow_entries(type_, data.draw(differentials(type_))[1], first["url"], known)
    second = accepted(type_, more, first["url"], known)
    assert second is not None
    for made, held in ((base, snapshot(type_)), (second, base)):
        by_id = {element["id"]: element for element in made}
        assert by_id.keys() >= {element["id"] for element in held}
        assert [element["id"] for element in held if not narrower(by_id[element["id"]], element)] == []


@settings(max_examples=50)
@given(differentials())
def test_ids_are_unique_and_say_where_an_element_stands(drawn: tuple[str, list[Element]]) -> None:
    type_, entries = drawn
    made = accepted(type_, narrow_entries(type_, entries)) or []
    ids = [element["id"] for element in made]
    assert len(ids) == len(set(ids))
    for element in made:
        names = [part.partition(":")[0] for part in element["id"].split(".")]
        assert ".".join(names) == element["path"]
        assert element["id"].rpartition(".")[0] in {"", *ids}


@settings(max_examples=50)
@given(differentials())
def test_a_profile_that_adds_nothing_is_its_base(drawn: tuple[str, list[Element]]) -> None:
    type_, entries = drawn
    first = profile(*narrow_entries(type_, entries), type_=type_, name="first")
    made = snapshot_of(first, Known())
    for base in (first, {**first, "snapshot": {"element": made}}):
        assert accepted(type_, [], base=base["url"], known=Known(base)) == made
    # Said again as a differential, the whole snapshot is the same.
    whole = [{k: v for k, v in element.items() if k not in ("slicing", "base")} for element in made]
    again = accepted(type_, whole, base=first["url"], known=Known(first))
    assert again == made


@settings(max_examples=50)
@given(differentials())
def test_the_base_is_left_as_it_was(drawn: tuple[str, list[Element]]) -> None:
    type_, entries = drawn
    before = repr(snapshot(type_))
    accepted(type_, entries)
    accepted(type_, narrow_entries(type_, entries))
    assert repr(snapshot(type_)) == before
