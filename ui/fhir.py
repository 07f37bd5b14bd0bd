"""FHIR as the person at the browser: each call is one request to the server, in this process, with the person's own
access token. Nothing here can do what a client with that token could not.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import g

from fhir_server.authorization_server import browser
from fhir_server.core.messages import FHIR_JSON, FhirRequest, FhirResponse
from fhir_server.core.resource_json import decode, encode
from fhir_server.rest import dispatch

Resource = dict[str, Any]
Params = Mapping[str, Any] | Sequence[tuple[str, Any]]
_PATCH = "application/json-patch+json"
_ISSUE = "urn:salam:CodeSystem:issue"


class Refused(Exception):
    """The server's answer was an error: `status` and its OperationOutcome."""

    def __init__(self, status: int, outcome: Resource) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.outcome = outcome

    @property
    def issues(self) -> list[Resource]:
        """The issues of the outcome."""
        return list(self.outcome.get("issue", ()))

    @property
    def text(self) -> str:
        """What is wrong, in the server's (English) words."""
        return " ".join(str(each.get("details", {}).get("text", "")) for each in self.issues).strip()

    @property
    def detail(self) -> str:
        """The code of `urn:salam:CodeSystem:issue` that tells programs why; "" when there is none."""
        for each in self.issues:
            for coding in each.get("details", {}).get("coding", ()):
                if coding.get("system") == _ISSUE:
                    return str(coding.get("code", ""))
        return ""

    @property
    def expression(self) -> str:
        """The path of the first element that is wrong; "" when none is named."""
        return next((str(path) for each in self.issues for path in each.get("expression", ())), "")

    @property
    def contained(self) -> list[Resource]:
        """Resources that help, such as other free times."""
        return list(self.outcome.get("contained", ()))


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search: what matched, and what was included. `total`: None where it was not asked for."""

    resources: list[Resource]
    included: list[Resource] = field(default_factory=list)
    total: int | None = None
    next: str = ""

    def of(self, resource_type: str) -> list[Resource]:
        """Everything of a type, matched or included."""
        return [each for each in (*self.resources, *self.included) if each["resourceType"] == resource_type]

    @property
    def by_reference(self) -> dict[str, Resource]:
        """Everything by `Type/id`."""
        return {f"{each['resourceType']}/{each.get('id')}": each for each in (*self.resources, *self.included)}


# -- interactions ------------------------------------------------------------------------------------------------------


def read(reference: str) -> Resource:
    """A resource by `Type/id`, or a version by `Type/id/_history/n`. Raises `Refused`."""
    return _asked("GET", reference)


def search(resource_type: str, params: Params | None = None) -> Found:
    """One page of a search. A list as value repeats the parameter; None leaves it out. Raises `Refused`."""
    return _found(_asked("GET", resource_type, _pairs(params)))


def page_after(url: str) -> Found:
    """The page that `Found.next` leads to."""
    path, _, query = url.partition("?")
    return _found(_asked("GET", path.rpartition("/fhir/")[2], parse_qsl(query, keep_blank_values=True)))


def create(resource: Resource, *, if_none_exist: str = "") -> Resource:
    """A new resource as it was stored. Raises `Refused`."""
    headers = {"if-none-exist": if_none_exist} if if_none_exist else {}
    return _asked("POST", resource["resourceType"], body=resource, headers=headers)


def update(resource: Resource, *, if_match: str | None = None) -> Resource:
    """The next version of a resource. `if_match`: only over this version (`3`), else 412. Raises `Refused`."""
    path = f"{resource['resourceType']}/{resource['id']}"
    return _asked("PUT", path, body=resource, headers=_over(if_match))


def patch(reference: str, operations: Sequence[Resource], *, if_match: str | None = None) -> Resource:
    """The next version, made by a JSON Patch. RFC 6902. Raises `Refused`."""
    return _asked("PATCH", reference, body=list(operations), headers={**_over(if_match), "content-type": _PATCH})


def delete(reference: str, *, if_match: str | None = None) -> None:
    """Delete a resource. Raises `Refused`."""
    _asked("DELETE", reference, headers=_over(if_match))


def history(reference: str, params: Params | None = None) -> Resource:
    """A history Bundle. Raises `Refused`."""
    return _asked("GET", f"{reference}/_history", _pairs(params))


def transaction(entries: Sequence[Resource]) -> Resource:
    """Several changes, all or none; the answering Bundle. Raises `Refused`."""
    return _asked("POST", "", body={"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


def gather(requests: Sequence[str | tuple[str, Params]]) -> list[Any]:
    """Several reads in one: a resource for `Type/id`, a `Found` for (`Type`, parameters), in their order; for what is
    refused the `Refused`, not raised."""
    urls = [each if isinstance(each, str) else f"{each[0]}?{urlencode(_pairs(each[1]))}" for each in requests]
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    answer = _asked("POST", "", body={"resourceType": "Bundle", "type": "batch", "entry": entries})
    return [
        _of_entry(entry, isinstance(asked, str)) for entry, asked in zip(answer["entry"], requests, strict=True)
    ]


def _of_entry(entry: Resource, single: bool) -> Any:
    status = int(str(entry["response"]["status"])[:3])
    if status >= 400:
        return Refused(status, entry["response"].get("outcome", {}))
    return entry["resource"] if single else _found(entry["resource"])


# -- operations --------------------------------------------------------------------------------------------------------


def call(
    path: str, parameters: Any = None, *, key: str | None = None, method: str = "POST", if_match: str | None = None
) -> Resource:
    """Call an operation (`Task/1/$start`). `parameters`: by name, or a list as in Parameters.parameter; for GET the
    query. `key`: Idempotency-Key, with which a repeated call has one effect. Raises `Refused`."""
    if method == "GET":
        return _asked("GET", path, _pairs(parameters))
    headers = {**_over(if_match), **({"idempotency-key": key} if key else {})}
    given = _parameters(parameters) if parameters else []
    body = {"resourceType": "Parameters", "parameter": given} if given else None
    return _asked("POST", path, body=body, headers=headers)


def reference(text: str) -> Resource:
    """A Reference, as value of an operation's parameter."""
    return {"valueReference": {"reference": text}}


