"""Slices in snapshots. https://hl7.org/fhir/R4/profiling.html#slicing"""

import pytest

from tests.conformance.snapshots.profiles import HERE, OPEN, Element, made, profile, refused

NAMES: tuple[Element, ...] = (
    {"path": "Patient.name", "slicing": OPEN, "min": 1, "mustSupport": True},
    {"path": "Patient.name", "sliceName": "official", "min": 1, "max": "1"},
    {"path": "Patient.name.use", "min": 1, "fixedCode": "official"},
    {"path": "Patient.name.family", "min": 1},
    {"path": "Patient.name", "sliceName": "maiden", "max": "1"},
    {"path": "Patient.name.use", "fixedCode": "maiden"},
)
STANDARD = profile(*NAMES, name="standard")


def derived(*elements: Element) -> dict[str, Element]:
    return made(*elements, known=[STANDARD], base=STANDARD["url"])


def test_a_slice_is_what_the_element_is_and_not_yet_required() -> None:
    elements = made(*NAMES)
    assert (elements["Patient.name"]["min"], elements["Patient.name"]["slicing"]) == (1, OPEN)
    maiden = elements["Patient.name:maiden"]
    assert (maiden["min"], maiden["max"], maiden["mustSupport"]) == (0, "1", True)
    assert maiden["base"] == {"path": "Patient.name", "min": 0, "max": "*"}
    assert "slicing" not in maiden
    assert elements["Patient.name:official.use"]["fixedCode"] == "official"
    assert elements["Patient.name:maiden.family"]["min"] == 0
    assert "Patient.name.use" not in elements


def test_slices_follow_their_element_each_with_its_children() -> None:
    order = [id_ for id_ in made(*NAMES) if id_.startswith("Patient.name") and id_.count(".") == 1]
    assert order == ["Patient.name", "Patient.name:official", "Patient.name:maiden"]


def test_slices_inherit_what_is_said_about_the_element_before_them() -> None:
    elements = made(
        {"path": "Patient.name", "slicing": OPEN},
        {"path": "Patient.name.family", "min": 1},
        {"path": "Patient.name", "sliceName": "official"},
    )
    assert elements["Patient.name:official.family"]["min"] == 1


def test_a_profile_goes_on_with_the_slices_of_its_base() -> None:
    elements = derived(
        {"id": "Patient.name:official.given", "path": "Patient.name.given", "min": 1},
        {"id": "Patient.name:usual", "path": "Patient.name", "sliceName": "usual"},
    )
    assert elements["Patient.name:official.given"]["min"] == 1
    assert elements["Patient.name:official.family"]["min"] == 1
    assert list(elements).index("Patient.name:usual") > list(elements).index("Patient.name:maiden")


def test_a_slice_is_sliced_again() -> None:
    elements = derived(
        {"id": "Patient.name:official", "path": "Patient.name", "sliceName": "official", "slicing": OPEN},
        {"id": "Patient.name:official/card", "path": "Patient.name", "sliceName": "official/card", "max": "1"},
        {"id": "Patient.name:official/card.text", "path": "Patient.name.text", "min": 1},
    )
    card = elements["Patient.name:official/card"]
    assert (card["min"], card["sliceName"]) == (0, "official/card")
    assert elements["Patient.name:official/card.family"]["min"] == 1
    assert elements["Patient.name:official/card.text"]["min"] == 1
    order = list(elements)
    assert order.index("Patient.name:official.use") < order.index("Patient.name:official/card")
    assert order.index("Patient.name:official/card.text") < order.index("Patient.name:maiden")


def test_extensions_are_sliced_by_url_unless_otherwise_said() -> None:
    wait = profile({"path": "Extension", "short": "How long", "definition": "Minutes."}, name="wait")
    elements = made(
        {"path": "Patient.extension", "sliceName": "wait", "max": "1",
         "type": [{"code": "Extension", "profile": [wait["url"]]}]},
        known=[wait],
    )  # fmt: skip
    assert elements["Patient.extension"]["slicing"]["discriminator"] == [{"type": "value", "path": "url"}]
    held = elements["Patient.extension:wait"]
    assert (held["short"], held["definition"], held["type"][0]["profile"]) == ("How long", "Minutes.", [wait["url"]])
    assert "Patient.extension:wait.value[x]" not in elements


def test_an_extension_that_has_itself_among_its_parts_is_no_circle() -> None:
    tree = profile(
        {"path": "Extension"},
        {"path": "Extension.extension", "sliceName": "branch",
         "type": [{"code": "Extension", "profile": [HERE + "tree"]}]},
        name="tree",
    )  # fmt: skip
    elements = made(*tree["differential"]["element"], known=[tree], name="tree")
    assert elements["Extension.extension:branch"]["type"][0]["profile"] == [HERE + "tree"]


