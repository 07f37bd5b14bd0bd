"""LOINC's answer lists: which terms have them, and which answers they have. https://loinc.org/answers/"""

from collections import defaultdict
from collections.abc import Iterator

from fhir_server.terminology.importers.loinc_tables import Coding, Tables, coded
from fhir_server.terminology.importers.records import Record


class AnswerLists:
    """The lists (LL) and answers (LA) of a release, and the terms that use them."""

    def __init__(self, tables: Tables) -> None:
        self._names: dict[str, str] = {}
        self._answers: dict[str, list[str]] = defaultdict(list)
        self._texts: dict[str, str] = {}
        self._of_term: dict[str, list[str]] = defaultdict(list)
        self._users: dict[str, list[str]] = defaultdict(list)
        self._read(tables)

    def _read(self, tables: Tables) -> None:
        needed = ["AnswerListId", "AnswerListName", "AnswerStringId", "DisplayText"]
        for row in tables.rows(tables.source.optional("AnswerList.csv"), needed):
            code, answer = row["AnswerListId"], row["AnswerStringId"]
            self._names[code] = row["AnswerListName"]
            # A list that is kept elsewhere names no answers.
            if answer:
                self._texts.setdefault(answer, row["DisplayText"])
                if answer not in self._answers[code]:
                    self._answers[code].append(answer)
        name = tables.source.optional("LoincAnswerListLink.csv")
        for row in tables.rows(name, ["LoincNumber", "AnswerListId"]):
            term, code = row["LoincNumber"], row["AnswerListId"]
            if code not in self._of_term[term]:
                self._of_term[term].append(code)
                self._users[code].append(term)

    def of_term(self, term: str) -> Iterator[tuple[str, Coding]]:
        """The lists of a term, as properties."""
        for code in self._of_term.get(term, ()):
            yield "answer-list", coded(code, self._names.get(code, ""))

    def records(self) -> Iterator[Record]:
        """The lists with their answers and users, then the answers with their lists (`LIST`)."""
        lists: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for code, text in self._names.items():
            answers = self._answers.get(code, [])
            for answer in answers:
                lists[answer].append(("LIST", code))
            said = [("answer", answer) for answer in answers]
            yield Record(code, text, (), [*said, *(("answers-for", coded(term)) for term in self._users.get(code, ()))])
        for code, text in self._texts.items():
            yield Record(code, text, (), lists[code])
