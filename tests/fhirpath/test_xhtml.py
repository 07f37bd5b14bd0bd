"""What a narrative may hold: https://hl7.org/fhir/R4/narrative.html."""

import pytest

from fhir_server.fhirpath.xhtml import problems

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'

ALLOWED = [
    "text",
    "<p>text<br/>more</p>",
    '<table class="grid" border="1"><tbody><tr><td colspan="2">x</td></tr></tbody></table>',
    '<a href="http://example.org/x">x</a>',
    '<a href="Patient/1">x</a>',
    '<a name="here">x</a>',
    '<a href="#here">x</a>',
    '<img src="#photo" alt="x"/>',
    '<img src="data:image/png;base64,AAAA" alt="x"/>',
    "<b>a&nbsp;b</b> &lt;script&gt; &#169; &eacute;",
    '<span style="color: red; font-weight: bold">x</span>',
    '<p xml:lang="fr" lang="fr" dir="ltr" title="t" id="i">x</p>',
    "<!-- a remark --><p>x</p>",
]

REFUSED = [
    "<script>x()</script>",
    "<p onclick='x()'>x</p>",
    "<a href='javascript:x()'>x</a>",
    "<a href=' JavaScript:x()'>x</a>",
    "<a href='java&#x73;cript:x()'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='data:text/html,x'>x</a>",
    "<img src='data:image/svg+xml,x'/>",
    "<iframe src='http://x'>x</iframe>",
    "<form><input/></form>",
    "<object>x</object>",
    "<svg><p>x</p></svg>",
    "<style>p {}</style>",
    "<link href='x'/>",
    "<p style='background: url(http://x)'>x</p>",
    "<p style='width: expression(x())'>x</p>",
    "<p style='w: u\\72l(x)'>x</p>",
    "<p xmlns='http://www.w3.org/2000/svg'>x</p>",
    "<p>x",
    "<p>x &nosuchentity; y</p>",
    "<![CDATA[x]]>",
    "<?php x ?>",
    "   ",
    "",
]


@pytest.mark.parametrize("body", ALLOWED)
def test_allowed(body: str) -> None:
    assert problems(DIV.format(body)) == []


@pytest.mark.parametrize("body", REFUSED)
def test_refused(body: str) -> None:
    assert problems(DIV.format(body))


WHOLE = [
    "<div>no namespace</div>",
    '<p xmlns="http://www.w3.org/1999/xhtml">x</p>',
    '<!DOCTYPE div [<!ENTITY a "b">]><div xmlns="http://www.w3.org/1999/xhtml">&a;</div>',
    DIV.format("x") + DIV.format("y"),
    "text",
    "",
    None,
    3,
]


@pytest.mark.parametrize("div", WHOLE)
def test_refused_as_a_whole(div: object) -> None:
    assert problems(div)
