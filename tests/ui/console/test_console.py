"""The console: whatever the person may read, its versions, and writing over the version that was seen."""

import json
import re
from html import unescape
from typing import Any

import pytest

from tests.ui.conftest import Demo, Person
from tests.ui.manage.forms import changed, form_of, text_of
from ui.console import places
from ui.console.json_view import pretty, rendered
from ui.console.narrative import narrative
from ui.console.versions import compared

SERVICE = "console/HealthcareService/demo-cardiology"


@pytest.fixture
def owner(clinic: Demo) -> Person:
    return clinic.person("owner")


@pytest.fixture
def organization(clinic: Demo) -> dict[str, Any]:
    return clinic.client().create({"resourceType": "Organization", "active": True, "name": "Laboratoire <i>du Port</i>"})


# -- reading -----------------------------------------------------------------------------------------------------------


def test_the_types_are_those_that_the_role_may_read(clinic: Demo, owner: Person) -> None:
    assert "/console/Observation?" in owner.get("console/").text
    manager = clinic.person("manager").get("console/").text
    assert "/console/Appointment?" in manager and "/console/Observation?" not in manager
    operator = clinic.person("operator").get("console/").text
    assert "/console/Organization?" in operator and "/console/Patient?" not in operator


@pytest.mark.parametrize("path", ["console/Observation", "console/Observation/x", "console/Observation/x/_history", "console/Nonsense", "console/new/Observation", "console/HealthcareService/none", "console/HealthcareService/none/edit", "console/HealthcareService/demo-cardiology/_history/99"])
def test_what_the_role_may_not_read_is_not_there(clinic: Demo, path: str) -> None:
    assert clinic.person("manager").get(path).status_code == 404


@pytest.mark.parametrize("role", ["receptionist", "nurse", "billing", "patient", "proxy"])
def test_the_console_is_not_for_everybody(clinic: Demo, role: str) -> None:
    assert clinic.person(role).get("console/").status_code == 404
    assert clinic.person(role).get("console/Patient").status_code == 404


def test_counts_are_those_of_the_server(clinic: Demo, owner: Person) -> None:
    text = owner.get("console/counts?type=Patient&type=Nonsense&type=AuditEvent", htmx=True).text
    total = clinic.client().get("Patient?_summary=count").json["total"]
    assert f'id="count-Patient" hx-swap-oob="true">{total}<' in text and "Nonsense" not in text


def test_a_search_by_form_keeps_names_out_of_the_address(clinic: Demo, owner: Person) -> None:
    family = clinic.client().search("Patient?_count=1")[0]["name"][0]["family"]
    answer = owner.post("console/Patient", {"q": f"family={family}&_count=2"}, htmx=True)
    assert answer.status_code == 200 and family.casefold() in answer.text.casefold() and "<html" not in answer.text
    for method in (owner.get, owner.post):
        assert method("console/Patient").status_code == 200


def test_pages_follow_each_other(owner: Person) -> None:
    first = owner.post("console/Patient", {"q": "_count=3&_sort=_id"}, htmx=True)
    following = form_of(first, "q")["q"][0]
    second = owner.post("console/Patient", {"q": following}, htmx=True)
    ids = [re.findall(r'/console/Patient/([^"]+)"', each.text) for each in (first, second)]
    assert len(ids[0]) == len(ids[1]) == 3 and not set(ids[0]) & set(ids[1])


@pytest.mark.parametrize("query", ["nonsense=1", "birthdate=yesterday", "_sort=nothing", "_count=x", "=", "a%00b=c", "name:wrong=x"])
def test_a_search_that_cannot_be_says_why(owner: Person, query: str) -> None:
    answer = owner.post("console/Patient", {"q": query})
    assert answer.status_code in (200, 400) and answer.status_code == (400 if 'role="alert"' in answer.text else 200)


def test_a_resource_is_shown_with_links_and_without_markup(owner: Person, organization: dict[str, Any]) -> None:
    text = owner.get(f"console/Organization/{organization['id']}").text
    assert "<i>du Port</i>" not in text and "&lt;i&gt;du Port" in text
    assert f'href="{owner.base}/console/Organization/demo-clinic"' in owner.get(SERVICE).text
    assert "curl -sS -H &#34;Authorization: Bearer $TOKEN&#34;" in text


def test_a_narrative_is_text(owner: Person, clinic: Demo) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>Bonjour <b>tous</b></p><table><tr><td>1</td><td>2</td></tr></table></div>'
    made = clinic.client().create({"resourceType": "Organization", "name": "N", "text": {"status": "generated", "div": div}})
    page = owner.get(f"console/Organization/{made['id']}").text
    shown = page.partition('class="narrative" dir="auto">')[2].partition("</pre>")[0]
    assert shown.splitlines() == ["Bonjour tous", "1 2"]
    assert narrative({"text": {"div": "<div><script>alert(1)</script>a<style>b</style></div>"}}) == "a"
    assert narrative({"text": "odd"}) == "" and narrative({}) == ""


