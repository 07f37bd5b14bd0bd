"""SNOMED CT's release format 2. The concepts are invented."""

from pathlib import Path

import pytest

from fhir_server.core.errors import Unprocessable
from tests.terminology.importers.reading import archive, properties, read, release, table

FSN, SYNONYM, PREFERRED = "900000000000003001", "900000000000013009", "900000000000548007"
US, GB, ISA = "900000000000509007", "900000000000508004", "116680003"
_CONCEPT = "id|effectiveTime|active|moduleId|definitionStatusId"
_DESCRIPTION = "id|effectiveTime|active|moduleId|conceptId|languageCode|typeId|term|caseSignificanceId"
_RELATION = "id|effectiveTime|active|moduleId|sourceId|destinationId|relationshipGroup|typeId|characteristicTypeId|modifierId"
_REFSET = "id|effectiveTime|active|moduleId|refsetId|referencedComponentId"
FILES = {
    "Snapshot/Terminology/sct2_Concept_Snapshot_INT_20240101.txt": table(
        _CONCEPT,
        "138875005|20240101|1|77|900000000000074008",
        "1001|20240101|1|77|900000000000073002",
        "1002|20240101|1|77|900000000000074008",
        "1003|20230101|0|77|900000000000074008",
        "1004|20230101|1",
    ),
    "Snapshot/Terminology/sct2_Description_Snapshot-en_INT_20240101.txt": table(
        _DESCRIPTION,
        f"1|20240101|1|77|1001|en|{FSN}|Blue fever (disorder)|0",
        f"2|20240101|1|77|1001|en|{SYNONYM}|Azure pyrexia \"acute\"|0",
        f"3|20240101|1|77|1001|en|{SYNONYM}|Blue fever|0",
        f"4|20240101|0|77|1001|en|{SYNONYM}|Sky ailment|0",
        f"5|20240101|1|77|1002|en|{SYNONYM}|Colored thing|0",
        f"6|20240101|1|77|1002|en|{SYNONYM}|Coloured thing|0",
    ),
    "Snapshot/Terminology/sct2_Description_Snapshot-fr_INT_20240101.txt": table(
        _DESCRIPTION, f"9|20240101|1|77|1001|fr|{SYNONYM}|fièvre bleue|0"
    ),
    "Snapshot/Terminology/sct2_TextDefinition_Snapshot-en_INT_20240101.txt": table(
        _DESCRIPTION, "8|20240101|1|77|1001|en|900000000000550004|A fever that is blue.|0"
    ),
    "Snapshot/Terminology/sct2_Relationship_Snapshot_INT_20240101.txt": table(
        _RELATION,
        f"1|20240101|1|77|1001|138875005|0|{ISA}|0|0",
        f"2|20240101|1|77|1001|1002|0|{ISA}|0|0",
        f"3|20240101|0|77|1001|1003|0|{ISA}|0|0",
        "4|20240101|1|77|1001|1002|1|363698007|0|0",
        f"5|20240101|1|77|1002|138875005|0|{ISA}|0|0",
    ),
    "Snapshot/Terminology/sct2_RelationshipConcreteValues_Snapshot_INT_20240101.txt": table(
        "id|effectiveTime|active|moduleId|sourceId|value|relationshipGroup|typeId|characteristicTypeId|modifierId",
        "1|20240101|1|77|1002|#2.50|1|1142135004|0|0",
    ),
    "Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_INT_20240101.txt": table(
        f"{_REFSET}|acceptabilityId",
        f"a|20240101|1|77|{US}|3|{PREFERRED}",
        f"b|20240101|1|77|{US}|5|{PREFERRED}",
        f"c|20240101|1|77|{GB}|6|{PREFERRED}",
        f"d|20240101|1|77|{US}|2|900000000000549004",
    ),
    "Snapshot/Refset/Content/der2_Refset_SimpleSnapshot_INT_20240101.txt": table(
        _REFSET, "a|20240101|1|77|723264001|1002", "b|20240101|0|77|723264001|1001"
    ),
    "Snapshot/Refset/Content/der2_cRefset_AssociationSnapshot_INT_20240101.txt": table(
        f"{_REFSET}|targetComponentId",
        "a|20240101|1|77|900000000000526001|1003|1001", "b|20240101|1|77|900000000000527005|1003|1002",
        "c|20240101|0|77|900000000000526001|1003|1002", "d|20240101|1|77|123|1003|1002",
    ),
    "Snapshot/Refset/Metadata/der2_ssRefset_ModuleDependencySnapshot_INT_20240101.txt": table(
        f"{_REFSET}|sourceEffectiveTime|targetEffectiveTime", "a|20240101|1|77|900000000000534007|900000000000012004|x|y"
    ),
}  # fmt: skip


