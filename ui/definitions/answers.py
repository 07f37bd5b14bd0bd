"""Parameters as the pages read them: names and values, parts within parts."""

from collections.abc import Iterator, Mapping
from typing import Any


def value_of(parameter: Mapping[str, Any]) -> Any:
    """The value of a parameter; None for one that has parts."""
    return next((value for name, value in parameter.items() if name.startswith("value")), None)


def rows(answer: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The parameters of a name, each as what its parts say."""
    yield from (said(each.get("part", ())) for each in answer.get("parameter", ()) if each["name"] == name)


def values(answer: Mapping[str, Any], name: str) -> list[Any]:
    """The values of every parameter of a name."""
    return [value_of(each) for each in answer.get("parameter", ()) if each["name"] == name]


def said(parts: Any) -> dict[str, Any]:
    """Parts by name; those that come several times, or have parts themselves, as a list under the name."""
    found: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    for each in parts:
        value = said(each["part"]) if "part" in each else value_of(each)
        lists.setdefault(each["name"], []).append(value)
        found[each["name"]] = value
    return {**found, "all": lists}