def code(text: str) -> Resource:
    """A code, as value of an operation's parameter."""
    return {"valueCode": text}


def instant(moment: datetime) -> Resource:
    """A dateTime, as value of an operation's parameter."""
    return {"valueDateTime": moment.isoformat(timespec="seconds")}


def _parameters(given: Any) -> list[Resource]:
    if not isinstance(given, Mapping):
        return list(given)
    found = []
    for name, value in given.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None:
                found.append({"name": name, **_value(each)})
    return found


def _value(value: Any) -> Resource:
    if isinstance(value, dict):
        return {"resource": value} if "resourceType" in value else value
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value}
    if isinstance(value, Decimal):
        return {"valueDecimal": value}
    if isinstance(value, datetime):
        return instant(value)
    return {"valueString": str(value)}


# -- as whom -----------------------------------------------------------------------------------------------------------


@contextmanager
def as_guest(*, holding: bool = False) -> Iterator[None]:
    """What is asked inside is asked by a visitor without an account, who may look at what is public. `holding`: by this
    very browser's visitor, who may also hold a time."""
    before = g.get("guest_token", "")
    g.guest_token = browser.guest_bearer(g.tenant.slug, holding=holding)
    try:
        yield
    finally:
        g.guest_token = before


def raw(
    method: str,
    path: str,
    query: Sequence[tuple[str, str]] = (),
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> FhirResponse:
    """A request just as a client would send it, and the answer whatever it is (for downloads and the console)."""
    slug = g.tenant.slug
    given = {"accept": FHIR_JSON, "content-type": FHIR_JSON, **(headers or {})}
    base = f"{browser.origin()}/t/{slug}/fhir"
    for attempt in (1, 2):
        given["authorization"] = f"Bearer {g.get('guest_token') or browser.bearer(slug)}"
        answer = dispatch.handle(FhirRequest(method, path, list(query), dict(given), body, base), slug)
        # The first request of a session: its token is made when it is first needed.
        if answer.status != 401 or attempt == 2 or g.get("guest_token") or not browser.admit_bearer(slug):
            return answer
    raise AssertionError


def _asked(
    method: str,
    path: str,
    query: Sequence[tuple[str, str]] = (),
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Resource:
    answer = raw(method, path, query, body=b"" if body is None else encode(body), headers=headers)
    value: Resource = decode(answer.body) if answer.body else {}
    if answer.status >= 400:
        raise Refused(answer.status, value)
    return value


def _pairs(params: Params | None) -> list[tuple[str, str]]:
    found = []
    for name, value in params.items() if isinstance(params, Mapping) else params or ():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None:
                found.append((name, str(each)))
    return found


def _found(bundle: Resource) -> Found:
    matches: list[Resource] = []
    included: list[Resource] = []
    for entry in bundle.get("entry", ()):
        mode = entry.get("search", {}).get("mode", "match")
        if mode != "outcome":
            (included if mode == "include" else matches).append(entry["resource"])
    following = next((each["url"] for each in bundle.get("link", ()) if each.get("relation") == "next"), "")
    return Found(matches, included, bundle.get("total"), following)


def _over(if_match: str | None) -> dict[str, str]:
    return {} if if_match is None else {"if-match": f'W/"{if_match}"'}
