"""What a narrative may hold: https://hl7.org/fhir/R4/narrative.html."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_server.fhirpath.xhtml import _is_plain, _parsed, problems

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


PIECES = st.sampled_from([
    "<p>", "</p>", "<br/>", "<br>", "<b>", "</b>", "<div>", "</div>", "<script>", "</script>", "<p >", "<P>", "<p class='x'>",
    "x", " ", "\n", "&lt;", "&amp", "&#32;", "&nbsp;", "]]>", "<", ">", "a > b", "<!-- x -->", "\x0b", "\ufffe", "\ud800", "\xa0",
    '<div xmlns="http://www.w3.org/1999/xhtml">', "<b/>", "<img/>", "é", "<p/ >", "</ p>", "< p>",
])  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from(["", " ", "\n", "x", ">", "\xa0", "</div>"]))
@example("<p><b>x</b></p>", "")
@example("<p><b>x</p></b>", "")
def test_what_is_seen_without_parsing_is_what_the_parser_says(inside: str, after: str) -> None:
    """A div of plain tags is not parsed; that answers as the parser does, or not at all."""
    div = DIV.format(inside) + after
    if _is_plain(div):
        assert _parsed(div) == []


def test_plain_ones_are_seen_and_others_are_not() -> None:
    assert _is_plain(DIV.format("<p>x &lt; <b>y</b><br/></p>") + "\n")
    for odd in ("<p class='x'>x</p>", "<script>x</script>", "<p>x", "<p> </p>", "x]]>", "&#169;", "<!-- x -->x", "a < b"):
        assert not _is_plain(DIV.format(odd)), odd
