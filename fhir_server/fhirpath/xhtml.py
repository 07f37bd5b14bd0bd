"""The rules for a narrative's `div`: plain formatting, nothing active, nothing fetched by scripts.

https://hl7.org/fhir/R4/narrative.html#xhtml (invariants txt-1 and txt-2)
"""

import re
from functools import lru_cache
from html.entities import name2codepoint
from xml.parsers import expat

import jsonschema_rs

NAMESPACE = "http://www.w3.org/1999/xhtml"

ELEMENTS = frozenset({
    "a", "abbr", "acronym", "address", "area", "b", "bdo", "big", "blockquote", "br", "caption", "cite", "code",
    "col", "colgroup", "dd", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img",
    "kbd", "li", "map", "ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellpadding", "cellspacing", "char",
    "charoff", "charset", "cite", "class", "clear", "color", "colspan", "compact", "coords", "dir", "frame",
    "headers", "height", "href", "hreflang", "id", "ismap", "lang", "longdesc", "name", "nohref", "noshade",
    "nowrap", "rel", "rev", "rowspan", "rules", "scope", "shape", "size", "span", "src", "start", "style",
    "summary", "tabindex", "title", "type", "usemap", "valign", "value", "width", "xml:lang", "xml:space", "xmlns",
})  # fmt: skip
_LINKS = frozenset({"href", "src", "cite", "longdesc", "usemap"})
# Browsers leave out white space and control characters before they look at a URL's scheme, also within it.
_IGNORED = re.compile(r"[\x00-\x20\x7f-\xa0]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "ftp", "cid", "urn"})
_IMAGE_DATA = re.compile(r"\s*data:image/(?:png|jpe?g|gif|webp|bmp)[;,]", re.IGNORECASE)
_ACTIVE_STYLE = re.compile(
    r"(?:url|image|image-set|src|cross-fade|element|expression)\s*\(|@|javascript:|behavior\s*:|-moz-binding"
    r"|position\s*:\s*(?:fixed|sticky)|\\|/\*",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = frozenset({"lt", "gt", "amp", "quot", "apos"})

# A div without attributes, comments and foreign entities, with some text. It runs in the regex engine that comes with
# jsonschema-rs, several times faster than Python could look.
_ROOT = f'<div xmlns="{NAMESPACE}">'
_NAMES = "|".join(sorted(ELEMENTS))
_MARKUP = f"</?(?:{_NAMES})>|<(?:{_NAMES}) ?/>|&(?:lt|gt|amp|quot|apos);"
_CHARACTER = r"<&\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}"
_PLAIN = jsonschema_rs.Draft202012Validator(
    {
        "pattern": rf"^{_ROOT}(?:{_MARKUP}|[ \t\r\n])*[^\s{_CHARACTER}](?:{_MARKUP}|[^{_CHARACTER}])*</div>[ \t\r\n]*$"
    },
    pattern_options=jsonschema_rs.RegexOptions(),
)
_TAG = re.compile(r"<[^>]*>")
_MOST_KEPT = 500

EMPTY = "The narrative must have some content besides white space."


class _Refused(Exception):
    pass


def problems(div: object) -> list[str]:
    """What is wrong with a narrative's `div`, as sentences; [] when it may be stored.

    Names elements and attributes of XHTML, never text of the narrative. Stops at the first thing that is wrong.
    """
    if not isinstance(div, str):
        return ["The narrative must be XHTML in a string."]
    if _is_plain(div):
        return []
    if "<!" in div.replace("<!--", "") or "<?" in div:
        return ["The narrative must not hold declarations or processing instructions."]
    if "&" in div:
        div = _ENTITY.sub(_character, div)
    return _parsed(div)


def _parsed(div: str) -> list[str]:
    checker = _Checker()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = checker.element
    parser.CharacterDataHandler = checker.text
    parser.CommentHandler = checker.comment
    try:
        parser.Parse(div, True)
    except expat.ExpatError as error:
        return [f"The narrative is not well-formed XHTML ({expat.ErrorString(error.code)} in line {error.lineno})."]
    except _Refused as refused:
        return [f"{refused} (line {parser.CurrentLineNumber}, column {parser.CurrentColumnNumber + 1})"]
    return [] if checker.content else [EMPTY]


def _is_plain(div: str) -> bool:
    """Whether a div is seen to be right without parsing its text: allowed tags without attributes in a right order, and
    text in which nothing but ordinary characters and XML's own entities stand. False says nothing."""
    try:
        if "]]>" in div or not _PLAIN.is_valid(div):
            return False
    except UnicodeEncodeError:
        return False
    tags = _TAG.findall(div)
    return len(tags) <= _MOST_KEPT and _is_well_formed("".join(tags))


@lru_cache(maxsize=2048)
def _is_well_formed(tags: str) -> bool:
    """Whether tags without text are XML. The narratives of one system have the same few orders of tags."""
    try:
        expat.ParserCreate().Parse(tags, True)
    except expat.ExpatError:
        return False
    return True


def _character(match: re.Match[str]) -> str:
    name = match[1]
    point = None if name in _XML_ENTITIES else name2codepoint.get(name)
    return match[0] if point is None else f"&#{point};"


class _Checker:
    def __init__(self) -> None:
        self.content = False
        self.started = False

    def element(self, name: str, attributes: dict[str, str]) -> None:
        if not self.started:
            self.started = True
            if name != "div" or attributes.get("xmlns") != NAMESPACE:
                raise _Refused(f'The narrative must be one <div xmlns="{NAMESPACE}">.')
        if name not in ELEMENTS:
            raise _Refused(f"The narrative must not hold the element <{name}>.")
        if name == "img":
            self.content = True
        for attribute, value in attributes.items():
            _check_attribute(name, attribute, value)

    def text(self, data: str) -> None:
        if not self.content and not data.isspace():
            self.content = True

    def comment(self, data: str) -> None:
        # HTML ends a comment where XML does not (<!-->, --!>), and what follows would come to life in a browser.
        if "<" in data or ">" in data:
            raise _Refused("The narrative must not hold markup in a comment.")


def _check_attribute(element: str, attribute: str, value: str) -> None:
    if attribute not in ATTRIBUTES:
        raise _Refused(f"The narrative must not hold the attribute '{attribute}' (on <{element}>).")
    if attribute == "xmlns" and value != NAMESPACE:
        raise _Refused(f"The narrative must be of the namespace {NAMESPACE} throughout.")
    if attribute in _LINKS:
        scheme = _SCHEME.match(_IGNORED.sub("", value))
        image = element == "img" and _IMAGE_DATA.match(value)
        if scheme and scheme[1].lower() not in _SCHEMES and not image:
            raise _Refused(f"The narrative has a link (on <{element}>) of a kind that is not allowed.")
    if attribute == "style" and _ACTIVE_STYLE.search(value):
        raise _Refused(f"The narrative has a style (on <{element}>) that could load or run something.")
