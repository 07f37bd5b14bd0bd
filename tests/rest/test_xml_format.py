"""XML and JSON say the same. https://hl7.org/fhir/R4/xml.html"""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError, Invalid, Unprocessable
from fhir_server.core.resource_json import decode, encode
from fhir_server.rest.xml_format import from_xml, to_xml
from tests.shared_data import examples, needs_shared, shared_file

BASE = base_registry()
DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p title="a &gt; b">x &amp; y<br/></p></div>'


def xml(inner: str, root: str = "Patient", prefix: str = "") -> bytes:
    return f'{prefix}<{root} xmlns="http://hl7.org/fhir">{inner}</{root}>'.encode()


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


RESOURCES: list[tuple[str, dict[str, Any]]] = [
    ("empty", patient()),
    ("id and meta", patient(id="1", meta={"versionId": "1", "tag": [{"system": "urn:t", "code": "x"}]})),
    ("boolean", patient(active=False, multipleBirthInteger=2)),
    ("extension on a primitive", patient(
        birthDate="1970-03-30", _birthDate={"id": "b", "extension": [{"url": "urn:e", "valueDateTime": "1970"}]})),
    ("primitive with an extension only", patient(_gender={"extension": [{"url": "urn:e", "valueCode": "x"}]})),
    ("null beside an extension", patient(name=[
        {"given": ["A", None, "B"],
         "_given": [None, {"id": "g"}, {"extension": [{"url": "urn:e", "valueString": "v"}]}]},
    ])),
    ("all nulls", patient(name=[{"_given": [{"id": "a"}, {"id": "b"}]}])),
    ("element ids", patient(name=[{"id": "n1", "family": "F"}])),
    ("narrative", patient(text={"status": "generated", "div": DIV})),
    ("contained", patient(contained=[
        {"resourceType": "Organization", "id": "o", "name": "O"}, {"resourceType": "Practitioner", "id": "p"}])),
    ("text that needs escaping", patient(name=[{"text": ' <a> & "b" \'c\'\n\td\r\u00e9\u0645\U0001f600 '}])),
    ("nested extensions", patient(extension=[{"url": "urn:o", "extension": [{"url": "i", "valueBoolean": True}]}])),
    ("bundle", {"resourceType": "Bundle", "type": "collection", "total": 1, "entry": [
        {"fullUrl": "urn:uuid:1", "resource": patient(id="1"), "search": {"score": Decimal("0.50")}},
        {"request": {"method": "DELETE", "url": "Patient/2"}}]}),
    ("parameters", {"resourceType": "Parameters", "parameter": [
        {"name": "p", "part": [
            {"name": "q", "valueDecimal": Decimal("1.00")}, {"name": "r", "resource": patient()}]}]}),
    ("recursive backbone", {"resourceType": "Questionnaire", "status": "draft", "item": [
        {"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "display", "text": "t"}]}]}),
]


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize(("name", "resource"), RESOURCES, ids=[row[0] for row in RESOURCES])
def test_round_trip(name: str, resource: dict[str, Any], pretty: bool) -> None:
    assert from_xml(to_xml(resource, BASE, pretty=pretty), BASE) == resource


def test_the_round_trip_sees_a_difference() -> None:
    assert from_xml(to_xml(patient(active=True), BASE), BASE) != patient(active=False)


@pytest.mark.parametrize("text", ["1.00", "0.010", "100", "-7.5", "1E+2", "1.0E-10", "0", "123456789012345678901.5"])
def test_decimals_keep_their_digits(text: str) -> None:
    resource = decode(f'{{"resourceType":"Parameters","parameter":[{{"name":"d","valueDecimal":{text}}}]}}')
    body = to_xml(resource, BASE)
    assert f'valueDecimal value="{text}"'.encode() in body
    assert encode(from_xml(body, BASE)) == encode(resource)


def test_exact_text() -> None:
    resource = {
        "birthDate": "1970-03-30", "id": "1", "resourceType": "Patient",
        "name": [{"given": ["A"], "family": "F"}], "extension": [{"valueString": "s", "url": "urn:e"}],
    }
    assert to_xml(resource, BASE).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="1"/>'
        '<extension url="urn:e"><valueString value="s"/></extension>'
        '<name><family value="F"/><given value="A"/></name><birthDate value="1970-03-30"/></Patient>'
    ), "elements stand in the structure's order whatever the dict's order is"


def test_pretty_is_indented() -> None:
    assert to_xml(patient(id="1"), BASE, pretty=True).decode().splitlines()[1:] == [
        '<Patient xmlns="http://hl7.org/fhir">', '  <id value="1"/>', "</Patient>",
    ]


@needs_shared
def test_the_official_examples_come_back_as_they_were() -> None:
    rows = list(examples())
    assert len(rows) > 200
    for name, text in rows:
        resource = decode(text)
        again = from_xml(to_xml(resource, BASE), BASE)
        assert again == resource, name
        assert numbers(again) == numbers(resource), name


def numbers(value: Any) -> list[str]:
    """Every number of a JSON value as it is written, in a fixed order."""
    if isinstance(value, dict):
        return [text for key in sorted(value) for text in numbers(value[key])]
    if isinstance(value, list):
        return [text for item in value for text in numbers(item)]
    return [str(value)] if isinstance(value, int | Decimal) else []


@needs_shared
def test_official_xml_is_read() -> None:
    for name in ("patient-example.xml", "observation-example.xml", "questionnaire-example.xml"):
        resource = from_xml(shared_file(f"fhirpath/{name}").read_bytes(), BASE)
        assert resource["text"]["div"].startswith("<div xmlns=")
        assert from_xml(to_xml(resource, BASE), BASE) == resource


# (what, body, error class, expression)
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
XXE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
TWIN = "<contained><Patient/><Patient/></contained>"
BAD: list[tuple[str, bytes, type[FhirError], str | None]] = [
    ("nothing", b"", Invalid, None),
    ("no XML", b"{}", Invalid, None),
    ("not closed", b'<Patient xmlns="http://hl7.org/fhir">', Invalid, None),
    ("two roots", xml("") + xml(""), Invalid, None),
    ("entity bomb", xml("<id value='&b;'/>", prefix=BOMB), Invalid, None),
    ("external entity", xml("<id value='&e;'/>", prefix=XXE), Invalid, None),
    ("external DTD", xml("", prefix='<!DOCTYPE Patient SYSTEM "http://example.org/x.dtd">'), Invalid, None),
    ("undefined entity", xml("<id value='&nbsp;'/>"), Invalid, None),
    ("control character", xml("<id value='\x01'/>"), Invalid, None),
    ("control character reference", xml("<id value='&#1;'/>"), Invalid, None),
    ("not UTF-8", xml("<id value='\u00e9'/>").replace(b"\xc3", b""), Invalid, None),
    ("no namespace", b"<Patient/>", Invalid, None),
    ("other namespace", b'<Patient xmlns="urn:hl7-org:v3"/>', Invalid, None),
    ("no resource", xml("", "HumanName"), Invalid, None),
    ("abstract type", xml("", "DomainResource"), Invalid, None),
    ("unknown element", xml("<nme/>"), Unprocessable, "Patient.nme"),
    ("unknown inner element", xml('<name><family value="x"/></name><name><fmly value="x"/></name>'), Unprocessable,
     "Patient.name[1].fmly"),
    ("unknown attribute", xml('<id value="1" extra="2"/>'), Unprocessable, "Patient.id.extra"),
    ("attribute of an object", xml('<name value="x"/>'), Unprocessable, "Patient.name[0].value"),
    ("element in another namespace", xml('<x:id xmlns:x="urn:x" value="1"/>'), Unprocessable, "Patient.id"),
    ("text", xml("<id>1</id>"), Unprocessable, "Patient.id"),
    ("twice", xml('<id value="1"/><id value="2"/>'), Unprocessable, "Patient.id"),
    ("no content", xml("<gender/>"), Unprocessable, "Patient.gender"),
    ("empty object", xml("<name/>"), Unprocessable, "Patient.name[0]"),
    ("url of an extension as element", xml('<extension><url value="x"/></extension>'), Unprocessable,
     "Patient.extension[0].url"),
    ("boolean", xml('<active value="yes"/>'), Unprocessable, "Patient.active"),
    ("integer", xml('<multipleBirthInteger value="1.0"/>'), Unprocessable, "Patient.multipleBirthInteger"),
    ("huge integer", xml(f'<multipleBirthInteger value="{"9" * 5000}"/>'), Unprocessable,
     "Patient.multipleBirthInteger"),
    ("decimal", xml('<doseQuantity><value value="NaN"/></doseQuantity>', "Immunization"), Unprocessable,
     "Immunization.doseQuantity.value"),
    ("inline nothing", xml("<contained/>"), Unprocessable, "Patient.contained[0]"),
    ("inline no resource", xml("<contained><HumanName/></contained>"), Unprocessable, "Patient.contained[0].HumanName"),
    ("two inline", xml(TWIN), Unprocessable, "Patient.contained[0].Patient"),
    ("div elsewhere", xml('<div xmlns="http://www.w3.org/1999/xhtml"/>'), Unprocessable, "Patient.div"),
    ("div in FHIR's namespace", xml('<text><status value="empty"/><div>x</div></text>'), Unprocessable,
     "Patient.text.div"),
]


@pytest.mark.parametrize(("what", "body", "error", "expression"), BAD, ids=[row[0] for row in BAD])
def test_bad_xml(what: str, body: bytes, error: type[FhirError], expression: str | None) -> None:
    with pytest.raises(FhirError) as caught:
        from_xml(body, BASE)
    assert type(caught.value) is error
    issue = caught.value.issues[0]
    assert issue.expression == expression
    assert issue.code == ("structure" if error is Invalid else "processing")
    assert "passwd" not in issue.text


def test_what_xml_allows_besides() -> None:
    body = (
        b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?><!-- c -->\n"
        b"<f:Patient xmlns:f='http://hl7.org/fhir' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
        b" xsi:schemaLocation='http://hl7.org/fhir x.xsd'>\n <!-- c --> <f:gender value='male'/>\n</f:Patient>\n"
    )
    assert from_xml(body, BASE) == patient(gender="male")


def narrative_of(div: str) -> str:
    body = xml(f'<text><status value="generated"/>{div}</text>', prefix="\ufeff")
    return str(from_xml(body, BASE)["text"]["div"])


def test_a_narrative_is_kept_byte_for_byte() -> None:
    div = "<div xmlns='http://www.w3.org/1999/xhtml'  lang=\"ar\" ><!-- c --><br></br>\u0645\n <b>&#160;&lt;</b></div >"
    assert narrative_of(div) == div


def test_a_narrative_with_a_prefix_is_written_again() -> None:
    div = '<h:div xmlns:h="http://www.w3.org/1999/xhtml" xml:lang="fr"><h:b class="c">a &lt; b</h:b><h:br/></h:div>'
    assert narrative_of(div) == (
        '<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr"><b class="c">a &lt; b</b><br/></div>'
    )


# A stored narrative must never break the document around it.
NARRATIVES = [
    ("<div>no namespace</div>", "&lt;div&gt;no namespace&lt;/div&gt;"),
    ('<div xmlns="http://www.w3.org/1999/xhtml"><p>open</div>', "&lt;p&gt;open"),
    ("</div></text><active value='true'/>", "&lt;/div&gt;&lt;/text&gt;"),
    ('<!DOCTYPE d><div xmlns="http://www.w3.org/1999/xhtml">x</div>', "&lt;!DOCTYPE d&gt;"),
    ('<div xmlns="http://www.w3.org/1999/xhtml">a&nbsp;b &eacute;&lt;</div>', "a\u00a0b \u00e9&lt;"),
]


@pytest.mark.parametrize(("div", "inside"), NARRATIVES, ids=["namespace", "open", "breakout", "doctype", "entities"])
def test_a_narrative_that_is_not_xml_is_escaped(div: str, inside: str) -> None:
    body = to_xml(patient(text={"status": "generated", "div": div}), BASE)
    assert inside in body.decode()
    assert set(from_xml(body, BASE)) == {"resourceType", "text"}


@pytest.mark.parametrize(
    ("resource", "expression"),
    [
        (patient(nme="x"), "Patient.nme"),
        (patient(name=[{"fmly": "x"}]), "Patient.name[0].fmly"),
        (patient(name={"family": "x"}), "Patient.name"),
        (patient(name=["x"]), "Patient.name[0]"),
        (patient(id="\x01"), "Patient.id"),
        (patient(contained=[{"resourceType": "Nope"}]), "Patient.contained[0]"),
        ({"resourceType": "HumanName"}, None),
        ({}, None),
    ],
)
def test_what_cannot_be_written(resource: dict[str, Any], expression: str | None) -> None:
    with pytest.raises(Unprocessable) as caught:
        to_xml(resource, BASE)
    assert caught.value.issues[0].expression == expression


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\ufffe\uffff"), min_size=1))
def test_any_text_comes_back_or_is_refused(text: str) -> None:
    resource = patient(name=[{"text": text}])
    try:
        body = to_xml(resource, BASE)
    except Unprocessable:
        assert any(ord(char) < 32 for char in text)
    else:
        assert from_xml(body, BASE) == resource


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_damaged_xml_is_never_a_server_error(noise: bytes, position: int) -> None:
    body = to_xml(RESOURCES[3][1], BASE)
    with suppress(Invalid, Unprocessable):
        from_xml(body[:position] + noise + body[position + len(noise):], BASE)