def test_history_and_what_changed(clinic: Demo, owner: Person, organization: dict[str, Any]) -> None:
    client, path = clinic.client(), f"console/Organization/{organization['id']}"
    client.put(f"Organization/{organization['id']}", {**organization, "name": "Laboratoire du Phare"})
    page = owner.get(f"{path}/_history")
    assert page.status_code == 200 and "du Phare" in page.text and "du Port" in page.text
    assert 'class="gone"' in page.text and 'class="new"' in page.text
    same = owner.get(f"{path}/_history?from=1&to=1", htmx=True)
    assert 'class="gone"' not in same.text and "<html" not in same.text
    assert "du Port" in owner.get(f"{path}/_history/1").text
    client.delete(f"Organization/{organization['id']}")
    assert owner.get(path).status_code == 404
    deleted = owner.get(f"{path}/_history")
    assert deleted.status_code == 200 and "supprimée" in deleted.text
    for odd in ("from=../1&to=2", "from=99&to=1", "from=<b>&to=1", "page=nonsense"):
        assert owner.get(f"{path}/_history?{odd}").status_code == 200, odd


def test_a_comparison_leaves_out_what_is_the_same() -> None:
    before = [str(n) for n in range(100)]
    lines = compared(before, [*before[:50], "new", *before[51:]])
    assert [each.text for each in lines if each.kind in ("gone", "new")] == ["50", "new"]
    assert [each.kind for each in lines] == ["gap", *["same"] * 3, "gone", "new", *["same"] * 3, "gap"]
    assert compared([], []) == [] and [each.kind for each in compared([], ["a"])] == ["new"]


# -- writing -----------------------------------------------------------------------------------------------------------


def editor(person: Person, path: str) -> dict[str, list[str]]:
    return form_of(person.get(f"{path}/edit"), "json")


def test_a_resource_is_edited_and_saved_over_the_version_that_was_seen(clinic: Demo, owner: Person, organization: dict[str, Any]) -> None:
    path = f"console/Organization/{organization['id']}"
    form = editor(owner, path)
    form["json"] = [form["json"][0].replace("du Port", "de la Gare")]
    assert owner.post(f"{path}/edit", form).status_code == 303
    assert "de la Gare" in clinic.client().get(f"Organization/{organization['id']}").json["name"]
    stale = owner.post(f"{path}/edit", {**form, "json": [form["json"][0].replace("Gare", "Mer")]})
    assert stale.status_code == 412 and "Mer" in form_of(stale, "json")["json"][0]
    assert "de la Gare" in clinic.client().get(f"Organization/{organization['id']}").json["name"]


def test_a_role_that_may_read_only_has_no_editor(clinic: Demo) -> None:
    owner, observation = clinic.person("owner"), clinic.client().search("Observation?_count=1")[0]["id"]
    page = owner.get(f"console/Observation/{observation}")
    assert page.status_code == 200 and "/edit" not in page.text and "/delete" not in page.text
    assert owner.get(f"console/Observation/{observation}/edit").status_code == 404
    assert owner.post(f"console/Observation/{observation}/delete").status_code == 404
    practitioner = clinic.person("practitioner")
    assert practitioner.get(f"console/Observation/{observation}/edit").status_code == 200


def test_issues_are_located(owner: Person) -> None:
    text = '{\n  "resourceType": "Organization",\n  "name": "x",\n  "active": "yes",\n  "telecom": [\n    {"system": "phone"},\n    {"system": "pigeon"}\n  ]\n}'
    answer = owner.post("console/validate/Organization", {"json": text}, htmx=True)
    shown = dict(zip(re.findall(r"<code[^>]*>([^<]*)</code>", answer.text), map(int, re.findall(r'data-line="(\d+)"', answer.text)), strict=False))
    assert any(line == 4 for path, line in shown.items() if "active" in path), answer.text
    assert any(line == 7 for path, line in shown.items() if "system" in path), answer.text
    fine = owner.post("console/validate/Organization", {"json": '{"resourceType": "Organization", "name": "x"}'}, htmx=True)
    assert "accepterait" in fine.text


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"resourceType": "Patient"}', '{"resourceType": "Organization",}', "{" * 5000, "[" * 100_000, '{"resourceType": "Organization", "name": "\ud800"}'.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), '{"a": 1e99999}', "\x00"],
)  # fmt: skip
def test_text_that_is_no_resource_is_said_and_kept(owner: Person, text: str) -> None:
    checked = owner.post("console/validate/Organization", {"json": text}, htmx=True)
    assert checked.status_code == 200
    answer = owner.post("console/new/Organization", {"json": text})
    assert answer.status_code in (303, 400, 422)
    if answer.status_code != 303:
        assert form_of(answer, "json")["json"][0].replace("\ufffd", "") in text.replace("\x00", "").replace("\ufffd", "") or text == "\x00"


