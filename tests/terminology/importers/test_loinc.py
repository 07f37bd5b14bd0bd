"""LOINC's release. The terms are invented."""

from pathlib import Path

import pytest

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.loinc_tables import coded
from tests.terminology.importers.reading import archive, properties, read, table

FILES = {
    "Loinc_2.99/LoincTable/Loinc.csv": (
        '"LOINC_NUM","COMPONENT","PROPERTY","TIME_ASPCT","SYSTEM","SCALE_TYP","METHOD_TYP","CLASS","STATUS","SHORTNAME",'
        '"LONG_COMMON_NAME","DefinitionDescription","EXAMPLE_UCUM_UNITS","EXTERNAL_COPYRIGHT_NOTICE","AssociatedObservations"\r\n'
        '"1-8","Sugarine","MCnc","Pt","Bld","Qn","","CHEM","ACTIVE","Sugarine Bld","Sugarine [Mass/volume] in Blood",'
        '"Made up,\nfor tests.","mg/dL","","2-6; 9-9"\r\n'
        '"2-6","Mood","Find","Pt","^Patient","Ord","","SURVEY","DEPRECATED","","Mood of the tester","","","(c) Somebody",""\r\n'
        '"3-4","too","short"\r\n'
    ),
    "Loinc_2.99/AccessoryFiles/PartFile/Part.csv": table(
        "PartNumber|PartTypeName|PartName|PartDisplayName|Status", "LP1-1|COMPONENT|Sugarine|Sugarine (made up)|ACTIVE", by=","
    ),
    "Loinc_2.99/AccessoryFiles/PartFile/LoincPartLink_Primary.csv": table(
        "LoincNumber|LongCommonName|PartNumber|PartName|PartCodeSystem|PartTypeName|LinkTypeName|Property",
        "1-8|x|LP1-1|Sugarine|http://loinc.org|COMPONENT|Primary|http://loinc.org/property/COMPONENT",
        "2-6|x|LP5-5|Ord|http://loinc.org|SCALE|Primary|", by=",",
    ),
    "Loinc_2.99/AccessoryFiles/PartFile/LoincPartLink_Supplementary.csv": table(
        "LoincNumber|LongCommonName|PartNumber|PartName|PartCodeSystem|PartTypeName|LinkTypeName|Property",
        "1-8|x|LP1-1|Sugarine|http://loinc.org|COMPONENT|DetailedModel|http://loinc.org/property/analyte",
        "1-8|x|LP7-7|Chemistry|http://loinc.org|CLASS|Metadata|http://loinc.org/property/CLASS",
        "1-8|x|LP7-7|Chemistry|http://loinc.org|CLASS|Metadata|http://loinc.org/property/category",
        "1-8|x|LP8-8|Sweets|http://loinc.org|CLASS|Metadata|http://loinc.org/property/category", by=",",
    ),
    "Loinc_2.99/LoincTable/MapTo.csv": table("LOINC|MAP_TO|COMMENT", "2-6|1-8|", by=","),
    "Loinc_2.99/AccessoryFiles/ConsumerName/ConsumerName.csv": table("LoincNumber|ConsumerName", "1-8|Sugar in blood", by=","),
    "Loinc_2.99/AccessoryFiles/AnswerFile/AnswerList.csv": table(
        "AnswerListId|AnswerListName|AnswerStringId|SequenceNumber|DisplayText",
        "LL1-0|Moods|LA1-1|1|Cheerful", "LL1-0|Moods|LA2-9|2|Grumpy", by=",",
    ),
    "Loinc_2.99/AccessoryFiles/AnswerFile/LoincAnswerListLink.csv": table(
        "LoincNumber|LongCommonName|AnswerListId", "2-6|Mood|LL1-0", by=","
    ),
    "Loinc_2.99/AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv": table(
        "PATH_TO_ROOT|SEQUENCE|IMMEDIATE_PARENT|CODE|CODE_TEXT",
        "|1||LP9-9|Everything", "LP9-9|1|LP9-9|LP1-1|Sugarine", "LP9-9.LP1-1|1|LP1-1|1-8|Sugarine Bld", by=",",
    ),
    "Loinc_2.99/AccessoryFiles/LinguisticVariants/frFR18LinguisticVariant.csv": table(
        "LOINC_NUM|COMPONENT|LONG_COMMON_NAME|LinguisticVariantDisplayName", "1-8|Sucrine|Sucrine sanguine|", by=","
    ),
}  # fmt: skip


