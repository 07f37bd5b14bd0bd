"""What a narrative may not hold (security-reliability.md T22), and how uploaded content is served."""

from base64 import b64encode
from typing import Any

import pytest

from tests.client import Client

_NS = 'xmlns="http://www.w3.org/1999/xhtml"'


def div(inner: str, attributes: str = "") -> dict[str, Any]:
    return {"resourceType": "Patient", "text": {"status": "generated", "div": f"<div {_NS}{attributes}>{inner}</div>"}}


ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT>alert(1)</SCRIPT>",
    '<script src="https://evil.example/x.js"/>',
    '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
    '<p onclick="alert(1)">x</p>',
    '<img src="x" onerror="alert(1)"/>',
    '<img src="x" ONERROR="alert(1)"/>',
    '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    '<math xmlns="http://www.w3.org/1998/Math/MathML"><mtext/></math>',
    '<iframe src="https://evil.example/"/>',
    '<iframe srcdoc="&lt;script&gt;alert(1)&lt;/script&gt;"/>',
    '<object data="https://evil.example/"/>',
    '<embed src="https://evil.example/"/>',
    '<form action="https://evil.example/"><input name="a"/></form>',
    '<button formaction="javascript:alert(1)">x</button>',
    '<meta http-equiv="refresh" content="0;url=https://evil.example/"/>',
    '<base href="https://evil.example/"/>',
    '<link rel="stylesheet" href="https://evil.example/x.css"/>',
    "<style>p { background: url(https://evil.example/) }</style>",
    '<video src="https://evil.example/"/>',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href=" javascript:alert(1)">x</a>',
    '<a href="java&#10;script:alert(1)">x</a>',
    '<a href="java&#9;script:alert(1)">x</a>',
    '<a href="java&#13;script:alert(1)">x</a>',
    '<a href="&#9;javascript:alert(1)">x</a>',
    '<a href="javascript&#58;alert(1)">x</a>',
    '<a href="javascript&#10;:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="vbscript:msgbox(1)">x</a>',
    '<a href="data:text/html,&lt;script&gt;alert(1)&lt;/script&gt;">x</a>',
    '<a href="data:text/html;base64,PHNjcmlwdD4=">x</a>',
    '<img src="data:image/svg+xml,&lt;svg onload=alert(1)&gt;" alt=""/>',
    '<a xlink:href="javascript:alert(1)" xmlns:xlink="http://www.w3.org/1999/xlink">x</a>',
    '<p style="background: url(https://evil.example/)">x</p>',
    '<p style="background: URL (https://evil.example/)">x</p>',
    "<p style=\"background: image-set('https://evil.example/' 1x)\">x</p>",
    '<p style="background: u\\72l(https://evil.example/)">x</p>',
    '<p style="background: u/**/rl(https://evil.example/)">x</p>',
    '<p style="background: &#117;rl(https://evil.example/)">x</p>',
    '<p style="width: expression(alert(1))">x</p>',
    '<p style="behavior: url(x.htc)">x</p>',
    '<p style="-moz-binding: url(x.xml#x)">x</p>',
    "<p style=\"@import 'https://evil.example/x.css'\">x</p>",
    '<p style="position: fixed; top: 0; left: 0; width: 100%; height: 100%">x</p>',
    "<!--><img src='x' onerror='alert(1)'>-->",
    "<!-- --!><img src='x' onerror='alert(1)'> -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml-stylesheet href='https://evil.example/x.xsl'?>",
    "<noscript><p title=\"&lt;/noscript&gt;&lt;img src=x onerror=alert(1)&gt;\">x</p></noscript>",
    "<template><script>alert(1)</script></template>",
    '<table background="javascript:alert(1)"><tr><td>x</td></tr></table>',
    '<p xml:base="javascript:alert(1)//"><a href="#x">x</a></p>',
    '<img srcset="https://evil.example/ 1x" alt="x"/>',
    "<marquee>x</marquee>",
    "<p>unclosed",
    "&undefined;",
]


