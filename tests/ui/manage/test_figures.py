"""The figures of a day are those of the lists to which they lead."""

import re
from collections import Counter
from datetime import timedelta
from html import unescape

import pytest

from tests.ui.conftest import Demo, Person
from ui.manage.charts import bars
from ui.manage.day_figures import STATUSES, percentile


@pytest.fixture
def manager(clinic: Demo) -> Person:
    return clinic.person("manager")


def figures(page: str) -> dict[str, tuple[str, str]]:
    """Title of each figure: its value, and where it leads."""
    found = {}
    for href, inner in re.findall(r'<a class="kpi [^"]*" href="([^"]+)">(.*?)</a>', page, re.S):
        title = re.sub(r"<[^>]+>", "", inner.partition('class="kpi-value')[0].partition('class="kpi-title">')[2].rpartition("</span>")[0])
        value = re.search(r'kpi-value numeric"><bdi>([^<]*)<', inner)
        found[title.strip().removesuffix("<span").strip()] = (value[1] if value else "", unescape(href))
    return found


def test_each_figure_is_the_number_of_its_list(clinic: Demo, manager: Person) -> None:
    shown = figures(manager.get("manage/").text)
    client = clinic.client()
    for title in ("Visites réservées", "Arrivés", "Reçus", "Non venus", "Annulés", "En attente"):
        value, href = shown[title]
        kind, _, query = href.partition("/console/")[2].partition("?")
        query = "&".join(part for part in query.split("&") if not part.startswith("_sort"))
        assert client.get(f"{kind}?{query}&_summary=count").json["total"] == int(value), title
        # The list itself opens for who sees the figure.
        assert manager.get(href).status_code == 200, title


def test_the_tables_add_up_to_the_figures(clinic: Demo, manager: Person) -> None:
    page = manager.get("manage/").text
    booked = int(figures(page)["Visites réservées"][0])
    table = page.partition('id="by-person"')[2].partition("</table>")[0]
    numbers = re.findall(r'<td class="text-end numeric">(\d+)</td>', table)
    assert sum(map(int, numbers[::3])) == booked


def test_another_day_and_nonsense(manager: Person) -> None:
    assert manager.get("manage/?day=2020-01-01").status_code == 200
    assert manager.get("manage/?day=<script>").status_code == 200
    assert manager.get("manage/?day=0001-01-01").status_code == 200
    assert manager.get("manage/?day=9999-12-31").status_code == 200
    assert manager.get("manage/trend", htmx=True).text.count("<tr>") == 15


def test_the_fragment_is_the_same_as_the_page(manager: Person) -> None:
    assert figures(manager.get("manage/now", htmx=True).text).keys() == figures(manager.get("manage/").text).keys()


def test_statuses_do_not_count_a_visit_twice() -> None:
    shown = Counter(status for name, statuses in STATUSES.items() if name != "booked" for status in statuses.split(","))
    assert set(shown.values()) == {1}


def test_percentiles_are_nearest_ranks() -> None:
    assert percentile([1.0], 95) == 1 and percentile(list(map(float, range(1, 101))), 95) == 95
    assert percentile([float(timedelta(minutes=n).seconds) for n in (1, 2)], 50) == 60


def test_bars_are_as_high_as_their_values() -> None:
    chart = bars([("09", (10, 5)), ("10", (0, 20))])
    [tall] = [bar for group in chart.groups for bar in group.bars if bar.value == 20]
    [half] = [bar for group in chart.groups for bar in group.bars if bar.value == 10]
    assert tall.height == pytest.approx(2 * half.height, abs=0.2) and tall.y + tall.height == pytest.approx(chart.floor, abs=0.2)
    assert bars([]).groups == () and bars([("x", (0, 0))]).groups[0].bars[0].height == 0


def test_a_day_with_more_than_a_page_is_still_counted_right(clinic: Demo, manager: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = figures(manager.get("manage/").text)
    monkeypatch.setattr("ui.manage.day_figures._MOST", 2)
    page = manager.get("manage/").text
    for title in ("Visites réservées", "Reçus", "Non venus", "Annulés"):
        assert figures(page)[title][0] == whole[title][0], title
    assert "1 000 premiers" in page
