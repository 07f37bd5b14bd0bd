"""The files of the SMART app: how they are served, that its words are complete, and its arithmetic under Node."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fhir_server.settings import ROOT
from tests.ui.conftest import Demo

FOLDER = ROOT / "ui" / "apps" / "growth"


def node(script: str) -> str:
    """What a script prints that may import the app's modules."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    done = subprocess.run(
        [program, "--experimental-default-type=module", "--no-warnings", "--input-type=module", "-e", script],
        cwd=FOLDER, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["", "launch.html", "app.js", "growth.css", "who.json", "icon.svg"])
def test_files_are_served_under_a_strict_policy(clinic: Demo, name: str) -> None:
    answer = clinic.person().http.get(f"/ui/apps/growth/{name}")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200 and "default-src 'none'" in policy and "unsafe" not in policy
    assert "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and "Set-Cookie" not in answer.headers
    again = clinic.person().http.get(f"/ui/apps/growth/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["README.md", "..%2fpages.py", "../growth_files.py", "nothing.js", ".hidden.js"])
def test_nothing_else_is(clinic: Demo, name: str) -> None:
    assert clinic.person().http.get(f"/ui/apps/growth/{name}").status_code == 404


def test_every_file_that_a_page_names_is_there(clinic: Demo) -> None:
    for page in ("index.html", "launch.html"):
        text = (FOLDER / page).read_text(encoding="utf-8")
        assert "style=" not in text and "<script>" not in text and not re.search(r"\son\w+=", text)
        for name in re.findall(r'(?:src|href)="([^"]+)"', text):
            path = name if name.startswith("/") else f"/ui/apps/growth/{name}"
            assert clinic.person().http.get(path).status_code == 200, name


def test_every_sentence_stands_in_four_languages_with_the_same_marks() -> None:
    text = (FOLDER / "texts.js").read_text(encoding="utf-8")
    rows = re.findall(r'^  "?([\w-]+)"?: (\[".*"\]),$', text, re.MULTILINE)
    assert len(rows) > 70
    for name, row in rows:
        words = json.loads(row)
        assert len(words) == 4 and all(words), name
        assert len({tuple(sorted(re.findall(r"\{\w+\}", each))) for each in words}) == 1, name
        assert re.search(r"[\u0600-\u06ff]", words[3]), name


def test_every_sentence_that_is_said_is_there() -> None:
    known = set(re.findall(r'^  "?([\w-]+)"?: \[', (FOLDER / "texts.js").read_text(encoding="utf-8"), re.MULTILINE))
    said = {
        name for path in FOLDER.glob("*.js") for name in re.findall(r'say\("(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert said <= known and len(said) > 30


def test_the_style_has_no_direction() -> None:
    text = (FOLDER / "growth.css").read_text(encoding="utf-8")
    assert not re.search(r"(?:^|[\s;{-])(?:left|right)\s*:|(?:margin|padding|border)-(?:left|right)", text)


# -- arithmetic --------------------------------------------------------------------------------------------------------

# As WHO publishes them: measure, sex, age in days, z-score, value. Weight tables of 2006, height and body mass index of
# 2007 (months 61 and 228), rounded to one decimal place there.
PUBLISHED = [
    ("weight", "male", 0, 0, 3.3), ("weight", "male", 365, 0, 9.6), ("weight", "male", 365, -2, 7.7),
    ("weight", "male", 365, 3, 13.3), ("weight", "female", 365, 0, 8.9), ("weight", "female", 730, 2, 14.8),
    ("weight", "male", 1826, 0, 18.3), ("weight", "female", 1826, -2, 13.7), ("height", "male", 0, 0, 49.9),
    ("height", "female", 0, -2, 45.4), ("height", "male", 365, 0, 75.7), ("height", "female", 1826, 0, 109.4),
    ("head", "male", 0, 0, 34.5), ("head", "female", 365, 0, 44.9), ("bmi", "male", 730, 0, 15.7), ("bmi", "male", 731, 0, 16.0),
    ("height", "male", 6940, 0, 176.5), ("height", "female", 6940, 0, 163.2), ("bmi", "male", 6940, 1, 25.4),
    ("bmi", "female", 6940, 0, 21.4),
]  # fmt: skip


def test_curves_are_those_of_who() -> None:
    script = f"""
        import {{ readFileSync }} from "node:fs";
        import {{ lms, valueAt, zScore }} from "./who.js";
        const table = JSON.parse(readFileSync("who.json", "utf8"));
        const rows = {json.dumps(PUBLISHED)};
        console.log(JSON.stringify(rows.map(([measure, sex, days, z]) => {{
            const row = lms(table[measure][sex], days);
            const value = valueAt(row, z);
            return [value, zScore(measure, row, value)];
        }})));"""
    for (measure, sex, days, z, value), (found, back) in zip(PUBLISHED, json.loads(node(script)), strict=True):
        assert found == pytest.approx(value, abs=0.11), (measure, sex, days, z)
        assert back == pytest.approx(z, abs=1e-9)


def test_the_tables_are_whole_and_smooth() -> None:
    table = json.loads((FOLDER / "who.json").read_text(encoding="utf-8"))
    assert set(table) == {"weight", "height", "head", "bmi"}
    for measure, sexes in table.items():
        assert set(sexes) == {"male", "female"}
        for days, skew, median, spread in sexes.values():
            assert len(days) == len(skew) == len(median) == len(spread) and days == sorted(set(days)) and days[0] == 0
            assert all(0 < each < 0.3 for each in spread) and all(each > 0 for each in median)
            for before, after in zip(median[14:], median[15:], strict=False):
                assert abs(after / before - 1) < 0.09, measure
            if measure != "bmi":
                # But for the step from lying to standing at two years, nothing shrinks.
                assert all(after > before - 0.8 for before, after in zip(median, median[1:], strict=False)), measure


def test_percentiles_and_the_tail() -> None:
    found = json.loads(
        node("""
        import { lms, percentile, valueAt, zScore } from "./who.js";
        const row = [-0.5, 20, 0.12];
        const [two, three] = [valueAt(row, 2), valueAt(row, 3)];
        console.log(JSON.stringify([percentile(0), percentile(1.881), percentile(-1.881),
            zScore("weight", row, three + (three - two)), zScore("height", row, three + (three - two)),
            lms([[0, 10], [1, 1], [2, 4], [0.1, 0.1]], 5), lms([[0, 10], [1, 1], [2, 4], [0.1, 0.1]], 11)]));""")
    )
    assert found[:3] == pytest.approx([50, 97.0, 3.0], abs=0.01)
    assert found[3] == pytest.approx(4) and found[4] != pytest.approx(4, abs=0.05)
    assert found[5] == pytest.approx([1, 3, 0.1]) and found[6] is None


OBSERVATIONS = """
    const LOINC = "http://loinc.org", UCUM = "http://unitsofmeasure.org";
    const made = (code, value, unit, day, more = {}) => ({ resourceType: "Observation", status: "final",
        code: { coding: [{ system: LOINC, code }] }, effectiveDateTime: day,
        valueQuantity: { value, unit, code: unit, system: UCUM }, ...more });
"""


def test_growth_is_read_in_its_units_and_bad_values_are_left_out() -> None:
    found = json.loads(
        node(f"""
        import {{ ageInDays, growthSeries, perYear }} from "./series.js";
        {OBSERVATIONS}
        const series = growthSeries([
            made("29463-7", 9200, "g", "2024-01-02T09:00:00Z"), made("8302-2", 0.75, "m", "2024-01-02T09:30:00Z"),
            made("29463-7", 22, "[lb_av]", "2024-06-02"), made("29463-7", 10, "kg", "2024-05-02", {{ status: "entered-in-error" }}),
            made("29463-7", 10, "stone", "2024-05-03"), made("29463-7", "NaN", "kg", "2024-05-04"), made("29463-7", 9, "kg", "2024"),
            {{ resourceType: "OperationOutcome" }}, {{ resourceType: "Observation", status: "final", code: {{}} }}]);
        console.log(JSON.stringify([series, ageInDays("2023-01-02", Date.parse("2024-01-02T12:00:00")), ageInDays("2023-01", 0),
            perYear({{ at: 0, value: 1 }}, {{ at: 86400000 * 3, value: 2 }})]));""")
    )
    series, days, unknown, speed = found
    assert [each["value"] for each in series["weight"]] == [9.2, 9.98]
    assert [each["value"] for each in series["height"]] == [75]
    assert [(each["value"], each["computed"]) for each in series["bmi"]] == [(16.4, True)]
    assert (days, unknown, speed) == (365, None, None)


def test_panels_are_lines_and_units_are_not_mixed() -> None:
    found = json.loads(
        node(f"""
        import {{ otherSeries }} from "./series.js";
        {OBSERVATIONS}
        const part = (code, value) => ({{ code: {{ coding: [{{ system: LOINC, code }}] }}, valueQuantity: {{ value, unit: "mmHg", system: UCUM }} }});
        const panel = (day, high, low) => ({{ ...made("85354-9", 0, "", day), valueQuantity: undefined, component: [part("8480-6", high), part("8462-4", low)] }});
        const range = (low, high) => ({{ referenceRange: [{{ low: {{ value: low, code: "%" }}, high: {{ value: high, code: "%" }} }}] }});
        console.log(JSON.stringify(otherSeries([panel("2024-01-01", 120, 80), panel("2024-02-01", 130, 85), panel("2024-03-01", 125, 82),
            made("4548-4", 6.1, "%", "2024-01-05", range(4, 5.6)), made("4548-4", 43, "mmol/mol", "2024-02-05"), made("29463-7", 70, "kg", "2024-02-05")])));""")
    )
    assert [(each["code"], each["unit"]) for each in found] == [
        ("85354-9", "mmHg"),
        ("4548-4", "%"),
        ("4548-4", "mmol/mol"),
    ]
    assert [[point["value"] for point in line["points"]] for line in found[0]["lines"]] == [
        [120, 130, 125],
        [80, 85, 82],
    ]
    assert (found[1]["low"], found[1]["high"], found[2]["low"]) == (4, 5.6, None)


def test_only_servers_of_this_site_are_trusted() -> None:
    found = json.loads(
        node("""
        globalThis.window = { FHIR: { oauth2: { settings: {} } } };
        globalThis.location = new URL("http://127.0.0.1:8080/ui/apps/growth/launch.html?iss=x");
        const { sameMachine, trusted } = await import(`file://${process.cwd()}/connect.js`);
        const all = ["http://127.0.0.1:8080/t/demo/fhir", "http://127.0.0.1:8080/t/demo/fhir/", "https://evil.example/t/demo/fhir",
            "http://127.0.0.1:8080.evil.example/t/demo/fhir", "http://127.0.0.1:8080/t/demo/fhir/../../x", "http://127.0.0.1:8080@evil/t/demo/fhir",
            "http://localhost:8080/t/demo/fhir", "javascript:alert(1)", ""];
        console.log(JSON.stringify([all.map(trusted), all.map(sameMachine)]));""")
    )
    assert [bool(each) for each in found[0]] == [True, True, *[False] * 7]
    assert [bool(each) for each in found[1]] == [*[False] * 6, True, False, False]
    assert found[1][6].startswith("http://localhost:8080/ui/apps/growth/")


def test_the_readme_says_where_the_curves_come_from() -> None:
    text = Path(FOLDER / "README.md").read_text(encoding="utf-8")
    assert "World Health Organization" in text and "not a" not in text.lower()[:10]
