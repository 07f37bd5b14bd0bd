"""XML over HTTP, in and out. https://hl7.org/fhir/R4/xml.html"""

from typing import Any

import pytest
from lxml import etree

from tests.client import Answer, Client
from tests.rest.answers import refused
from tests.rest.bodies import bundle, entry, mark, patient, urn, weight

XML = "application/fhir+xml"
F = "{http://hl7.org/fhir}"


def tree(answer: Answer) -> Any:
    assert answer.headers["Content-Type"].startswith(XML)
    return etree.fromstring(answer.body)


def post(client: Client, path: str, text: str | bytes) -> Answer:
    return client.post(path, text, content_type=XML)


def test_xml_in_json_out_and_back(client: Client) -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><!-- a comment --><Observation xmlns="http://hl7.org/fhir">'
        '<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b> &amp; c</div></text>'
        '<status value="final"/><code><coding><system value="http://loinc.org"/><code value="1"/></coding></code>'
        '<effectiveDateTime id="e"><extension url="urn:x"><valueDecimal value="2.50"/></extension></effectiveDateTime>'
        '<valueQuantity><value value="1.00"/></valueQuantity></Observation>'
    )
    answer = post(client, "Observation", text)
    assert answer.status == 201, answer.text
    read = client.get(f"Observation/{answer.id}")
    assert '"value":1.00' in read.text
    assert '"valueDecimal":2.50' in read.text
    assert read.json["_effectiveDateTime"]["id"] == "e"
    assert "a <b>b</b> &amp; c" in read.json["text"]["div"]
    back = tree(client.get(f"Observation/{answer.id}", accept=XML))
    names = [child.tag.removeprefix(F) for child in back]
    assert names == ["id", "meta", "text", "status", "code", "effectiveDateTime", "valueQuantity"]
    assert back.find(f"{F}valueQuantity/{F}value").get("value") == "1.00"


def test_elements_come_in_the_order_of_the_definition(client: Client) -> None:
    sent = {"resourceType": "Patient", "birthDate": "1980", "active": True, "name": [{"given": ["A"], "family": "B"}]}
    root = tree(client.get(f"Patient/{client.create(sent)['id']}", accept=XML))
    assert [child.tag.removeprefix(F) for child in root] == ["id", "meta", "active", "name", "birthDate"]
    assert [child.tag.removeprefix(F) for child in root.find(f"{F}name")] == ["family", "given"]


def test_what_xml_gives_can_be_put_back_unchanged(client: Client) -> None:
    stored = client.create(weight("Patient/p", "70.50"))
    local = f"Observation/{stored['id']}"
    answer = client.put(local, client.get(local, accept=XML).body, content_type=XML)
    assert (answer.status, answer.headers["ETag"]) == (200, 'W/"1"')


def test_a_searchset_and_a_history_as_xml(client: Client) -> None:
    word = mark()
    client.create(patient(word))
    found = tree(client.get(f"Patient?identifier={word}&_format=xml"))
    assert found.tag == f"{F}Bundle"
    assert found.find(f"{F}type").get("value") == "searchset"
    assert found.find(f"{F}entry/{F}resource/{F}Patient/{F}name/{F}family").get("value") == word.title()
    assert tree(client.get("Patient/_history?_count=2&_format=xml")).find(f"{F}type").get("value") == "history"


def test_a_transaction_in_xml(client: Client) -> None:
    target, word = urn(), mark()
    sent = (
        f'<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/>'
        f'<entry><fullUrl value="{target}"/><resource><Patient><identifier><value value="{word}"/></identifier>'
        f'</Patient></resource><request><method value="POST"/><url value="Patient"/></request></entry>'
        f'<entry><resource><Group><type value="person"/><actual value="true"/><member><entity>'
        f'<reference value="{target}"/></entity></member></Group></resource>'
        f'<request><method value="POST"/><url value="Group"/></request></entry></Bundle>'
    )
    answer = client.post("", sent, content_type=XML, accept=XML, prefer="return=representation")
    assert answer.status == 200, answer.text
    reference = tree(answer).find(f".//{F}Group/{F}member/{F}entity/{F}reference").get("value")
    assert [found["id"] for found in client.search(f"Patient?identifier={word}")] == [reference.partition("/")[2]]


def test_a_json_transaction_answered_in_xml(client: Client) -> None:
    sent = bundle("transaction", entry("POST", "Patient", patient(mark())))
    assert tree(client.post("", sent, accept=XML)).find(f"{F}entry/{F}response/{F}status").get("value")[:3] == "201"


def test_metadata_as_xml(client: Client) -> None:
    assert tree(client.get("metadata", accept=XML)).tag == f"{F}CapabilityStatement"


ENTITY = '<!DOCTYPE p [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
BOMB = '<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
BROKEN = [
    ("", "nothing"),
    ("<", "no XML"),
    ("<Patient>", "not closed"),
    ("<Patient/>", "no namespace"),
    ('<Patient xmlns="http://example.org/"/>', "another namespace"),
    ('<Nonsense xmlns="http://hl7.org/fhir"/>', "no such type"),
    ('<Patient xmlns="http://hl7.org/fhir"><birthdate value="1980"/></Patient>', "unknown element"),
    ('<Patient xmlns="http://hl7.org/fhir"><birthDate value="1980-02-30"/></Patient>', "no such day"),
    ('<Patient xmlns="http://hl7.org/fhir"><birthDate>1980</birthDate></Patient>', "text instead of value"),
    ('<Patient xmlns="http://hl7.org/fhir"><active value="yes"/></Patient>', "no boolean"),
    ('<Patient xmlns="http://hl7.org/fhir"><birthDate value="1980"/><birthDate value="1981"/></Patient>', "twice"),
    ('<Patient xmlns="http://hl7.org/fhir" family="x"/>', "unknown attribute"),
    ('<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/><div>x</div></text></Patient>', "no xhtml"),
    (f'{ENTITY}<Patient xmlns="http://hl7.org/fhir"><language value="&e;"/></Patient>', "external entity"),
    (f'{BOMB}<Patient xmlns="http://hl7.org/fhir"><language value="&c;"/></Patient>', "entities"),
    ('<Patient xmlns="http://hl7.org/fhir"/><Patient xmlns="http://hl7.org/fhir"/>', "two roots"),
    ("<a>" * 5000 + "</a>" * 5000, "very deep"),
    ('<Patient xmlns="http://hl7.org/fhir"><id value="&#0;"/></Patient>', "NUL"),
]


@pytest.mark.parametrize(("text", "why"), BROKEN, ids=[why for _, why in BROKEN])
def test_xml_that_is_no_valid_patient_is_refused(client: Client, text: str, why: str) -> None:
    answer = post(client, "Patient", text)
    refused(answer, (400, 413, 422))
    assert "root:" not in answer.text


def test_bytes_that_are_not_utf8(client: Client) -> None:
    refused(post(client, "Patient", b'<Patient xmlns="http://hl7.org/fhir"><id value="\xff"/></Patient>'), 400)


def test_utf16_and_latin1_as_the_declaration_says(client: Client) -> None:
    word = mark()
    name = f'<name><family value="Mü{word}"/></name>'
    text = f'<?xml version="1.0" encoding="{{}}"?><Patient xmlns="http://hl7.org/fhir">{name}</Patient>'
    for encoding in ("iso-8859-1", "utf-16"):
        answer = post(client, "Patient", text.format(encoding).encode(encoding))
        if answer.status == 201:
            assert answer.json["name"][0]["family"] == f"Mü{word}"
        else:
            refused(answer, (400, 415))
