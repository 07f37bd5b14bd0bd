"""The words of SNOMED CT's Expression Constraint Language. https://confluence.ihtsdotools.org/display/DOCECL"""

import re

from fhir_server.terminology.ecl_refinement import refused

CARDINALITY = re.compile(r"\[\s*(\d{1,9})\s*\.\.\s*(\d{1,9}|\*)\s*\]")
_TOKEN = re.compile(
    r"\s*(?:(!!>|!!<|<<!|>>!|<!|>!|<<|>>|<=|>=|!=|[<>^*(),:=.{}]"
    r"|\[\s*\d{1,9}\s*\.\.\s*(?:\d{1,9}|\*)\s*\]"
    r"|#[+-]?\d+(?:\.\d+)?(?![\w.])"
    r'|"(?:[^"\\]|\\.)*"'
    r")|([A-Za-z]+)(?![\w-])|([\w-]+)(?:\s*\|[^|]*\|)?)"
)


def unquoted(token: str) -> str:
    """What a text in quotes says; anything else as it is."""
    return token[1:-1].replace('\\"', '"').replace("\\\\", "\\") if token[:1] == '"' else token


def tokens(text: str) -> list[str]:
    """Operators, codes without their terms, words, numbers with `#`, texts in quotes, cardinalities."""
    found: list[str] = []
    place = 0
    text = text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise refused(f"{text[place : place + 10]!r} is not understood here")
        found.append(match[1] or match[2] or match[3])
        place = match.end()
    return found