def test_an_extension_made_of_another_has_its_own_url() -> None:
    wait = profile({"path": "Extension.url", "fixedUri": HERE + "wait"}, name="wait")
    how: dict[str, str] = {"base": wait["url"], "name": "long-wait"}
    own = made({"path": "Extension.url", "fixedUri": HERE + "long-wait"}, known=[wait], **how)
    assert own["Extension.url"]["fixedUri"] == HERE + "long-wait"
    [(_, text)] = refused({"path": "Extension.url", "fixedUri": HERE + "third"}, known=[wait], **how)
    assert "fixedUri is given by the base" in text


def test_an_extension_is_unfolded_where_something_is_said_about_its_value() -> None:
    wait = profile({"path": "Extension.value[x]", "type": [{"code": "Duration"}]}, name="wait")
    elements = made(
        {"path": "Patient.extension", "sliceName": "wait", "type": [{"code": "Extension", "profile": [wait["url"]]}]},
        {"path": "Patient.extension.value[x]", "min": 1},
        known=[wait],
    )
    value = elements["Patient.extension:wait.value[x]"]
    assert (value["min"], value["type"]) == (1, [{"code": "Duration"}])


def test_slices_within_slices() -> None:
    codes = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
    by_code = {"discriminator": [{"type": "pattern", "path": "code"}], "rules": "open"}
    elements = made(
        {"id": "Observation.component", "path": "Observation.component", "slicing": by_code},
        {"id": "Observation.component:sys", "path": "Observation.component", "sliceName": "sys", "min": 1},
        {"id": "Observation.component:sys.code.coding", "path": "Observation.component.code.coding", "slicing": codes},
        {"id": "Observation.component:sys.code.coding:loinc", "path": "Observation.component.code.coding",
         "sliceName": "loinc", "min": 1},
        {"id": "Observation.component:sys.code.coding:loinc.code", "path": "Observation.component.code.coding.code",
         "fixedCode": "8480-6"},
    )  # fmt: skip
    assert elements["Observation.component:sys.code.coding:loinc.code"]["fixedCode"] == "8480-6"
    assert "Observation.component.code.coding" not in elements
    assert elements["Observation.component:sys.value[x]"]["min"] == 0


REFUSED: dict[str, tuple[list[Element], str]] = {
    "sliced by nothing": ([{"path": "Patient.name", "sliceName": "official"}], "is not sliced: say by what"),
    "an element of a slice that is not there": (
        [{"path": "Patient.name", "slicing": OPEN},
         {"id": "Patient.name:x.family", "path": "Patient.name.family", "min": 1}], "there is no slice x",
    ),
    "again below a slice that is not there": (
        [{"path": "Patient.name", "slicing": OPEN}, {"path": "Patient.name", "sliceName": "x/y"}],
        "there is no slice x that could be sliced again",
    ),
    "a slice of the base that is not there": (
        [{"path": "Patient.name", "slicing": OPEN},
         {"path": "Patient.name", "sliceName": "x", "sliceIsConstraining": True}], "the base has no slice x",
    ),
    "more than the element": (
        [{"path": "Patient.name", "slicing": OPEN, "max": "2"}, {"path": "Patient.name", "sliceName": "x", "max": "3"}],
        "max 3 is more than the base's 2",
    ),
    "a type that the choice lacks": (
        [{"id": "Patient.deceased[x]:deceasedQuantity", "path": "Patient.deceased[x]", "sliceName": "deceasedQuantity",
          "type": [{"code": "Quantity"}]}], "Quantity is not one of the base's",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_slices_that_cannot_be(case: str) -> None:
    elements, words = REFUSED[case]
    found = refused(*elements)
    assert len(found) == 1
    assert words in found[0][1]


CLOSED = profile(
    {"path": "Patient.name", "slicing": {**OPEN, "rules": "closed", "ordered": True}},
    {"path": "Patient.name", "sliceName": "official"},
    name="closed",
)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ([{"path": "Patient.name", "sliceName": "x"}], "the slicing is closed in the base"),
        ([{"path": "Patient.name", "slicing": {"rules": "open"}}], "closed in the base and cannot become open"),
        ([{"path": "Patient.name", "slicing": {"rules": "closed", "ordered": False}}], "ordered in the base"),
        ([{"path": "Patient.name", "sliceName": "official", "sliceIsConstraining": False}], "a slice official already"),
    ],
)
def test_a_slicing_only_narrows(elements: list[Element], words: str) -> None:
    found = refused(*elements, known=[CLOSED], base=CLOSED["url"])
    assert len(found) == 1
    assert words in found[0][1]


def test_discriminators_are_added_to() -> None:
    more = {"discriminator": [{"type": "exists", "path": "period"}], "rules": "openAtEnd"}
    slicing = derived({"path": "Patient.name", "slicing": more})["Patient.name"]["slicing"]
    assert slicing == {"discriminator": [*OPEN["discriminator"], *more["discriminator"]], "rules": "openAtEnd"}
