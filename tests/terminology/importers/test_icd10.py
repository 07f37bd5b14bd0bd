"""ICD-10 in ClaML and ICD-10-CM. The classes are invented."""

from pathlib import Path

import pytest

from fhir_server.core.errors import Unprocessable
from tests.terminology.importers.reading import properties, read, release

_HEAD = '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE ClaML SYSTEM "ClaML.dtd">'
CLAML = f"""{_HEAD}
<ClaML version="2.0.0">
 <Title date="2024-01-01" name="Made-up classification" version="2024">Made up</Title>
 <Modifier code="S4"><SubClass code=".0"/><SubClass code=".1"/></Modifier>
 <ModifierClass code=".0" modifier="S4"><SuperClass code="S4"/>
  <Rubric kind="preferred"><Label xml:lang="en">With song</Label></Rubric></ModifierClass>
 <ModifierClass code=".1" modifier="S4"><SuperClass code="S4"/>
  <Rubric kind="preferred"><Label xml:lang="en">Without <Term>song</Term></Label></Rubric></ModifierClass>
 <ModifierClass code="0" modifier="S5"><SuperClass code="S5"/>
  <Rubric kind="preferred"><Label>Left</Label></Rubric></ModifierClass>
 <ModifierClass code="1" modifier="S5"><SuperClass code="S5"/>
  <Rubric kind="preferred"><Label>Right</Label></Rubric></ModifierClass>
 <Class code="I" kind="chapter"><SubClass code="Q10-Q19"/>
  <Rubric kind="preferred"><Label>Invented ailments</Label></Rubric></Class>
 <Class code="Q10-Q19" kind="block"><SuperClass code="I"/><ModifiedBy code="S4"/>
  <Rubric kind="preferred"><Label>Ailments of testers</Label></Rubric></Class>
 <Class code="Q10" kind="category" usage="dagger"><SuperClass code="Q10-Q19"/>
  <Rubric kind="preferred"><Label xml:lang="en">Bug <Fragment>blindness</Fragment></Label></Rubric>
  <Rubric kind="inclusion"><Label xml:lang="en">Green-bar euphoria</Label></Rubric>
  <Rubric kind="exclusion"><Label xml:lang="en">Flaky mood (Q11)</Label></Rubric></Class>
 <Class code="Q11" kind="category"><SuperClass code="Q10-Q19"/><ExcludeModifier code="S4"/>
  <Rubric kind="preferred"><Label>Flaky mood</Label></Rubric></Class>
 <Class code="Q12" kind="category"><SuperClass code="Q10-Q19"/>
  <ModifiedBy code="S5"><ValidModifierClass code="1"/></ModifiedBy>
  <Rubric kind="preferred"><Label>Elbow doubt</Label></Rubric></Class>
</ClaML>
"""
ORDER = "".join(
    f"{number:05} {code:<7} {flag} {short:<60} {long}\r\n"
    for number, code, flag, short, long in [
        (1, "Q10", 0, "Bug blindness", "Bug blindness"),
        (2, "Q101", 0, "Bug blindness, acute", "Acute bug blindness"),
        (3, "Q101XXA", 1, "Bug blindness, acute, init", "Acute bug blindness, initial encounter"),
        (4, "Q11", 1, "Flaky mood", "Flaky mood"),
    ]
)
TABULAR = """<?xml version="1.0"?><ICD10CM.tabular><version>2031</version>
<chapter><name>1</name><desc>Invented ailments</desc>
 <section id="Q10-Q11"><desc>Ailments of testers</desc>
  <diag><name>Q10</name><desc>Bug blindness</desc>
   <sevenChrDef><extension char="A">initial encounter</extension></sevenChrDef>
   <diag><name>Q10.1</name><desc>Acute bug blindness</desc><inclusionTerm><note>Green-bar euphoria</note></inclusionTerm></diag>
  </diag>
  <diag><name>Q11</name><desc>Flaky mood</desc></diag>
 </section></chapter></ICD10CM.tabular>"""


def test_claml_with_modifiers(tmp_path: Path) -> None:
    content, concepts, _ = read("icd-10", release(tmp_path, {"claml.xml": CLAML}))
    assert (content.version, content.name, content.case_sensitive) == ("2024", "Made-up classification", False)
    assert set(concepts) == {
        "I", "Q10-Q19", "Q10", "Q10.0", "Q10.1", "Q11", "Q12", "Q12.0", "Q12.01", "Q12.1", "Q12.11",
    }  # fmt: skip
    assert concepts["I"].abstract
    assert concepts["Q10"].display == "Bug blindness"
    assert properties(concepts["Q10"]) == {
        "kind": ["category"], "usage": ["dagger"], "exclusion": ["Flaky mood (Q11)"],
    }  # fmt: skip
    assert concepts["Q10"].designations[0]["value"] == "Green-bar euphoria"
    assert concepts["Q10.1"].display == "Bug blindness : Without song"
    assert list(concepts["Q10.1"].parents) == ["Q10"]
    assert concepts["Q12.11"].display == "Elbow doubt : Without song : Right"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<ClaML>", "no XML"),
        ("<other/>", "no Class"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ClaML>&b;</ClaML>', "entities"),
        ("<a>" * 200, "nested"),
    ],
)
def test_other_xml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unprocessable, match=said):
        read("icd-10", release(tmp_path, {"claml.xml": text}))


def test_order_file_and_tabular_list_together(tmp_path: Path) -> None:
    files = {"icd10cm-order-2031.txt": ORDER + "nonsense\r\n", "icd10cm-tabular-2031.xml": TABULAR}
    content, concepts, report = read("icd-10-cm", release(tmp_path, files))
    assert content.version == "2031"
    assert set(concepts) == {"chapter-1", "Q10-Q11", "Q10", "Q10.1", "Q10.1XXA", "Q11"}
    assert [list(concepts[code].parents) for code in ("Q10.1XXA", "Q10.1", "Q10", "Q10-Q11")] == [
        ["Q10.1"], ["Q10"], ["Q10-Q11"], ["chapter-1"],
    ]  # fmt: skip
    assert concepts["Q10.1XXA"].display == "Acute bug blindness, initial encounter"
    assert properties(concepts["Q10.1"])["billable"] == [False]
    assert {d["value"] for d in concepts["Q10.1"].designations} == {"Bug blindness, acute", "Green-bar euphoria"}
    assert report.messages == ["icd10cm-order-2031.txt line 5: is not number, code, 0 or 1, and texts."]


def test_the_tabular_list_alone_makes_seventh_characters(tmp_path: Path) -> None:
    _, concepts, _ = read("icd-10-cm", release(tmp_path, {"icd10cm-tabular-2031.xml": TABULAR}))
    assert concepts["Q10.1XXA"].display == "Acute bug blindness, initial encounter"
    assert properties(concepts["Q10.1XXA"])["billable"] == [True]


def test_the_order_file_alone(tmp_path: Path) -> None:
    _, concepts, _ = read("icd-10-cm", release(tmp_path, {"icd10cm-order-2031.txt": ORDER}))
    assert list(concepts["Q10.1"].parents) == ["Q10"]
    assert list(concepts["Q10"].parents) == []
