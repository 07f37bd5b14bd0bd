"""Which element an entry is about: data types are unfolded, content references followed, choices named short.

https://hl7.org/fhir/R4/profiling.html#snapshot, https://hl7.org/fhir/R4/elementdefinition.html#id
"""

import pytest

from fhir_server.conformance import base_definitions
from tests.conformance.snapshots.profiles import CORE, HERE, Element, made, profile, refused


def test_a_data_type_is_unfolded_where_something_is_said_about_its_elements() -> None:
    elements = made({"path": "Patient.name.given", "min": 1})
    assert elements["Patient.name.given"]["min"] == 1
    assert elements["Patient.name.given"]["base"]["path"] == "HumanName.given"
    assert elements["Patient.name.period"]["type"] == [{"code": "Period"}]
    assert not any(id_.startswith(("Patient.address.", "Patient.name.period.")) for id_ in elements)
    order = list(elements)
    assert order.index("Patient.name") < order.index("Patient.name.given") < order.index("Patient.telecom")


def test_unfolding_goes_as_deep_as_the_entries() -> None:
    elements = made({"path": "Patient.identifier.assigner.identifier.period.start", "min": 1})
    assert elements["Patient.identifier.assigner.identifier.period.start"]["min"] == 1


def test_an_element_of_a_primitive_is_reached() -> None:
    assert made({"path": "Patient.birthDate.extension", "max": "0"})["Patient.birthDate.extension"]["max"] == "0"


def test_a_content_reference_takes_the_elements_that_it_names() -> None:
    elements = made({"path": "Questionnaire.item.item.item.linkId", "max": "1", "short": "third"})
    assert elements["Questionnaire.item.item.item.linkId"]["short"] == "third"
    assert "contentReference" not in elements["Questionnaire.item.item"]
    assert elements["Questionnaire.item.item.item.item"]["contentReference"] == "#Questionnaire.item"
    ranges = made({"path": "Observation.component.referenceRange.low", "min": 1})
    assert ranges["Observation.component.referenceRange.low"]["min"] == 1
    assert ranges["Observation.referenceRange.low"]["min"] == 0


def test_a_profile_of_the_type_is_what_is_unfolded() -> None:
    card = profile({"path": "Identifier.system", "min": 1}, name="card")
    elements = made(
        {"path": "Patient.identifier", "type": [{"code": "Identifier", "profile": [card["url"]]}]},
        {"path": "Patient.identifier.value", "min": 1},
        known=[card],
    )
    assert (elements["Patient.identifier.system"]["min"], elements["Patient.identifier.value"]["min"]) == (1, 1)


def test_a_choice_named_by_one_of_its_types_is_narrowed_to_it() -> None:
    for entry in ({"path": "Observation.valueQuantity.code"}, {"path": "Observation.valueQuantity.code", "id": ""}):
        elements = made({**entry, "min": 1})
        choice = elements["Observation.value[x]"]
        assert [type_["code"] for type_ in choice["type"]] == ["Quantity"]
        assert choice["slicing"]["discriminator"] == [{"type": "type", "path": "$this"}]
        assert choice["slicing"]["rules"] == "closed"
        assert elements["Observation.value[x]:valueQuantity"]["sliceName"] == "valueQuantity"
        assert elements["Observation.value[x]:valueQuantity.code"]["path"] == "Observation.value[x].code"
        assert elements["Observation.value[x]:valueQuantity.code"]["min"] == 1


def test_a_choice_named_by_several_of_its_types_is_narrowed_to_them() -> None:
    elements = made({"path": "Observation.valueQuantity", "short": "q"}, {"path": "Observation.valueString", "short": "s"})
    choice = elements["Observation.value[x]"]
    assert [type_["code"] for type_ in choice["type"]] == ["Quantity", "string"]
    assert choice["slicing"]["rules"] == "closed"
    assert elements["Observation.value[x]:valueString"]["short"] == "s"


def test_a_choice_that_is_sliced_already_is_not_narrowed_by_a_short_path() -> None:
    by_type = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}
    elements = made(
        {"path": "Observation.value[x]", "slicing": by_type}, {"path": "Observation.valueQuantity", "min": 1}
    )
    assert len(elements["Observation.value[x]"]["type"]) == 11
    assert elements["Observation.value[x]"]["slicing"] == by_type
    assert elements["Observation.value[x]:valueQuantity"]["min"] == 1


