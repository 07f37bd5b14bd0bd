"""Random request scripts over a small universe, and the data that the other side of a wall is filled with.

All values come from small pools that both sides share, so that every question of one side would be answered by the other
side's data if it could be reached.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.client import Answer, Client

TAGS, CODES, IDENTIFIERS = "urn:t", "urn:c", "urn:i"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
# The ids of the caller's own resources, and those of hidden ones.
OWN, HIDDEN = ("o1", "o2", "o3"), ("h1", "h2", "h3")
TYPES = ("Patient", "Observation", "Condition", "Encounter", "List", "Provenance", "Basic")
JSON_PATCH = "application/json-patch+json"
_PATCH_DATA = "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2xhbmd1YWdlIiwidmFsdWUiOiJmciJ9XQ=="  # adds language fr


def resource(
    kind: str, id_: str, patient: str, n: int, others: Sequence[str], category: str, word: str
) -> dict[str, Any]:
    """A resource of a patient's record. `n` chooses codes, values and dates; `others`: ids that it refers to."""
    me = {"reference": f"Patient/{patient}"}
    made: dict[str, Any] = {"resourceType": kind, "id": id_, "meta": {"tag": [{"system": TAGS, "code": f"t{n % 3}"}]}}
    made["identifier"] = [{"system": IDENTIFIERS, "value": f"i{n % 4}"}]
    coded = {"coding": [{"system": CODES, "code": f"c{n % 3}"}], "text": f"{word} c{n % 3}"}
    moment = f"202{n % 5}-0{n % 9 + 1}-11"
    if kind == "Patient":
        made |= {"name": [{"family": f"{word}{n % 3}", "given": ["Ada"]}], "gender": "female", "birthDate": moment}
    elif kind == "Observation":
        made |= {"status": ("final", "amended")[n % 2], "code": coded, "subject": me, "effectiveDateTime": moment}
        made |= {"valueQuantity": {"value": n, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}
        made |= {"category": [{"coding": [{"system": CATEGORY, "code": category}]}]}
        made |= {"hasMember": [{"reference": f"Observation/{each}"} for each in others]}
        made |= {"encounter": {"reference": f"Encounter/{others[0]}"}} if others else {}
    elif kind == "Condition":
        made |= {"code": coded, "subject": me, "recordedDate": moment}
        made |= {"encounter": {"reference": f"Encounter/{others[0]}"}} if others else {}
    elif kind == "Encounter":
        made |= {"status": "finished", "class": {"code": "AMB"}, "subject": me, "period": {"start": moment}}
    elif kind == "List":
        made |= {"status": "current", "mode": "working", "code": coded, "subject": me, "title": word}
        made |= {"entry": [{"item": {"reference": f"Observation/{each}"}} for each in others]} if others else {}
    elif kind == "Provenance":
        del made["identifier"]
        made |= {"recorded": f"{moment}T00:00:00Z", "agent": [{"who": {"display": word}}], "target": [me]}
        made["target"] = [me, *({"reference": f"Observation/{each}"} for each in others)]
    else:
        made |= {"code": coded, "subject": me, "created": moment}
    return {name: value for name, value in made.items() if value != []}


_SEARCHES = (
    "Observation?code={code}", "Observation?code={system}|{code}", "Observation?code:not={code}", "Observation?status=final",
    "Observation?identifier={identifier}", "Observation?date=ge{date}", "Observation?date=lt{date}", "Observation?date=ap{date}",
    "Observation?value-quantity=gt{n}", "Observation?value-quantity={n}||mg", "Observation?code-value-quantity={system}|{code}$gt{n}",
    "Observation?subject=Patient/{patient}", "Observation?patient={patient}", "Observation?subject:Patient.name=W",
    "Observation?patient.birthdate=gt{date}", "Observation?subject:missing=true", "Observation?encounter:missing=false",
    "Observation?encounter={id}", "Observation?encounter.status=finished", "Observation?encounter.date=gt{date}",
    "Observation?has-member={id}", "Observation?has-member.code={code}", "Observation?has-member.has-member.code={code}",
    "Observation?has-member.patient.name=W", "Observation?has-member:missing=true", "Observation?_has:Observation:has-member:code={code}",
    "Observation?_has:List:item:code={code}", "Observation?_has:Provenance:target:patient={patient}", "Observation?_list={id}",
    "Observation?_id={id}", "Observation?_id={id},{own}", "Observation?_tag={tag}", "Observation?_tag:not={tag}",
    "Observation?_content=W", "Observation?_text=c1", "Observation?_lastUpdated=gt2020-01-01", "Observation?category={category}",
    "Observation?_filter=code eq {code} or value-quantity gt {n}", "Observation?_filter=patient.name co W and date ge {date}",
    "Observation?_filter=not (status eq final)", "Observation?code={code},{code2}", "Observation?code:text=W",
    "Patient?name=W", "Patient?name:exact=W1", "Patient?name:contains=o", "Patient?family:missing=false", "Patient?birthdate={date}",
    "Patient?identifier={identifier}", "Patient?_has:Observation:patient:code={code}", "Patient?_has:Condition:patient:code={code}",
    "Patient?_has:Observation:patient:value-quantity=gt{n}", "Patient?_has:Observation:patient:_has:List:item:code={code}",
    "Patient?_has:Encounter:patient:date=gt{date}", "Patient?gender=female", "Patient?link={patient}", "Patient?_id={id}",
    "Condition?code={code}", "Condition?subject.name=W", "Condition?encounter={id}", "Condition?recorded-date=gt{date}",
    "Encounter?date=gt{date}", "Encounter?subject:Patient._has:Observation:patient:code={code}", "Encounter?_id={id}",
    "List?item={id}", "List?item.code={code}", "List?item:Observation.value-quantity=gt{n}", "List?title=W", "List?code={code}",
    "Provenance?target=Observation/{id}", "Provenance?target:Observation.code={code}", "Provenance?patient={patient}",
    "Basic?code={code}", "Basic?subject:Patient.name=W", "Basic?created=gt{date}", "?_type={kind},{kind2}&_tag={tag}",
    "?_type={kind}", "?_id={id}&_type={kind}", "Patient/{patient}/{kind}", "Patient/{patient}/*", "Encounter/{id}/Observation",
)  # fmt: skip
_RESULTS = (
    "", "", "_sort=code", "_sort=-date", "_sort=date,-_lastUpdated", "_sort=-_lastUpdated", "_sort=_id", "_sort=-_id",
    "_count=1", "_count=2", "_count=2&_sort=-_id", "_total=accurate", "_total=none", "_total=estimate", "_summary=count",
    "_summary=true", "_elements=id,status", "_include=*", "_revinclude=*", "_include=*&_include:iterate=*", "_count=0",
    "_include=Observation:has-member&_include:iterate=Observation:has-member", "_revinclude=*&_revinclude:iterate=*",
    "_revinclude=List:item&_include:iterate=List:item", "_revinclude=Observation:patient", "_include=Observation:encounter",
)  # fmt: skip
_READS = (
    "{kind}/{id}", "{kind}/{id}/_history", "{kind}/{id}/_history/1", "{kind}/{id}/_history/2", "{kind}/{id}/_history?_count=1",
    "{kind}/_history", "_history", "{kind}/_history?_count=2", "_history?_since=2021-01-01&_count=3", "{kind}/{id}/$meta",
    "{kind}/{id}/$validate", "{kind}/$meta", "$meta", "Patient/{patient}/$everything", "Patient/{id}/$everything",
    "Patient/{patient}/$everything?_count=2", "Patient/{patient}/$everything?_type=Observation", "Encounter/{id}/$everything",
    "Patient/{patient}/$everything?start={date}", "Observation/$lastn?code={code}", "Observation/$lastn?patient={patient}&max=2",
    "Observation/$lastn?max=3&_has:List:item:code={code}", "{kind}/{id}?_elements=id", "metadata?_summary=true",
)  # fmt: skip
_CONDITIONS = ("identifier={identifier}", "_tag={tag}", "_id={id}", "code={code}", "identifier={identifier}&_tag={tag}")


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `follow`: go on to this many next pages."""

    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    follow: int = 0


@st.composite
def _values(draw: st.DrawFn) -> dict[str, str]:
    n = draw(st.integers(0, 9))
    return {
        "id": draw(st.sampled_from(OWN + HIDDEN)), "own": draw(st.sampled_from(OWN)), "n": str(n), "system": CODES,
        "patient": draw(st.sampled_from(("p", "q", "nobody"))), "code": f"c{n % 3}", "code2": f"c{(n + 1) % 3}",
        "identifier": f"{IDENTIFIERS}|i{n % 4}", "tag": f"{TAGS}|t{n % 3}", "date": f"202{n % 5}-0{n % 9 + 1}-11",
        "kind": draw(st.sampled_from(TYPES)), "kind2": draw(st.sampled_from(TYPES)),
        "category": draw(st.sampled_from(("vital-signs", "laboratory"))),
    }  # fmt: skip


@st.composite
def _body(draw: st.DrawFn, values: dict[str, str]) -> dict[str, Any]:
    kind = values["kind"]
    others = draw(st.lists(st.sampled_from(OWN + HIDDEN), max_size=2, unique=True))
    patient = draw(st.sampled_from(("p", "p", "q")))
    id_ = patient if kind == "Patient" and draw(st.booleans()) else values["id"]
    return resource(kind, id_, patient, draw(st.integers(0, 9)), others, values["category"], "W")


@st.composite
def _search(draw: st.DrawFn) -> Step:
    path = draw(st.sampled_from(_SEARCHES)).format(**draw(_values()))
    more = draw(st.sampled_from(_RESULTS))
    sign = "&" if "?" in path else "?"
    full = f"{path}{sign}{more}" if more else path
    if full.startswith("?") or "/" in full.partition("?")[0] or draw(st.booleans()):
        return Step("GET", full, follow=2)
    name, _, query = full.partition("?")
    return Step("POST", f"{name}/_search", query, (("content_type", "application/x-www-form-urlencoded"),), follow=2)


@st.composite
def _read(draw: st.DrawFn) -> Step:
    return Step("GET", draw(st.sampled_from(_READS)).format(**draw(_values())), follow=2)


@st.composite
def _write(draw: st.DrawFn) -> Step:
    values = draw(_values())
    body = draw(_body(values))
    kind, local = body["resourceType"], f"{body['resourceType']}/{body['id']}"
    condition = draw(st.sampled_from(_CONDITIONS)).format(**values)
    nameless = {name: value for name, value in body.items() if name != "id"}
    change = [{"op": "add", "path": "/language", "value": draw(st.sampled_from(("fr", "es")))}]
    patching = (("content_type", JSON_PATCH),)
    return draw(
        st.sampled_from(
            (
                Step("POST", kind, nameless), Step("PUT", local, body), Step("PUT", local, body), Step("DELETE", local),
                Step("PUT", local, body, (("if_match", 'W/"1"'),)), Step("PUT", local, body, (("if_none_match", "*"),)),
                Step("PATCH", local, change, patching), Step("POST", kind, nameless, (("if_none_exist", condition),)),
                Step("PUT", f"{kind}?{condition}", nameless), Step("PATCH", f"{kind}?{condition}", change, patching),
                Step("DELETE", f"{kind}?{condition}"), Step("DELETE", local, None, (("if_match", 'W/"1"'),)),
            )
        )
    )  # fmt: skip


@st.composite
def _bundle(draw: st.DrawFn) -> Step:
    steps = draw(st.lists(st.one_of(_write(), _read(), _search()), min_size=1, max_size=4))
    entries = []
    for step in steps:
        if isinstance(step.body, str):
            continue
        asked = {"method": step.method, "url": step.path}
        names = {"if_match": "ifMatch", "if_none_match": "ifNoneMatch", "if_none_exist": "ifNoneExist"}
        asked |= {names[name]: value for name, value in step.headers if name in names}
        entry: dict[str, Any] = {"request": asked}
        if isinstance(step.body, dict):
            entry["resource"] = step.body
        elif step.body is not None:
            entry["resource"] = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": _PATCH_DATA}
        entries.append(entry)
    if draw(st.booleans()):
        values = draw(_values())
        subject = {"reference": f"Patient?{draw(st.sampled_from(_CONDITIONS[:3])).format(**values)}"}
        basic = {"resourceType": "Basic", "code": {"text": "W"}, "subject": subject}
        entries.append({"resource": basic, "request": {"method": "POST", "url": "Basic"}})
    kind = draw(st.sampled_from(("batch", "transaction")))
    return Step("POST", "", {"resourceType": "Bundle", "type": kind, "entry": entries})


def scripts(length: int = 60) -> st.SearchStrategy[list[Step]]:
    """Scripts of so many requests: searches, reads and histories, writes, bundles."""
    step = st.one_of(_search(), _search(), _read(), _write(), _bundle())
    return st.lists(step, min_size=length, max_size=length)


_MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|(?<=_cursor=)[A-Za-z0-9_-]+")
_RANDOM = frozenset({"x-request-id", "last-modified", "content-length"})
Said = tuple[int, tuple[tuple[str, str], ...], bytes]


def run(client: Client, script: Sequence[Step]) -> list[Said]:
    """What a script is answered, in order, with the caller's tenant and the moments masked and nothing else."""
    return [_said(client, answer) for step in script for answer in _answers(client, step)]


def _answers(client: Client, step: Step) -> list[Answer]:
    found = [client.request(step.method, step.path, step.body, **dict(step.headers))]
    for _ in range(step.follow):
        links = found[-1].json.get("link", ()) if found[-1].status == 200 and found[-1].body else ()
        after = [each["url"] for each in links if each["relation"] == "next"]
        if not after:
            break
        found.append(client.get(after[0]))
    return found


def _said(client: Client, answer: Answer) -> Said:
    slug = f"/t/{client.slug}/".encode()
    headers = tuple(
        sorted(
            (k.lower(), v.replace(slug.decode(), "/t/-/"))
            for k, v in answer.headers.items()
            if k.lower() not in _RANDOM
        )
    )
    # Moments that the resources hold are equal on both sides; those of the server are not.
    return answer.status, headers, _MOMENT.sub(b"<moving>", answer.body.replace(slug, b"/t/-/"))
