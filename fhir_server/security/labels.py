"""Security labels in `meta.security`: who may take them off, and the mark of a Bundle.

https://hl7.org/fhir/R4/security-labels.html, https://hl7.org/fhir/uv/security-label-ds4p/
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_server.core.errors import Forbidden

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
# From the least to the most confidential. A resource without a label is N.
LEVELS = ("U", "L", "M", "N", "R", "V")
_NORMAL = LEVELS.index("N")
# Labels that would tell by themselves that something is kept back.
_REVEALING = frozenset("MASK NODSCLCD NODSCLCDS NOAUTH NOREDISCLOSE PERSISTLABEL PRIVMARK REDACT".split())

Label = tuple[str, str]


def labels_of(resource: Mapping[str, Any]) -> tuple[Label, ...]:
    """(system, code) of the labels of a resource, in their order."""
    codings = resource.get("meta", {}).get("security", ())
    return tuple([(coding.get("system", ""), coding["code"]) for coding in codings if "code" in coding])


def check_change(before: Mapping[str, Any] | None, after: Mapping[str, Any], may_relabel: bool) -> None:
    """Raise `Forbidden` when the change takes a label off or lowers the confidentiality and the writer may not.

    `before`: the resource as stored, None for a new one; `may_relabel`: the right `relabel`.
    """
    if may_relabel or before is None:
        return
    old, new = labels_of(before), labels_of(after)
    gone = [label for label in old if label not in new and label[0] != CONFIDENTIALITY]
    if gone or _level(new) < _level(old):
        raise Forbidden(
            "To take a security label off, or to lower the confidentiality, needs the right to relabel. Send the"
            " resource with the labels that it has.",
            expression=f"{after.get('resourceType', 'Resource')}.meta.security",
        )


def _level(labels: Iterable[Label]) -> int:
    found = [LEVELS.index(code) for system, code in labels if system == CONFIDENTIALITY and code in LEVELS]
    return max(found, default=_NORMAL)


def bundle_label(resources: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The high-water mark for a Bundle's meta.security: the highest confidentiality of its resources, and each of their
    other labels once, without those that tell that something is kept back; [] when no resource has a label."""
    found: dict[Label, None] = {}
    unlabelled = False
    for resource in resources:
        labels = labels_of(resource)
        found.update(dict.fromkeys(labels))
        unlabelled = unlabelled or not any(system == CONFIDENTIALITY for system, _ in labels)
    if not found:
        return []
    return [{"system": system, "code": code} for system, code in _marked(tuple(found), unlabelled)]


def _marked(labels: Sequence[Label], unlabelled: bool) -> list[Label]:
    levels = [LEVELS.index(code) for system, code in labels if system == CONFIDENTIALITY and code in LEVELS]
    highest = max([*levels, _NORMAL] if unlabelled or not levels else levels)
    others = [
        label for label in labels if label[0] and label[0] != CONFIDENTIALITY and label[1] not in _REVEALING
    ]
    return [(CONFIDENTIALITY, LEVELS[highest]), *others]