def test_a_new_resource_is_stored_and_deleted(clinic: Demo, owner: Person) -> None:
    answer = owner.post("console/new/Location", {"json": json.dumps({"resourceType": "Location", "name": "Salle 9"})})
    assert answer.status_code == 303
    path = answer.headers["Location"].partition("?")[0]
    assert "Salle 9" in owner.get(path).text
    form = form_of(owner.get(path), "version")
    assert owner.post(f"{path}/delete", {**form, "version": "7"}).status_code == 412
    assert owner.post(f"{path}/delete", form).status_code == 303
    assert owner.get(path).status_code == 404


def test_the_id_cannot_be_changed(owner: Person, organization: dict[str, Any]) -> None:
    path = f"console/Organization/{organization['id']}"
    form = editor(owner, path)
    form["json"] = [form["json"][0].replace(organization["id"], "another")]
    answer = owner.post(f"{path}/edit", form)
    assert answer.status_code == 422 and organization["id"] in text_of(answer)


def test_a_refusal_of_the_server_stands_at_its_line(owner: Person) -> None:
    form = editor(owner, SERVICE)
    form["json"] = [form["json"][0].replace('"valuePositiveInt": 30', '"valuePositiveInt": -30')]
    answer = owner.post(f"{SERVICE}/edit", form)
    assert answer.status_code in (400, 422)
    line = int(re.findall(r'data-line="(\d+)"', answer.text)[0])
    assert "-30" in form_of(answer, "json")["json"][0].splitlines()[line - 1]


def test_decimals_keep_their_digits(clinic: Demo, owner: Person) -> None:
    observation = next(o for o in clinic.client().search("Observation?_count=50") if "valueQuantity" in o)
    value = json.loads(clinic.client().get(f"Observation/{observation['id']}").text, parse_float=str)["valueQuantity"]["value"]
    assert f'"value": {value}' in unescape(clinic.person("practitioner").get(f"console/Observation/{observation['id']}/edit").text)


def test_writing_needs_the_token_of_the_form(owner: Person, organization: dict[str, Any]) -> None:
    path = f"console/Organization/{organization['id']}"
    for action in ("edit", "delete"):
        assert owner.post(f"{path}/{action}", {"json": "{}"}, csrf=False).status_code == 403
    assert changed({"a": ["1"]}, a=None) == {}


# -- parts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "line"),
    [("P", 1), ("P.a", 2), ("P.b[0]", 4), ("P.b[1].c", 5), ("P.b[1].nothing.deeper[3]", 5), ("P.nothing", 1), ("", 1), ("P.b.c", 3)],
)
def test_elements_are_found_in_a_text(path: str, line: int) -> None:
    text = '{\n "a": "{\\"x\\": [",\n "b": [\n  {"c": 1},\n  {"c": [true, null, -1.5e3]}\n ]\n}'
    assert places.line_of(path, places.lines(text, "P")) == line


def test_long_parts_are_folded_and_nothing_is_lost() -> None:
    value = {"resourceType": "X", "list": [{"reference": f"Patient/{n}"} for n in range(150)], "text": "<b>" * 200}
    html = str(rendered(value, "/c"))
    assert html.count('href="/c/Patient/') == 150 and "<b>" not in html and "<details><summary>" in html
    assert json.loads(pretty(value)) == value
    assert "Patient/../x" in str(rendered({"reference": "Patient/../x"}, "/c")) and "href" not in str(rendered({"reference": "javascript:alert(1)"}, "/c"))


def test_a_batch_is_sent_with_the_persons_rights(clinic: Demo, owner: Person) -> None:
    form = form_of(owner.get("console/bundle"), "json")
    answer = owner.post("console/bundle", form)
    assert answer.status_code == 200 and "searchset" in answer.text
    entry = {"request": {"method": "POST", "url": "Observation"}, "resource": {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}}
    refused = owner.post("console/bundle", {**form, "json": json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})})
    assert refused.status_code == 200 and "403" in refused.text and "OperationOutcome" in refused.text
    assert owner.post("console/bundle", {**form, "json": "{"}).status_code == 422
    assert owner.post("console/bundle", {**form, "json": "[]"}).status_code == 200
    assert owner.post("console/bundle", {"json": "{}"}, csrf=False).status_code == 403
    assert clinic.person("receptionist").get("console/bundle").status_code == 404