def test_a_snapshot(tmp_path: Path) -> None:
    content, concepts, report = read("snomed", release(tmp_path, FILES))
    assert (content.url, content.version) == ("http://snomed.info/sct", "http://snomed.info/sct/77/version/20240101")
    fever = concepts["1001"]
    assert fever.display == "Blue fever"
    assert list(fever.parents) == ["138875005", "1002"]
    assert fever.definition == "A fever that is blue."
    assert [(d["language"], d["value"], d["use"]["code"]) for d in fever.designations] == [
        ("en-US", "Blue fever", SYNONYM),
        ("en", 'Azure pyrexia "acute"', SYNONYM),
        ("fr", "fièvre bleue", SYNONYM),
        ("en", "Blue fever (disorder)", FSN),
    ]
    assert properties(fever) == {"sufficientlyDefined": [True], "moduleId": ["77"], "363698007": ["1002"]}
    assert properties(concepts["1002"])["refset"] == ["723264001"]
    assert str(properties(concepts["1002"])["1142135004"][0]) == "2.50"
    # Places in the properties, of which the first two are said of every concept.
    assert (fever.groups, concepts["1002"].groups, concepts["1003"].groups) == ([[2]], [[2]], [])
    assert concepts["1003"].inactive
    assert {name: value for name, value in properties(concepts["1003"]).items() if name in ("replacedBy", "sameAs")} == {
        "replacedBy": ["1001"], "sameAs": ["1002"]}  # fmt: skip
    assert content.properties["1142135004"] == "decimal"
    assert report.refused == 1
    assert "line 6: has 3 columns, not 5" in report.messages[0]


@pytest.mark.parametrize(
    ("language", "code", "display"),
    [
        ("fr", "1001", "fièvre bleue"), ("en-GB", "1002", "Coloured thing"), ("en", "1002", "Colored thing"),
        ("fr", "1002", "Colored thing"),
    ],
)  # fmt: skip
def test_displays_are_in_the_language_that_is_asked_for(tmp_path: Path, language: str, code: str, display: str) -> None:
    _, concepts, _ = read("snomed", release(tmp_path, FILES), language=language)
    assert concepts[code].display == display


def test_an_extension_beside_the_international_release_overrides_it(tmp_path: Path) -> None:
    later = {
        "Ext/sct2_Concept_Snapshot_XX_20240601.txt": table(_CONCEPT, "1002|20240601|0|88|900000000000074008"),
        "Ext/der2_ssRefset_ModuleDependencySnapshot_XX_20240601.txt": table(
            f"{_REFSET}|s|t", "z|20240601|1|88|900000000000534007|77|x|y"
        ),
    }
    content, concepts, report = read("snomed", archive(tmp_path / "release.zip", {**FILES, **later}))
    assert content.version == "http://snomed.info/sct/88/version/20240601"
    assert concepts["1002"].inactive
    assert not concepts["1001"].inactive
    assert report.refused == 2  # the short line, which is met twice


def test_other_files_are_refused_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(Unprocessable, match="sct2_Concept_Snapshot"):
        read("snomed", release(tmp_path, {"sct2_Concept_Full_INT_20240101.txt": _CONCEPT}))
