"""From a resource to its index rows.

Everything about a type is compiled once per set of search parameters; tenants without own parameters share it.
The form of the rows is that of docs/decisions and of `search.values`. https://hl7.org/fhir/R4/search.html
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.dates import MIN_US
from fhir_server.core.keys import compartment_key, label_key, param_id, patient_key, present_key, self_key, type_key
from fhir_server.fhirpath.allowance import Shared
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.search.content import word_emitter
from fhir_server.search.plan import Run, compile_params
from fhir_server.search.rows import IndexRows
from fhir_server.search.values.reference import local_target

__all__ = ["IndexRows", "extract", "extract_param", "primary_date"]

_PRIMARY_DATES = Path(__file__).resolve().parents[2] / "profiles" / "r4" / "primary_dates.json"

_Extract = Callable[[dict[str, Any], str], IndexRows]
_plans: WeakKeyDictionary[Registry, dict[str, _Extract]] = WeakKeyDictionary()
_by_params: dict[tuple[str, tuple[SearchParam, ...]], _Extract] = {}
_MOST_PLANS = 2048


def extract(registry: Registry, resource: dict[str, Any], base: str) -> IndexRows:
    """All index rows of a valid resource that has its id. `base`: the tenant's FHIR base URL without a closing slash.

    Values that cannot be indexed (an impossible date, a number beyond float8) give no row; nothing raises.
    """
    plans = _plans.get(registry)
    if plans is None:
        plans = _plans.setdefault(registry, {})
    resource_type = resource["resourceType"]
    plan = plans.get(resource_type)
    if plan is None:
        plan = plans[resource_type] = _plan(registry, resource_type)
    return plan(resource, base)


def extract_param(registry: Registry, param: SearchParam) -> _Extract:
    """Compiled extraction of the rows of one search parameter alone, for its backfill: `(resource, base) -> rows`."""
    # The rows of a derived parameter are those of its parts.
    derived = param.parts or param.conjuncts
    alone = _sharing(() if derived else compile_params(param.resource_type, [param], registry))

    def run(resource: dict[str, Any], base: str) -> IndexRows:
        rows = IndexRows()
        alone(resource, rows, base)
        rows.settle()
        return rows

    return run


@lru_cache(maxsize=1)
def _primary_dates() -> Mapping[str, str]:
    table: dict[str, str] = json.loads(_PRIMARY_DATES.read_text(encoding="utf-8"))
    return table


def primary_date(resource_type: str) -> str | None:
    """Code of the date parameter whose value is the type's `ts`; None when a type has no clinical time."""
    return _primary_dates().get(resource_type)


def _access_keys(resource: dict[str, Any], rows: IndexRows, base: str) -> None:
    """Keys by which it is decided who may see the resource, beside those of its patients: security labels, and the
    patient that a Binary names as its context."""
    for label in resource.get("meta", {}).get("security", ()):
        if "code" in label:
            rows.keys.append(label_key(label.get("system"), label["code"]))
    context = resource.get("securityContext")
    if context is not None and "reference" in context:
        rows.keys.append(present_key("Binary", "securityContext"))
        _, kind, local_id = local_target(context["reference"], base)
        if kind == "Patient" and local_id is not None:
            rows.keys.append(patient_key(local_id))


def _plan(registry: Registry, resource_type: str) -> _Extract:
    every = registry.search_params(resource_type).values()
    params = tuple([param for param in every if not param.parts and not param.conjuncts])
    found = _by_params.get((resource_type, params))
    if found is None:
        if len(_by_params) >= _MOST_PLANS:
            _by_params.clear()
        own = _runs(registry, resource_type, [param for param in params if not param.is_base])
        base = _runs(registry, resource_type, [param for param in params if param.is_base])
        runs = (*base, word_emitter(resource_type), *([_sharing(own)] if own else []))
        found = _by_params[resource_type, params] = _extraction(registry, resource_type, runs)
    return found


def _sharing(runs: Sequence[Run]) -> Run:
    """The tenant's own parameters. One that takes too long has no rows, and keeps nobody from writing."""

    def run(resource: dict[str, Any], rows: IndexRows, base: str) -> None:
        with Shared():
            for each in runs:
                each(resource, rows, base)

    return run


def _runs(registry: Registry, resource_type: str, params: Sequence[SearchParam]) -> tuple[Run, ...]:
    try:
        return compile_params(resource_type, params, registry)
    except FhirPathError:
        # An own parameter that came past the check (older data) must not keep its tenant from writing.
        return compile_params(resource_type, [param for param in params if _compiles(registry, param)], registry)


def _compiles(registry: Registry, param: SearchParam) -> bool:
    try:
        compile_params(param.resource_type, [param], registry)
    except FhirPathError:
        return False
    return True


def _extraction(registry: Registry, resource_type: str, runs: Sequence[Run]) -> _Extract:
    own_key = type_key(resource_type)
    is_compartment = resource_type in registry.compartments
    primary = primary_date(resource_type)
    primary_param = None if primary is None else param_id(resource_type, primary)

    def run(resource: dict[str, Any], base: str) -> IndexRows:
        rows = IndexRows()
        rows.tokens.append(own_key)
        rows.records.append(own_key)
        if is_compartment and "id" in resource:
            rows.tokens.append(compartment_key(resource_type, resource["id"], resource_type))
            if resource_type == "Patient":
                rows.records.append(rows.tokens[-1])
                rows.keys += (patient_key(resource["id"]), self_key(resource_type, resource["id"]))
        for each in runs:
            each(resource, rows, base)
        _access_keys(resource, rows, base)
        if primary_param is not None:
            starts = [lo for param, lo, _ in rows.dates if param == primary_param and lo != MIN_US]
            if starts:
                rows.ts = min(starts)
        rows.settle()
        return rows

    return run