def test_a_release(tmp_path: Path) -> None:
    content, concepts, report = read("loinc", archive(tmp_path / "Loinc.zip", FILES))
    assert (content.url, content.version) == ("http://loinc.org", "2.99")
    assert "Regenstrief" in content.described["copyright"]
    sugar = concepts["1-8"]
    assert sugar.display == "Sugarine [Mass/volume] in Blood"
    assert sugar.definition == "Made up,\nfor tests."
    assert list(sugar.parents) == ["LP1-1"]
    said = properties(sugar)
    assert said["COMPONENT"] == [{"system": "http://loinc.org", "code": "LP1-1", "display": "Sugarine"}]
    assert (said["SYSTEM"], said["STATUS"], said["EXAMPLE_UCUM_UNITS"]) == ([{"display": "Bld"}], ["ACTIVE"], ["mg/dL"])
    assert said["category"] == [coded("LP7-7", "Chemistry"), coded("LP8-8", "Sweets")]
    assert (said["CLASS"], said["analyte"]) == ([coded("LP7-7", "Chemistry")], [coded("LP1-1", "Sugarine")])
    assert said["AssociatedObservations"] == [coded("2-6"), coded("9-9")]
    assert {"CLASS", "category", "analyte", "answer-list", "MAP_TO"} <= {n for n, kind in content.properties.items() if kind == "Coding"}
    assert ("Sugar in blood", "ConsumerName") in [(d["value"], d["use"]["code"]) for d in sugar.designations]
    assert {("SYSTEM", "Bld"), ("CLASS", "CHEM"), ("CLASS", "Chemistry"), ("copyright", "LOINC")} <= set(sugar.found_by)
    assert not content.case_sensitive
    assert ("fr-FR", "Sucrine sanguine") in [(d["language"], d["value"]) for d in sugar.designations]
    assert concepts["2-6"].inactive
    mood = properties(concepts["2-6"])
    assert (mood["answer-list"], mood["MAP_TO"]) == ([coded("LL1-0", "Moods")], [coded("1-8")])
    assert mood["SCALE_TYP"] == [coded("LP5-5", "Ord")], "a link of an older release names no property"
    assert ("copyright", "3rdParty") in concepts["2-6"].found_by
    assert properties(concepts["LL1-0"]) == {"answer": ["LA1-1", "LA2-9"], "answers-for": [coded("2-6")]}
    assert (concepts["LA2-9"].display, properties(concepts["LA2-9"])) == ("Grumpy", {"LIST": ["LL1-0"]})
    assert (concepts["LP1-1"].display, list(concepts["LP1-1"].parents)) == ("Sugarine (made up)", ["LP9-9"])
    assert concepts["LP9-9"].display == "Everything"
    assert report.refused == 1


def test_the_table_alone_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "Loinc.csv"
    file.write_text(FILES["Loinc_2.99/LoincTable/Loinc.csv"], newline="")
    content, concepts, _ = read("loinc", file, version="3.0")
    assert (content.version, properties(concepts["1-8"])["COMPONENT"]) == ("3.0", [{"display": "Sugarine"}])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a/Part.csv": "x"}, "no file for the terms"),
        ({"Loinc.csv": "LOINC_NUM,COMPONENT\r\n"}, "no column LONG_COMMON_NAME, STATUS"),
        ({"Loinc.csv": "LOINC_NUM,COMPONENT,LONG_COMMON_NAME,STATUS\r\n"}, "which release"),
    ],
)
def test_other_files_are_refused_with_what_is_needed(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(Unprocessable, match=said):
        _ = read("loinc", archive(tmp_path / "x.zip", files), **({} if "release" in said else {"version": "1"}))