def test_a_slice_by_type_needs_no_entry_of_its_own() -> None:
    elements = made({"id": "Observation.value[x]:valueQuantity.code", "path": "Observation.value[x].code", "min": 1})
    assert len(elements["Observation.value[x]"]["type"]) == 11
    assert elements["Observation.value[x]"]["slicing"]["rules"] == "open"
    assert elements["Observation.value[x]:valueQuantity"]["type"] == [{"code": "Quantity"}]
    assert elements["Observation.value[x]:valueQuantity.code"]["min"] == 1


def test_a_choice_of_several_types_has_what_every_element_has() -> None:
    assert made({"path": "Observation.value[x].extension", "max": "0"})["Observation.value[x].extension"]["max"] == "0"
    [(_, text)] = refused({"path": "Observation.value[x].code", "min": 1})
    assert "there is no code here; there are id, extension" in text


UNREACHABLE: dict[str, tuple[list[Element], int, str]] = {
    "no such element": ([{"path": "Patient.nickname"}], 0, "there is no nickname here; there are id, meta"),
    "no such element of a type": ([{"path": "Patient.name.first"}], 0, "there is no first here"),
    "a type that the choice lacks": ([{"path": "Patient.deceasedQuantity"}], 0, "there is no deceasedQuantity"),
    "below a value": ([{"path": "Patient.gender.value.more"}], 0, "there is no more here"),
    "another resource": ([{"path": "Patient"}, {"path": "Group.name"}], 1, "paths begin with the type, Patient"),
    "twice": ([{"path": "Patient.name"}, {"path": "Patient.name"}], 1, "about this element twice"),
    "against the order": (
        [{"path": "Patient.birthDate"}, {"path": "Patient.name"}], 1, "comes later in the base: keep the base's order",
    ),
    "against the order within": (
        [{"path": "Patient.name.given"}, {"path": "Patient.name.family"}], 1, "keep the base's order",
    ),
    "after its children": ([{"path": "Patient.name.given"}, {"path": "Patient.name"}], 1, "behind its own children"),
    "an unknown profile of the type": (
        [
            {"path": "Patient.name", "type": [{"code": "HumanName", "profile": [HERE + "gone"]}]},
            {"path": "Patient.name.given"},
        ],
        1, "gone is not known here: store it first",
    ),
    "an id and a sliceName that differ": (
        [{"id": "Patient.name:a", "path": "Patient.name", "sliceName": "b"}], 0, "write one name",
    ),
    "no path": ([{"path": "Patient"}, {"min": 1}], 1, "An entry has a path"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREACHABLE)
def test_an_entry_that_belongs_nowhere_is_refused(case: str) -> None:
    elements, index, words = UNREACHABLE[case]
    found = refused(*elements)
    assert [at for at, _ in found] == [index]
    assert words in found[0][1]


def test_ids_and_paths_say_the_same() -> None:
    by_path = made(
        {"path": "Patient.contact", "slicing": {"rules": "open", "discriminator": [{"type": "value", "path": "gender"}]}},
        {"path": "Patient.contact", "sliceName": "mother"},
        {"path": "Patient.contact.name", "min": 1},
        {"path": "Patient.contact.name.given", "min": 2},
    )
    by_id = made(
        {"id": "Patient.contact", "path": "Patient.contact",
         "slicing": {"rules": "open", "discriminator": [{"type": "value", "path": "gender"}]}},
        {"id": "Patient.contact:mother", "path": "Patient.contact", "sliceName": "mother"},
        {"id": "Patient.contact:mother.name", "path": "Patient.contact.name", "min": 1},
        {"id": "Patient.contact:mother.name.given", "path": "Patient.contact.name.given", "min": 2},
    )  # fmt: skip
    assert by_path == by_id
    assert by_path["Patient.contact:mother.name.given"]["min"] == 2
    assert by_path["Patient.contact.name"]["min"] == 0


def test_an_id_that_says_nothing_about_the_path_is_not_needed() -> None:
    assert made({"id": "e1", "path": "Patient.name", "min": 1})["Patient.name"]["min"] == 1


@pytest.mark.parametrize("type_", ["Patient", "Observation", "Extension", "Quantity", "Bundle", "Questionnaire"])
def test_without_entries_it_is_the_base(type_: str) -> None:
    base = base_definitions.find("StructureDefinition", CORE + type_)
    assert base is not None
    assert list(made(type_=type_).values()) == base["snapshot"]["element"]


def test_a_name_behind_the_root_is_no_slice() -> None:
    """As older tools write the ids of extensions."""
    url = {"id": "Extension:birthsex.url", "path": "Extension.url", "fixedUri": "urn:birthsex"}
    found = made({"id": "Extension:birthsex", "path": "Extension", "max": "1"}, url, type_="Extension")
    assert found["Extension.url"]["fixedUri"] == "urn:birthsex" and found["Extension"]["max"] == "1"
