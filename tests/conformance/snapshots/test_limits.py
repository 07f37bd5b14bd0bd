"""Definitions that would cost too much, or never end, are refused at once."""

from typing import Any

import pytest

from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import Unprocessable
from tests.conformance.counted import calls
from tests.conformance.snapshots.profiles import HERE, OPEN, Definition, Element, Known, profile

# In calls of functions: about a fifth of a second.
MOST_WORK = 1_200_000
SLICED = {"path": "Patient.identifier", "slicing": OPEN}


def slices(count: int) -> list[Element]:
    """Slices, each with an element of an element."""
    found: list[Element] = [SLICED]
    for number in range(count):
        name = f"s{number}"
        found.append({"id": f"Patient.identifier:{name}", "path": "Patient.identifier", "sliceName": name})
        path = "Patient.identifier.assigner.identifier.period.start"
        found.append({"id": path.replace("identifier.a", f"identifier:{name}.a"), "path": path, "min": 1})
    return found


def chain(length: int) -> list[Definition]:
    return [
        profile({"path": "Patient.name", "min": 0}, name=f"p{n}", base=f"{HERE}p{n + 1}") for n in range(length)
    ]


HOSTILE: dict[str, tuple[list[Element], str]] = {
    "many entries": ([{"path": "Patient.name"}] * 100_000, "at most 5000 elements, not 100000"),
    "many slices": (slices(2400), "more than 20000 elements"),
    "a deep path": ([{"path": "Questionnaire" + ".item" * 60}], "at most 40 names"),
    "a long path": ([{"path": "Patient." + "x" * 100_000}], "500 letters"),
    "many times sliced again": ([SLICED, {**SLICED, "sliceName": "/".join("a" * 99)}], "again at most 40 times"),
    "nothing but mistakes": ([{"path": f"Patient.x{n}"} for n in range(4000)], "there is no x0"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_too_much_is_refused_soon(case: str) -> None:
    elements, words = HOSTILE[case]
    with pytest.raises(Unprocessable, match=words) as refused, calls() as counted:
        snapshot_of(profile(*elements), Known())
    assert 0 < counted() < MOST_WORK
    assert len(refused.value.issues) <= 50
    assert sum(len(issue.text) for issue in refused.value.issues) < 50_000


def test_a_chain_of_bases_ends() -> None:
    with pytest.raises(Unprocessable, match="More than 20 definitions"):
        snapshot_of(chain(1)[0], Known(*chain(3000)))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_bases_that_go_in_a_circle_are_named(length: int) -> None:
    ring = [
        profile({"path": "Patient.name"}, name=f"r{n}", base=f"{HERE}r{(n + 1) % length}") for n in range(length)
    ]
    with pytest.raises(Unprocessable, match="go in a circle: .*r0 needs .*r0") as refused:
        snapshot_of(ring[0], Known(*ring))
    assert refused.value.issues[0].expression == "StructureDefinition.baseDefinition"


def test_types_that_unfold_one_another_are_named() -> None:
    def within(name: str, other: str) -> Definition:
        type_ = [{"code": "Extension", "profile": [HERE + other]}]
        return profile(
            {"path": "Extension.extension", "sliceName": "x", "type": type_},
            {"path": "Extension.extension.value[x]", "max": "0"},
            name=name,
        )

    with pytest.raises(Unprocessable, match="go in a circle"):
        snapshot_of(within("a", "b"), Known(within("a", "b"), within("b", "a")))


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"baseDefinition": HERE + "gone"}, "baseDefinition", "is not known here: store it first"),
        ({"baseDefinition": None}, "baseDefinition", "A definition has a base"),
        ({"type": "Group"}, "type", "is of its base's type: Patient, not Group"),
    ],
)
def test_a_base_that_does_not_fit_is_refused(change: dict[str, Any], place: str, words: str) -> None:
    definition = {name: value for name, value in (profile() | change).items() if value is not None}
    with pytest.raises(Unprocessable, match=words) as refused:
        snapshot_of(definition, Known())
    assert refused.value.issues[0].expression == f"StructureDefinition.{place}"


@pytest.mark.parametrize("paths", [["Patient", "Patient.name.given"], ["Patient", "Patient" + ".x" * 2], ["Patient", ""]])
def test_a_base_whose_snapshot_is_not_in_order_is_refused(paths: list[str]) -> None:
    base = profile(name="base") | {"snapshot": {"element": [{"id": path, "path": path} for path in paths]}}
    with pytest.raises(Unprocessable, match="is not in order"):
        snapshot_of(profile({"path": "Patient.name"}, base=HERE + "base"), Known(base))


def test_a_definition_that_has_a_snapshot_keeps_it() -> None:
    elements = [{"id": "Patient", "path": "Patient", "min": 0, "max": "*"}]
    assert snapshot_of(profile() | {"snapshot": {"element": elements}}, Known()) == elements


def test_a_profile_as_large_as_us_core_takes_little() -> None:
    entries: list[Element] = [{"path": "Patient"}, {"path": "Patient.extension", "slicing": OPEN}]
    entries += [{"path": "Patient.extension", "sliceName": f"e{n}", "max": "1"} for n in range(4)]
    for name in ("identifier", "name", "telecom", "address"):
        entries.append({"path": f"Patient.{name}", "min": 1, "mustSupport": True})
    order = {"identifier": 0, "name": 1, "telecom": 2, "gender": 3, "birthDate": 4, "address": 5, "contact": 6}
    children = {
        "identifier": ("use", "type", "system", "value", "period", "assigner"),
        "name": ("use", "text", "family", "given", "prefix", "suffix", "period"),
        "telecom": ("system", "value", "use", "rank", "period"),
        "address": ("use", "type", "text", "line", "city", "district", "state", "postalCode", "country", "period"),
        "contact": ("relationship", "name", "telecom", "address", "gender", "organization", "period"),
    }
    said = sorted(entries[6:], key=lambda e: order[e["path"].partition(".")[2]])
    entries = entries[:6]
    for entry in [*said, {"path": "Patient.contact"}]:
        entries.append(entry)
        entries += [
            {"path": f"{entry['path']}.{child}", "mustSupport": True}
            for child in children[entry["path"].partition(".")[2]]
        ]
    definition, known = profile(*entries), Known()
    assert len(entries) > 45
    snapshot_of(definition, known)
    with calls() as counted:
        snapshot_of(definition, known)
    # Some 5 ms.
    assert 0 < counted() < 30_000
