"""JSON Patch on a resource. RFC 6902, https://hl7.org/fhir/R4/http.html#patch"""

import copy
import re
from collections.abc import Callable
from typing import Any

from fhir_server.core.errors import FhirError, Invalid, Unprocessable

_PROTECTED = ("/id", "/resourceType", "/meta/versionId", "/meta/lastUpdated")
_ABSENT = object()
_INDEX = re.compile("0|[1-9][0-9]{0,8}")


def apply_json_patch(resource: dict[str, Any], patch: list[Any]) -> dict[str, Any]:
    """The resource after all operations of the patch, in order; the input stays as it is.

    Raises `Invalid` for a malformed operation, `Unprocessable` for one that cannot be applied; both name `[index]`.
    """
    document: Any = copy.deepcopy(resource)
    for index, step in enumerate(patch):
        try:
            document = _apply(document, step)
        except FhirError as error:
            raise error.within(f"[{index}]") from None
    if not isinstance(document, dict):
        raise Unprocessable("The patch leaves something that is no resource.")
    without_hollows(document)
    return document


def without_hollows(value: Any) -> bool:
    """Take out lists and objects that operations have emptied, which FHIR does not have. Whether anything is left.

    The lists beside primitives (`_given`) keep their places, which correspond to those of the values.
    """
    if isinstance(value, dict):
        for key, child in list(value.items()):
            if key[:1] == "_" and isinstance(child, list):
                child[:] = [item if without_hollows(item) else None for item in child]
                if all(item is None for item in child):
                    del value[key]
            elif not without_hollows(child):
                del value[key]
        return bool(value)
    if isinstance(value, list):
        value[:] = [child for child in value if without_hollows(child)]
        return bool(value)
    return True


def _apply(document: Any, step: Any) -> Any:
    if not isinstance(step, dict) or not isinstance(step.get("path"), str):
        raise Invalid("Every operation is an object with op and path.", expression="path", code="structure")
    operation = _OPERATIONS.get(step["op"]) if isinstance(step.get("op"), str) else None
    if operation is None:
        raise Invalid(f"op is one of {', '.join(_OPERATIONS)}.", expression="op", code="value")
    return operation(document, step)


def _add(document: Any, step: dict[str, Any]) -> Any:
    return _put(document, _path(step), copy.deepcopy(_value(step)), insert=True)


def _replace(document: Any, step: dict[str, Any]) -> Any:
    path = _path(step)
    _get(document, path)
    return _put(document, path, copy.deepcopy(_value(step)), insert=False)


def _remove(document: Any, step: dict[str, Any]) -> Any:
    return _drop(document, _path(step))


def _move(document: Any, step: dict[str, Any]) -> Any:
    source, target = _path(step, "from"), _path(step)
    if target[: len(source)] == source and target != source:
        raise Unprocessable("A value cannot be moved into itself.", expression="path")
    value = _get(document, source)
    return _put(_drop(document, source), target, value, insert=True)


def _copy(document: Any, step: dict[str, Any]) -> Any:
    return _put(document, _path(step), copy.deepcopy(_get(document, _path(step, "from"))), insert=True)


def _test(document: Any, step: dict[str, Any]) -> Any:
    found = _get(document, _path(step, protect=False))
    if not _same(found, _value(step)):
        raise Unprocessable("The test operation does not hold.", expression="value", code="conflict")
    return document


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values: numbers by value (1.0 is 1.00), and true is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


_OPERATIONS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _value(step: dict[str, Any]) -> Any:
    if "value" not in step:
        raise Invalid("The operation needs a value.", expression="value", code="required")
    return step["value"]


def _path(step: dict[str, Any], name: str = "path", *, protect: bool = True) -> list[str]:
    text = step.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise Invalid(f"{name} is a JSON Pointer such as /name/0/family.", expression=name, code="value")
    if protect and (name == "path" or step["op"] == "move") and text in ("", *_PROTECTED):
        raise Unprocessable("A patch cannot change id, resourceType or what the server sets in meta.", expression=name)
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _child(node: Any, part: str) -> Any:
    if isinstance(node, dict):
        return node.get(part, _ABSENT)
    index = _index(part) if isinstance(node, list) else None
    return node[index] if index is not None and index < len(node) else _ABSENT


def _index(part: str) -> int | None:
    """A list index as JSON Pointer writes it, without leading zeros; None for anything else."""
    return int(part) if _INDEX.fullmatch(part) else None


def _get(document: Any, path: list[str]) -> Any:
    node = document
    for part in path:
        node = _child(node, part)
        if node is _ABSENT:
            raise Unprocessable("The path leads to nothing.", expression="path", code="not-found")
    return node


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _get(document, path[:-1]), path[-1]
    index = _index(last) if isinstance(parent, list) else None
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and last == "-" and insert:
        parent.append(value)
    elif index is not None and index <= len(parent):
        if insert:
            parent.insert(index, value)
        else:
            parent[index] = value
    else:
        raise Unprocessable("The path leads to nothing that can be set.", expression="path", code="not-found")
    return document


def _drop(document: Any, path: list[str]) -> Any:
    _get(document, path)
    parent, last = _get(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        del parent[last]
    else:
        del parent[int(last)]
    return document
