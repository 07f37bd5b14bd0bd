"""Tables: a site's own list, tariffs, ATC; RxNorm; and CodeSystem resources. All content is invented."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from fhir_server.core.errors import Unprocessable
from tests.terminology.importers.reading import properties, read, release


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    text = (
        "code;display;parent;definition;inactive;abstract;designation:fr;property:weight:decimal;property:kind\n"
        "A;All;;;;true;Tout;;\n"
        'B;"Be; well";A|C;"Two\nlines";false;;Bien|Bon;1.50;x|y\n'
        "C;See;A;;yes;;;;\n"
        "D;Dee;A;;perhaps;;;;\n"
        "E;Eee\n"
        "F;Eff;A;;;;;heavy;\n"
    )
    content, concepts, report = read("csv", release(tmp_path, {"own.csv": text}), system="urn:own", version="1")
    assert (content.url, content.properties) == ("urn:own", {"weight": "decimal", "kind": "string"})
    assert set(concepts) == {"A", "B", "C"}
    assert (concepts["B"].display, concepts["B"].definition, list(concepts["B"].parents)) == (
        "Be; well", "Two\nlines", ["A", "C"],
    )  # fmt: skip
    assert [d["value"] for d in concepts["B"].designations] == ["Bien", "Bon"]
    assert properties(concepts["B"]) == {"weight": [Decimal("1.50")], "kind": ["x", "y"]}
    assert (concepts["A"].abstract, concepts["C"].inactive) == (True, True)
    assert report.messages == [
        "own.csv line 6: 'perhaps' is neither true nor false.",
        "own.csv line 7: has 2 columns, not 9.",
        "own.csv line 8: 'heavy' is no number.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [("name,display\n", "no column code"), ("code,price\n", "'price' that is not known"), ("", "no column code")],
)
def test_a_table_with_other_columns_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unprocessable, match=said):
        read("csv", release(tmp_path, {"own.csv": text}), system="urn:own")


def test_a_tariff_with_former_prices(tmp_path: Path) -> None:
    text = (
        "Code acte;Libellé;Tarif;Devise;Date début;Date fin\n"
        "ZZZA001;Pose de test;12,50;EUR;01/01/2020;31/12/2023\n"
        "ZZZA001;Pose de test;1 013,00;EUR;2024-01-01;\n"
        "ZZZA002;Dépose;abc;EUR;;\n"
        "ZZZA003;Dépose;1;euros;;\n"
        "ZZZA004;Dépose;1;EUR;2024-13-01;\n"
    )
    content, concepts, report = read("tariff", release(tmp_path, {"t.csv": text}), system="urn:tariff")
    assert set(concepts) == {"ZZZA001"}
    assert properties(concepts["ZZZA001"]) == {
        "price": [Decimal("1013.00")], "currency": ["EUR"], "effective-from": ["2024-01-01"],
        "former-price": ["12.50 EUR 2020-01-01/2023-12-31"],
    }  # fmt: skip
    assert content.properties["price"] == "decimal"
    assert report.refused == 3


def test_atc_from_a_table_and_from_xml(tmp_path: Path) -> None:
    text = "ATC code,ATC level name,DDD,UOM,Adm.R,Note\nZ,TESTS,,,,\nZ01,Doubts,,,,\nZ01A,x,,,,\nZ01AA,y,,,,\n"
    text += "Z01AA01,testoxin,0.5,g,O,\nZ01AA01,testoxin,1,g,P,slow\nQQ,wrong,,,,\n"
    _, concepts, report = read("atc", release(tmp_path / "a", {"atc.csv": text}), version="2031")
    assert [list(concepts[code].parents) for code in ("Z01AA01", "Z01", "Z")] == [["Z01AA"], ["Z"], []]
    assert properties(concepts["Z01AA01"]) == {"level": [5], "ddd": ["0.5 g O", "1 g P slow"]}
    assert report.refused == 1
    rows = '<z:row ATCCode="Z" Name="TESTS"/><z:row ATCCode="Z01" Name="Doubts"/>'
    doses = '<z:row ATCCode="Z01" DDD="2" UnitType="mg" AdmCode="O" DDDComment=""/>'
    xml = '<xml xmlns:z="#RowsetSchema"><data>{}</data></xml>'
    files = {"1 ATC.xml": xml.format(rows), "2 DDD.xml": xml.format(doses)}
    _, concepts, _ = read("atc", release(tmp_path / "b", files), version="2031")
    assert properties(concepts["Z01"]) == {"level": [2], "ddd": ["2 mg O"]}


def test_rxnorm(tmp_path: Path) -> None:
    files = {
        "rrf/RXNCONSO.RRF": (
            "10|ENG||||||1|||| RXNORM|IN|10|skipped||N||\n"
            "10|ENG||||||1||||RXNORM|IN|10|testoxin||N||\n"
            "20|ENG||||||2||||RXNORM|SY|20|testoxin half||N||\n"
            "20|ENG||||||3||||RXNORM|SCD|20|testoxin 500 MG Oral Tablet||N||\n"
            "30|ENG||||||4||||RXNORM|SCDG|30|testoxin Pill||O||\n"
            "40|ENG||||||5||||OTHER|SCD|40|not ours||N||\n"
            "broken\n"
        ),
        "rrf/RXNREL.RRF": (
            "10||CUI|RO|20||CUI|has_ingredient|||RXNORM|||||\n"
            "30||CUI|RB|20||CUI|isa|||RXNORM|||||\n"
            "20||CUI|RN|30||CUI|inverse_isa|||RXNORM|||||\n"
        ),
        "rrf/RXNSAT.RRF": "20||||||||NDC|RXNORM|00001|N||\n20||||||||NDC|OTHER|00002|N||\n",
        "rrf/RXNSTY.RRF": "20|T200|A|Clinical Drug||\n",
    }
    content, concepts, report = read("rxnorm", release(tmp_path / "RxNorm_full_01052031", files))
    assert (content.version, content.described["released"]) == ("01052031", "2031-01-05")
    assert set(concepts) == {"10", "20", "30"}
    assert concepts["20"].display == "testoxin 500 MG Oral Tablet"
    assert [d["value"] for d in concepts["20"].designations] == ["testoxin half"]
    assert list(concepts["20"].parents) == ["30"]
    assert properties(concepts["20"]) == {"TTY": ["SCD"], "has_ingredient": ["10"], "STY": ["T200"], "NDC": ["00001"]}
    assert concepts["30"].inactive
    assert report.refused == 1


def test_a_code_system_resource(tmp_path: Path) -> None:
    resource = {
        "resourceType": "CodeSystem", "url": "urn:cs", "version": "1.0", "name": "CS", "content": "fragment",
        "caseSensitive": False, "property": [{"code": "parent", "type": "code"}, {"code": "n", "type": "decimal"}],
        "concept": [
            {"code": "a", "display": "A", "concept": [
                {"code": "b", "definition": "bee", "concept": [{"code": "c"}]},
                {"code": "d", "property": [{"code": "status", "valueCode": "retired"}, {"code": "n", "valueDecimal": 1.5}]},
            ]},
            {"code": "e", "property": [{"code": "parent", "valueCode": "d"}, {"code": "child", "valueCode": "c"},
                                       {"code": "notSelectable", "valueBoolean": True}],
             "designation": [{"language": "fr", "value": "eu"}, {"language": "en"}]},
            {"display": "no code"},
        ],
    }  # fmt: skip
    content, concepts, report = read("fhir", release(tmp_path, {"cs.json": json.dumps(resource)}))
    assert (content.url, content.version, content.name, content.case_sensitive) == ("urn:cs", "1.0", "CS", False)
    assert content.described["content"] == "fragment"
    assert [list(concepts[code].parents) for code in "abcde"] == [[], ["a"], ["b", "e"], ["a"], ["d"]]
    assert (concepts["d"].inactive, concepts["e"].abstract) == (True, True)
    assert properties(concepts["d"]) == {"status": ["retired"], "n": [Decimal("1.5")]}
    assert list(concepts["e"].designations) == [{"language": "fr", "value": "eu"}]
    assert report.refused == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "no CodeSystem resource in JSON"), ('{"resourceType":"Patient"}', "but Patient"),
     ('{"resourceType":"CodeSystem","content":"supplement"}', "supplement")],
)  # fmt: skip
def test_another_resource_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unprocessable, match=said):
        read("fhir", release(tmp_path, {"cs.json": text}))
