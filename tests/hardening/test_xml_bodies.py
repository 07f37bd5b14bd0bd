"""XML that reaches out, expands or tricks is refused; a listener stays untouched (security-reliability.md T11)."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.client import Answer, Client

FHIR = 'xmlns="http://hl7.org/fhir"'


def post(client: Client, text: str | bytes) -> Answer:
    return client.post("Patient", text, content_type="application/fhir+xml")


# sec-T11, sec-27. HOST is the listener, FILE a file with a secret.
ATTACKS = {
    "external entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "http://HOST/">]><Patient FHIR><language value="&e;"/></Patient>',
    "file": '<!DOCTYPE x [<!ENTITY e SYSTEM "file://FILE">]><Patient FHIR><name><family value="&e;"/></name></Patient>',
    "public": '<!DOCTYPE Patient PUBLIC "-//x//" "http://HOST/x.dtd"><Patient FHIR><active value="true"/></Patient>',
    "external dtd": '<!DOCTYPE Patient SYSTEM "http://HOST/x.dtd"><Patient FHIR><active value="true"/></Patient>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://HOST/p"> %p;]><Patient FHIR><active value="true"/></Patient>',
    "internal entity": '<!DOCTYPE x [<!ENTITY e "fr">]><Patient FHIR><language value="&e;"/></Patient>',
    "laughs": "<!DOCTYPE x [<!ENTITY a '" + "x" * 100 + "'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9))
    + ']><Patient FHIR><language value="&j;"/></Patient>',
    "empty doctype": '<!DOCTYPE Patient><Patient FHIR><active value="true"/></Patient>',
    "doctype html": '<!DOCTYPE html><Patient FHIR><active value="true"/></Patient>',
    "default attribute": '<!DOCTYPE x [<!ATTLIST active value CDATA "true">]><Patient FHIR><active/></Patient>',
    "undefined entity": '<Patient FHIR><language value="&undefined;"/></Patient>',
    "stylesheet": '<?xml-stylesheet href="http://HOST/x.xsl"?><Patient FHIR><active value="true"/></Patient>',
    "instruction inside": '<Patient FHIR><?php system("id") ?><active value="true"/></Patient>',
    "instruction in the narrative": '<Patient FHIR><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">'
    '<?php x ?>a</div></text></Patient>',
    "include": '<Patient FHIR><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="http://HOST/"/></Patient>',
    "base": '<Patient FHIR xml:base="http://HOST/"><active value="true"/></Patient>',
    "no namespace": '<Patient><active value="true"/></Patient>',
    "other namespace": '<Patient xmlns="urn:x"><active value="true"/></Patient>',
    "foreign element": '<Patient FHIR><active xmlns="urn:x" value="true"/></Patient>',
    "foreign attribute": '<Patient FHIR><active xmlns:x="urn:x" x:value="true"/></Patient>',
    "prefix undeclared": '<f:Patient xmlns="http://hl7.org/fhir"><f:active value="true"/></f:Patient>',
    "attribute twice": '<Patient FHIR><active value="true" value="false"/></Patient>',
    "element twice": '<Patient FHIR><active value="true"/><active value="false"/></Patient>',
    "attribute twice by prefixes": '<Patient FHIR xmlns:a="urn:x" xmlns:b="urn:x"><active a:value="1" b:value="2"/></Patient>',
    "two roots": '<Patient FHIR/><Patient FHIR/>',
    "text": '<Patient FHIR>text<active value="true"/></Patient>',
    "cdata": '<Patient FHIR><![CDATA[<x/>]]><active value="true"/></Patient>',
    "control character": '<Patient FHIR><language value="f\x01r"/></Patient>',
    "control character as a code": '<Patient FHIR><language value="f&#1;r"/></Patient>',
    "NUL as a code": '<Patient FHIR><language value="f&#0;r"/></Patient>',
    "surrogate as a code": '<Patient FHIR><language value="f&#xD800;r"/></Patient>',
    "script in the narrative": '<Patient FHIR><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">'
    '<script>1</script></div></text></Patient>',
    "truncated": '<Patient FHIR><active value="tr',
    "not XML": '{"resourceType":"Patient"}',
    "nothing": "",
}  # fmt: skip


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS.keys())
def test_it_is_refused(client: Client, listener: str, tmp_path: Path, text: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-7261")
    text = text.replace("HOST", listener).replace("FILE", str(secret)).replace("FHIR", FHIR)
    started = time.thread_time()
    for method, path in (("POST", "Patient"), ("PUT", "Patient/x"), ("POST", "Patient/$validate")):
        answer = client.request(method, path, text, content_type="application/fhir+xml")
        assert answer.status in (400, 422) or path.endswith("$validate"), (method, answer.text)
        assert answer.status < 500
        assert "canary-7261" not in answer.text
    assert time.thread_time() - started < 2


# sec-T11: the encoding is UTF-8 whatever the declaration says.
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"])
def test_other_encodings_are_refused(client: Client, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x><Patient {FHIR}><active value="true"/></Patient>'
    assert post(client, text.encode(encoding)).status == 400


def test_depth_and_size_are_bounded(client: Client) -> None:
    deep = "<extension url='urn:x'>" * 5000 + "</extension>" * 5000
    assert post(client, f"<Patient {FHIR}>{deep}</Patient>").status in (400, 413, 422)
    assert post(client, f"<Patient {FHIR}>" + "<name>" * 100_000).status in (400, 413, 422)
    wide = "<name><family value='a'/></name>" * 1000
    assert post(client, f"<Patient {FHIR}>{wide}</Patient>").status == 201
    many = " ".join(f'a{n}="1"' for n in range(50_000))
    started = time.thread_time()
    assert post(client, f"<Patient {FHIR}><active {many}/></Patient>").status in (400, 413, 422)
    assert time.thread_time() - started < 5


def test_a_listener_is_never_called_for_what_a_resource_names(client: Client, listener: str) -> None:
    # sec-39: canonicals, attachments, rules and schemas of a resource are names, not things to fetch.
    url = f"http://{listener}/x"
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "implicitRules": url, "meta": {"profile": [url]}, "photo": [{"url": url}]},
        {"resourceType": "Patient", "extension": [{"url": url, "valueString": "x"}], "identifier": [{"system": url}]},
        {"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": url, "code": "x"}]},
         "subject": {"reference": f"{url}/Patient/1"}},
        {"resourceType": "ValueSet", "status": "active", "url": "urn:v", "compose": {"include": [{"valueSet": [url]}]}},
        {"resourceType": "Endpoint", "status": "active", "connectionType": {"system": "urn:x", "code": "x"},
         "payloadType": [{"text": "x"}], "address": url},
        {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"url": url}}]},
    ]  # fmt: skip
    for resource in resources:
        answer = client.post(resource["resourceType"], resource)
        assert answer.status < 500
        assert client.post(f"{resource['resourceType']}/$validate", resource).status < 500
    for query in (f"ValueSet/$expand?url={url}", f"ValueSet/$validate-code?url={url}&code=x&system={url}",
                  f"CodeSystem/$lookup?system={url}&code=x", f"Patient?identifier:in={url}", f"Patient?_profile={url}"):  # fmt: skip
        assert client.get(query).status < 500
