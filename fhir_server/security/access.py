"""What a principal may see and change, compiled once into conditions on rows.

For each resource type and letter (c, r, u, d, s) there is a rule: alternatives of which one must hold, each a
conjunction of a patient compartment and of the search parameters of a granular scope. Scopes give the alternatives; for
a user they are cut to the rights of the role. Over all stand the security labels that are withheld from the role.
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Principal
from fhir_server.core.errors import FhirError
from fhir_server.core.keys import compartment_key, label_key, patient_key, present_key, self_key, token_key, type_key
from fhir_server.search.leaves import Keys
from fhir_server.search.terms import condition
from fhir_server.search.tree import SURE, And, Node, Not, Or, TypeIs, all_of, any_of
from fhir_server.security.consent_node import opened_keys
from fhir_server.security.roles import Role, roles, shared_types
from fhir_server.security.scopes import Scope

_READING = "rs"
_MOST_FILTERS = 512
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_NEVER_OPENED = label_key(_CONFIDENTIALITY, "V")


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to have a right. `patients`: of whose compartments the row must be in one (None: no matter); `nodes`:
    what it must meet besides."""

    patients: tuple[str, ...] | None = None
    nodes: tuple[Node, ...] = ()

    def typed(self, resource_type: str) -> Node | None:
        """The condition for rows of one type, which an index can answer; None when there is none."""
        own: tuple[Node, ...] = ()
        if self.patients is not None:
            keys = tuple([compartment_key("Patient", each, resource_type) for each in self.patients])
            own = (Keys(keys, True, SURE),)
        nodes = (*own, *self.nodes)
        return all_of(nodes) if nodes else None

    def untyped(self) -> Node | None:
        """The same as a check on a row of any type."""
        own: tuple[Node, ...] = ()
        if self.patients is not None:
            own = (Keys(tuple([patient_key(each) for each in self.patients]), False),)
        nodes = (*own, *self.nodes)
        return all_of(nodes) if nodes else None


_WHOLE = Alternative()
Rules = tuple[Alternative, ...]


