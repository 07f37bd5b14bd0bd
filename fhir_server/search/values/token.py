"""Token parameters: codings, identifiers, contact points and plain codes as keys.

https://hl7.org/fhir/R4/search.html#token. Codes recur and are remembered; identifiers and contact points belong to
one patient and are not. Only the bare code has a row in `token`: a system with it is checked on the resource's row.
Codes are also gathered by parameter (`storage.used_codes`), for searches by what a terminology says of them.
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.keys import key64, param_id, token_key
from fhir_server.search.memo import Memo
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.text import words
from fhir_server.search.values.leaf import Leaf

_PERSONAL = frozenset(
    {"string", "markdown", "id", "uri", "url", "oid", "uuid", "canonical", "dateTime", "date", "instant"}
)
# The longest system and code together, in bytes, that are gathered: an entry of an index has its limit.
_LONGEST_CODE = 2000
_Keys = tuple[int, ...]
_Codes = tuple[tuple[int, str, str, int], ...]
_Params = Sequence[tuple[str, str]]


def emitter(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of token parameters for a FHIR type; None when a token cannot be made of it."""
    if fhir_type == "CodeableConcept":
        return _codeable_concept(leaves)
    if fhir_type == "Coding":
        return _coding(leaves)
    if fhir_type == "Identifier":
        return _identifier(leaves)
    if fhir_type == "ContactPoint":
        return _contact_point(leaves)
    if fhir_type[0].islower():
        return _personal(leaves) if fhir_type in _PERSONAL else _code(leaves, fhir_type == "code")
    return None


def forms(fhir_type: str, value: Any) -> list[str]:
    """The forms `code` and `system|code` (`|code`) of a value, for composites; [] when it has none."""
    if fhir_type == "CodeableConcept":
        return [form for coding in value.get("coding", ()) if coding for form in _coding_forms(coding)]
    if fhir_type == "Coding":
        return _coding_forms(value)
    if fhir_type == "Identifier":
        return _forms(value.get("system"), value.get("value"))
    if fhir_type == "ContactPoint":
        return [value["value"]] if value.get("value") else []
    return [] if isinstance(value, (dict, list)) or value is None else [plain(value)]


def plain(value: Any) -> str:
    """The form of a primitive value."""
    if value is True:
        return "true"
    return "false" if value is False else str(value)


def _forms(system: str | None, code: str | None) -> list[str]:
    return [code, f"{system or ''}|{code}"] if code else []


def _coding_forms(coding: dict[str, Any]) -> list[str]:
    return _forms(coding.get("system"), coding.get("code"))


def _word_keys(leaves: Sequence[Leaf]) -> Memo[str, _Keys]:
    """Keys of `:text` for a text such as a display."""
    params = [(leaf.resource_type, leaf.code + ":text") for leaf in leaves]

    def make(text: str) -> _Keys:
        found = words(text)
        return tuple(token_key(kind, code, word) for kind, code in params for word in found)

    return Memo(make)


def _codes(params: _Params, system: str, code: str, form: str) -> _Codes:
    """A code as it is gathered, with the key of its exact form. What no table can hold is left out."""
    if "\x00" in system + code or len((system + code).encode("utf-8", "surrogatepass")) > _LONGEST_CODE:
        return ()
    return tuple((param_id(kind, param), system, code, token_key(kind, param, form)) for kind, param in params)


def _coding_keys(leaves: Sequence[Leaf]) -> Memo[tuple[str | None, str | None], tuple[_Keys, _Keys, _Codes]]:
    """Tokens, further keys and codes of a (system, code)."""
    params = [(leaf.resource_type, leaf.code) for leaf in leaves]

    def make(coding: tuple[str | None, str | None]) -> tuple[_Keys, _Keys, _Codes]:
        system, code = coding
        tokens = tuple(token_key(kind, param, code) for kind, param in params) if code else ()
        further = [f"{system or ''}|{code}"] if code else []
        if system:
            further.append(f"{system}|")
        keys = tuple(token_key(kind, param, form) for kind, param in params for form in further)
        return tokens, keys, _codes(params, system, code, f"{system}|{code}") if system and code else ()

    return Memo(make)


def _coding(leaves: Sequence[Leaf]) -> Emit:
    keys_of, words_of = _coding_keys(leaves), _word_keys(leaves)

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        get = value.get
        tokens, keys, codes = keys_of[get("system"), get("code")]
        rows.tokens.extend(tokens)
        rows.keys.extend(keys)
        rows.codes.extend(codes)
        display = get("display")
        if display:
            rows.keys.extend(words_of[display])

    return emit


def _codeable_concept(leaves: Sequence[Leaf]) -> Emit:
    words_of, emit_coding = _word_keys(leaves), _coding(leaves)

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        for coding in value.get("coding", ()):
            if coding:
                emit_coding(coding, rows, base)
        text = value.get("text")
        if text:
            rows.keys.extend(words_of[text])

    return emit


def _identifier(leaves: Sequence[Leaf]) -> Emit:
    params = [(leaf.resource_type, leaf.code, leaf.prefix(), leaf.prefix(":of-type")) for leaf in leaves]
    words_of = _word_keys(leaves)

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        system, text, kind = value.get("system"), value.get("value"), value.get("type")
        for resource_type, code, prefix, of_type in params:
            if system:
                rows.keys.append(token_key(resource_type, code, f"{system}|"))
            if text:
                rows.tokens.append(key64(prefix + text))
                rows.keys.append(key64(f"{prefix}{system or ''}|{text}"))
                for coding in (kind or {}).get("coding", ()):
                    if coding and "code" in coding:
                        rows.tokens.append(key64(f"{of_type}{coding.get('system', '')}|{coding['code']}|{text}"))
        if kind and "text" in kind:
            rows.keys.extend(words_of[kind["text"]])

    return emit


def _contact_point(leaves: Sequence[Leaf]) -> Emit:
    prefixes = [leaf.prefix() for leaf in leaves]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        text = value.get("value")
        if text:
            rows.tokens.extend([key64(prefix + text) for prefix in prefixes])

    return emit


def _personal(leaves: Sequence[Leaf]) -> Emit:
    prefixes = [leaf.prefix() for leaf in leaves]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        rows.tokens.extend([key64(prefix + str(value)) for prefix in prefixes])

    return emit


def _code(leaves: Sequence[Leaf], coded: bool) -> Emit:
    """`coded`: the value is of the type code, whose system is not told."""
    params = [(leaf.resource_type, leaf.code) for leaf in leaves]

    def make(form: str) -> tuple[_Keys, _Codes]:
        keys = tuple(token_key(kind, code, form) for kind, code in params)
        return keys, _codes(params, "", form, form) if coded else ()

    keys_of = Memo(make)

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        tokens, codes = keys_of[value if type(value) is str else plain(value)]
        rows.tokens.extend(tokens)
        rows.codes.extend(codes)

    return emit