# sec-T22, sec-32
@pytest.mark.parametrize("inner", ATTACKS)
def test_active_content_is_not_stored(client: Client, inner: str) -> None:
    sent = div(f"<p>text</p>{inner}")
    answer = client.post("Patient", sent)
    assert answer.status == 422, answer.text
    assert "evil.example" not in answer.text
    assert "alert" not in answer.text
    assert client.post("Patient", {"resourceType": "Patient", "contained": [{**sent, "id": "c"}]}).status == 422
    assert client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": sent, "request": {"method": "POST", "url": "Patient"}}]}).status == 422  # fmt: skip


@pytest.mark.parametrize("attributes", [' onload="alert(1)"', ' style="background:url(x)"', ' xmlns:a="urn:a" a:b="c"'])
def test_the_outer_div_is_no_exception(client: Client, attributes: str) -> None:
    assert client.post("Patient", div("text", attributes)).status == 422


# The same through XML, PUT and PATCH.
@pytest.mark.parametrize("inner", ATTACKS[:6] + ATTACKS[21:26])
def test_no_other_way_in(client: Client, inner: str) -> None:
    xml = f'<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/><div {_NS}>a{inner}</div></text></Patient>'
    assert client.post("Patient", xml, content_type="application/fhir+xml").status in (400, 422)
    stored = client.create({"resourceType": "Patient"})
    path = f"Patient/{stored['id']}"
    assert client.put(path, {**div(inner), "id": stored["id"]}).status == 422
    patch = [{"op": "add", "path": "/text", "value": div(inner)["text"]}]
    assert client.patch(path, patch, content_type="application/json-patch+json").status == 422
    assert "text" not in client.get(path).json


PLAIN = [
    '<p class="a" style="color: red; font-weight: bold">x</p>',
    '<a href="https://example.org/a:b">x</a>',
    '<a href="#part">x</a>',
    '<a href="Patient/1">x</a>',
    '<a href="mailto:a@example.org">x</a>',
    '<img src="data:image/png;base64,AAAA" alt="x"/>',
    '<table border="1"><thead><tr><th>a</th></tr></thead><tbody><tr><td colspan="2">b</td></tr></tbody></table>',
    "<!-- a comment --><p>x &lt; y &amp;amp; &nbsp; &eacute;</p>",
    "<ul><li>x</li></ul><pre>y</pre>",
]


@pytest.mark.parametrize("inner", PLAIN)
def test_plain_formatting_is_stored_as_it_is(client: Client, inner: str) -> None:
    sent = div(f"<p>t</p>{inner}")
    assert client.create(sent)["text"] == sent["text"]


# sec-T22, sec-T23
@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "application/pdf", "text/xml"])
def test_a_browser_saves_uploaded_documents(client: Client, kind: str) -> None:
    page = b"<script>alert(1)</script>"
    stored = client.create({"resourceType": "Binary", "contentType": kind, "data": b64encode(page).decode()})
    raw = client.get(f"Binary/{stored['id']}", accept=f"{kind}, */*;q=0.1")
    if not raw.headers["Content-Type"].startswith("application/fhir"):
        assert raw.body == page
        assert raw.headers["Content-Disposition"] == "attachment"
    assert raw.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert raw.headers.getlist("Content-Security-Policy") == ["default-src 'none'; frame-ancestors 'none'; sandbox"]


def test_pictures_and_text_are_shown(client: Client) -> None:
    stored = client.create({"resourceType": "Binary", "contentType": "image/png", "data": "AAAA"})
    raw = client.get(f"Binary/{stored['id']}", accept="image/png")
    assert raw.headers["Content-Type"] == "image/png"
    assert "Content-Disposition" not in raw.headers


# sec-T24
@pytest.mark.parametrize("kind", ["text/html\r\nX-Evil: 1", "a/b\r\n\r\nbody", "a\x00/b", "nonsense", "a/b; c=\u00e9", "a/b,c/d"])
def test_a_media_type_is_no_way_into_the_headers(client: Client, kind: str) -> None:
    answer = client.post("Binary", {"resourceType": "Binary", "contentType": kind, "data": "AAAA"})
    if answer.status == 201:
        raw = client.get(f"Binary/{answer.id}", accept="application/octet-stream, text/html, a/b")
        assert raw.status == 200
        assert "X-Evil" not in raw.headers
    else:
        assert answer.status in (400, 422)