class Access:
    """The rights of one principal under one registry. Immutable but for what it remembers.

    `by_consent`: consents of patients may hide rows from the caller.
    """

    def __init__(self, registry: Registry, principal: Principal, *, by_consent: bool = False) -> None:
        self._registry = registry
        self._by_consent = by_consent
        self._principal = principal
        self._role = roles().get(principal.user.role) if principal.user else None
        self._rules: dict[tuple[str, str], Rules] = {}
        self._readable: dict[str, frozenset[str] | None] = {}
        self._filters: dict[tuple[tuple[str, ...], str], list[Node]] = {}
        self._open_labels = withheld(principal, self._role)
        self._closed_labels = withheld(replace(principal, opened=()), self._role)

    def rule(self, resource_type: str, letter: str) -> Rules:
        """The alternatives of a right; () when it is not there at all."""
        found = self._rules.get((resource_type, letter))
        if found is None:
            found = self._rules[resource_type, letter] = self._compiled(resource_type, letter)
        return found

    def readable(self, letter: str) -> frozenset[str] | None:
        """The types of which some rows at least may be seen; None means all."""
        if letter not in self._readable:
            names = frozenset(name for name in self._registry.resource_types if self.rule(name, letter))
            whole = len(names) == len(self._registry.resource_types)
            self._readable[letter] = None if whole else names
        return self._readable[letter]

    def whole(self, resource_type: str, letter: str) -> bool:
        """Whether the right holds whatever patient or content a resource has."""
        return self.rule(resource_type, letter) == (_WHOLE,)

    def patients(self, resource_type: str, letter: str) -> frozenset[str] | None:
        """The patients to whose records the right is limited; None when it is to none."""
        rules = self.rule(resource_type, letter)
        if any(each.patients is None for each in rules):
            return None
        return frozenset(patient for each in rules for patient in each.patients or ())

    def record_keys(self, types: Sequence[str], letter: str) -> list[int] | None:
        """Index keys of every row of these types that the caller may see, and of few others, for one who is limited to
        some patients' records; None for any other."""
        found: list[int] = []
        limited = False
        for name in types:
            for each in self.rule(name, letter):
                if each.patients is None:
                    found.append(type_key(name))
                else:
                    limited = True
                    found.extend(compartment_key("Patient", patient, name) for patient in each.patients)
        return list(dict.fromkeys(found)) if limited else None

    def chooses_ids(self, resource_type: str) -> bool:
        """Whether the caller may say under which id a new resource stands: only who is hidden nothing of the type, for
        else a taken id would look different from a free one."""
        return self.whole(resource_type, "u") and not self._closed_labels

    def limits(self, resource_type: str, letter: str) -> list[Node]:
        """The conditions on rows of one type, all of which must hold."""
        alternatives = [each.typed(resource_type) for each in self.rule(resource_type, letter)]
        return [*_either(alternatives), *self._labels(letter)]

    def limits_of(self, types: Sequence[str], letter: str) -> list[Node]:
        """The conditions on rows of several types, for a search that begins with them: keys that an index holds."""
        if all(self.whole(name, letter) for name in types):
            return list(self._labels(letter))
        simple: list[int] = []
        others: list[Node] = []
        for name in types:
            for each in self.rule(name, letter):
                node = each.typed(name)
                if node is None:
                    simple.append(type_key(name))
                elif isinstance(node, Keys):
                    simple.extend(node.keys)
                else:
                    others.append(And((Keys((type_key(name),)), node)))
        keys: list[Node] = [Keys(tuple(simple))] if simple else []
        return [any_of([*keys, *others]), *self._labels(letter)]

    def filters_of(self, types: Sequence[str], letter: str) -> list[Node]:
        """The conditions on a row in hand, which is known to be of one of these types."""
        place = tuple(types), letter
        found = self._filters.get(place)
        if found is None:
            if len(self._filters) >= _MOST_FILTERS:
                self._filters.clear()
            found = self._filters[place] = self._filtered(*place)
        return found

    def _filtered(self, types: tuple[str, ...], letter: str) -> list[Node]:
        groups: dict[Rules, list[int]] = {}
        for name in types:
            groups.setdefault(self.rule(name, letter), []).append(self._registry.type_ids[name])
        if list(groups) == [(_WHOLE,)]:
            return list(self._labels(letter))
        parts = []
        for rules, ids in groups.items():
            checks = _either([each.untyped() for each in rules]) if rules else [any_of([])]
            # Of a single type its statement asks already.
            parts.append(all_of(checks if len(types) == 1 and checks else [TypeIs(tuple(ids)), *checks]))
        return [any_of(parts), *self._labels(letter)]

    def covers(self, resource_type: str, letter: str, keys: Iterable[int]) -> bool:
        """Whether a version with these keys is within the right. Labels count for reading only: who may write a
        resource may also raise its label beyond what he may read."""
        rules = self.rule(resource_type, letter)
        labels = self._labels(letter) if letter in _READING else ()
        if rules == (_WHOLE,) and not labels:
            return True
        held = frozenset(keys)
        if not all(holds(node, held) for node in labels):
            return False
        return any((node := each.untyped()) is None or holds(node, held) for each in rules)

    def _labels(self, letter: str) -> tuple[Node, ...]:
        """Break-glass opens a record for reading only."""
        return self._open_labels if letter in _READING else self._closed_labels

    def _compiled(self, resource_type: str, letter: str) -> Rules:
        found: dict[Alternative, None] = {}
        for right in self._principal.scopes.rights:
            if letter in right.letters and right.type in ("*", resource_type):
                found.update(dict.fromkeys(self._alternatives(right, resource_type, letter)))
        if resource_type == "Binary" and letter in _READING and _WHOLE in found and not self._reads_all():
            # What a securityContext protects is not open to every reader of Binary (interactions/read.py).
            return (Alternative(None, (Not(Keys((present_key("Binary", "securityContext"),), False)),)),)
        return (_WHOLE,) if _WHOLE in found else tuple(found)

    def _reads_all(self) -> bool:
        if self._open_labels or self._by_consent:
            return False
        return all(self.whole(name, "r") for name in self._registry.resource_types if name != "Binary")

    def _alternatives(self, right: Scope, resource_type: str, letter: str) -> list[Alternative]:
        nodes = _granular(self._registry, resource_type, right.query)
        if nodes is None:
            return []
        user = self._principal.user
        if user is None:
            own: list[Alternative] = [_WHOLE]
        else:
            own = self._of_role(resource_type, letter)
        if right.context == "patient":
            patient = self._principal.patient
            own = [] if patient is None else [each for each in own if _may_open(each, patient)]
            own = [self._of_patients(resource_type, letter, (patient or "",), each.nodes) for each in own]
            own = [each for each in own if each.patients != ()]
        elif right.context == "system" and user is not None:
            return []
        return [Alternative(each.patients, (*each.nodes, *nodes)) for each in own]

    def _of_role(self, resource_type: str, letter: str) -> list[Alternative]:
        found = []
        for right in self._role.rights if self._role else ():
            if letter not in right.letters or right.type not in ("*", resource_type):
                continue
            nodes = _granular(self._registry, resource_type, right.query)
            if nodes is None:
                continue
            if right.context == "patient":
                patients = self._principal.user.patients if self._principal.user else ()
                found.append(self._of_patients(resource_type, letter, patients, nodes))
            else:
                found.append(Alternative(None, nodes))
        return [each for each in found if each.patients != ()]

    def _of_patients(
        self, resource_type: str, letter: str, patients: tuple[str, ...], nodes: tuple[Node, ...]
    ) -> Alternative:
        """The right to what belongs to these patients. No patients: no right, told by `patients == ()`."""
        if not patients:
            return Alternative(())
        if resource_type in shared_types():
            return Alternative(None, nodes) if letter in _READING else Alternative(())
        if resource_type == "Device":
            # A device is nobody's, or a patient's own: it is in no compartment.
            return Alternative(None, (*nodes, _device(patients))) if letter in _READING else Alternative(())
        if resource_type == "Binary":
            # Its securityContext decides; a Patient there is among its keys.
            return Alternative(None, (*nodes, Keys(tuple([patient_key(p) for p in patients]), False)))
        if not self._registry.compartments["Patient"].get(resource_type) and resource_type != "Patient":
            return Alternative(())
        if resource_type == "Patient" and letter not in _READING:
            # Patient.link puts another Patient into the compartment too; that opens it for reading only.
            own = Keys(tuple([self_key("Patient", each) for each in patients]), False)
            return Alternative(patients, (*nodes, own))
        return Alternative(patients, nodes)


