"""Reading the forms of a page, to post them as a browser without JavaScript would."""

from html.parser import HTMLParser
from typing import Any


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self._select = ""
        self._option: tuple[str, bool] | None = None
        self._area = ""
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({"action": given.get("action", ""), "fields": []})
        if not self.forms:
            return
        fields = self.forms[-1]["fields"]
        if tag == "input" and given.get("name") and not (given.get("type") in ("checkbox", "radio") and "checked" not in given):
            fields.append((given["name"], given.get("value", "on" if given.get("type") == "checkbox" else "")))
        elif tag == "select":
            self._select = given.get("name", "")
            self._first = True
        elif tag == "option" and self._select:
            if self._first or "selected" in given:
                fields[:] = [pair for pair in fields if pair[0] != self._select]
                fields.append((self._select, given.get("value", "")))
            self._first = False
        elif tag == "textarea":
            self._area = given.get("name", "")
            fields.append((self._area, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._area:
            fields = self.forms[-1]["fields"]
            fields[-1] = (self._area, fields[-1][1] + data)


def form_of(page: Any, holding: str) -> dict[str, list[str]]:
    """The values of the form that has the field `holding`, as they would be posted."""
    reader = _Reader()
    reader.feed(page.text)
    form = next(each for each in reader.forms if any(name == holding for name, _ in each["fields"]))
    values: dict[str, list[str]] = {}
    for name, value in form["fields"]:
        values.setdefault(name, []).append(value.removeprefix("\n"))
    return values


def changed(form: dict[str, list[str]], **fields: Any) -> dict[str, Any]:
    """The form with other values; None takes a field away."""
    made: dict[str, Any] = dict(form)
    for name, value in fields.items():
        key = name.replace("__", "-")
        if value is None:
            made.pop(key, None)
        else:
            made[key] = value if isinstance(value, list) else [value]
    return made


def text_of(page: Any) -> str:
    """The words of a page."""
    reader = _Reader()
    reader.feed(page.text)
    return " ".join(" ".join(reader.texts).split())
