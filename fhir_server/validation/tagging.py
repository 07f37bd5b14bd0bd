"""The mark of data that was kept although it breaks rules: a tag to find it by, and the issues beside it in `meta`.

`profiles/conformance/code-systems/validation.json`, `profiles/conformance/structures/validation-issue.json`
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.core.errors import Issue

SYSTEM, CODE = "urn:salam:CodeSystem:validation", "invalid"
TAG = f"{SYSTEM}|{CODE}"
ISSUE = "urn:salam:StructureDefinition:validation-issue"
_MOST = 20
_PARTS = {
    "severity": "valueCode", "code": "valueCode", "rule": "valueString", "expression": "valueString",
    "text": "valueString",
}  # fmt: skip


def add(resource: dict[str, Any], issues: Sequence[Issue]) -> None:
    """Mark a resource, in place, with the first 20 issues; the last one says how many more there are."""
    shown = list(issues[:_MOST])
    if len(issues) > _MOST:
        text = f"And {len(issues) - _MOST} more issues: $validate tells all."
        shown.append(Issue("information", "informational", text, resource["resourceType"]))
    meta = dict(resource.get("meta", {}))
    meta["extension"] = [*meta.get("extension", ()), *map(_extension, shown)]
    meta["tag"] = [*meta.get("tag", ()), {"system": SYSTEM, "code": CODE}]
    resource["meta"] = meta


def remove(resource: dict[str, Any]) -> None:
    """Take the mark off, in place, where there is one."""
    meta = resource.get("meta")
    if meta is None or not (_marked(meta) or "extension" in meta):
        return
    meta = {
        **meta,
        "extension": [each for each in meta.get("extension", ()) if each.get("url") != ISSUE],
        "tag": [each for each in meta.get("tag", ()) if not _is_tag(each)],
    }
    resource["meta"] = {name: value for name, value in meta.items() if value != []}
    if not resource["meta"]:
        del resource["meta"]


def is_marked(resource: dict[str, Any]) -> bool:
    """Whether a stored resource is marked."""
    return _marked(resource.get("meta", {}))


def issues(resource: dict[str, Any]) -> Iterator[Issue]:
    """The issues that stand on a resource."""
    for extension in resource.get("meta", {}).get("extension", ()):
        if extension.get("url") == ISSUE:
            given = {part["url"]: part.get(_PARTS.get(part["url"], "")) for part in extension.get("extension", ())}
            yield Issue(
                given.get("severity") or "error", given.get("code") or "invalid", given.get("text") or "",
                given.get("expression"), rule=given.get("rule"),
            )  # fmt: skip


def _marked(meta: dict[str, Any]) -> bool:
    return any(map(_is_tag, meta.get("tag", ())))


def _is_tag(tag: dict[str, Any]) -> bool:
    return tag.get("system") == SYSTEM and tag.get("code") == CODE


def _extension(issue: Issue) -> dict[str, Any]:
    given = {name: getattr(issue, name) for name in _PARTS}
    parts = [{"url": name, _PARTS[name]: value} for name, value in given.items() if value]
    return {"url": ISSUE, "extension": parts}