def _may_open(own: Alternative, patient: str) -> bool:
    return own.patients is None or patient in own.patients


def _device(patients: Sequence[str]) -> Node:
    mine = Keys(tuple([token_key("Device", "patient", f"Patient/{each}") for each in patients]), False)
    return Or((mine, Not(Keys((present_key("Device", "patient"),), False))))


def _either(nodes: Sequence[Node | None]) -> list[Node]:
    if any(node is None for node in nodes):
        return []
    return [any_of([node for node in nodes if node is not None])]


@lru_cache(maxsize=4096)
def _granular(
    registry: Registry, resource_type: str, query: tuple[tuple[str, str], ...]
) -> tuple[Node, ...] | None:
    """The search parameters of a granular scope as conditions on the row. None when one is not a plain token parameter:
    what cannot be enforced exactly gives no right."""
    nodes: list[Node] = []
    for name, value in query:
        node = _token(registry, resource_type, name, value)
        if node is None:
            return None
        nodes.append(node)
    return tuple(nodes)


def _token(registry: Registry, resource_type: str, name: str, value: str) -> Keys | None:
    param = registry.search_params(resource_type).get(name)
    if param is None or param.type != "token" or name == "_id":
        return None
    try:
        # A plain token parameter does not ask who asks.
        node = condition(registry, resource_type, name)(value, None)  # type: ignore[arg-type]
    except FhirError:
        return None
    if isinstance(node, And):
        node = node.of[-1]
    return Keys(node.keys, False) if isinstance(node, Keys) else None


def enforceable(registry: Registry, right: Scope) -> bool:
    """Whether a right can be enforced exactly: its type exists and its parameters are plain tokens of the type."""
    if right.type == "*":
        return not right.query
    return right.type in registry.type_ids and _granular(registry, right.type, right.query) is not None


def withheld(principal: Principal, role: Role | None) -> tuple[Node, ...]:
    """What the security labels on a row must be for the principal to see it."""
    if role is None or not role.withheld:
        return ()
    hidden = Not(Keys(_label_keys(role.withheld), False))
    opened = opened_keys(principal)
    if not opened:
        return (hidden,)
    return (Or((hidden, And((Keys(opened, False), Not(Keys((_NEVER_OPENED,), False)))))),)


@lru_cache(maxsize=64)
def _label_keys(labels: frozenset[str]) -> tuple[int, ...]:
    found = []
    for label in sorted(labels):
        system, _, code = label.rpartition("|")
        found.append(label_key(system, code))
    return tuple(found)


def holds(node: Node, keys: frozenset[int]) -> bool:
    """Whether a resource with these keys meets a condition that is made of keys."""
    if isinstance(node, Keys):
        return not keys.isdisjoint(node.keys)
    if isinstance(node, Not):
        return not holds(node.of, keys)
    if isinstance(node, And):
        return all(holds(each, keys) for each in node.of)
    if isinstance(node, Or):
        return any(holds(each, keys) for each in node.of)
    raise TypeError("not a condition on keys")
