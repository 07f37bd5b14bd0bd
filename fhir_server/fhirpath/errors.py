"""What goes wrong with an expression, said to the one who wrote it."""

from fhir_server.core.errors import Invalid, Issue


class FhirPathError(Invalid):
    """The expression cannot be read, names something that does not exist, or cannot be evaluated on this input.

    at: offset of the place in the expression, None when it is not known or the text names it already.
    """

    def __init__(self, text: str, at: int | None = None) -> None:
        super().__init__(text)
        self.at = at

    def placed(self, expression: str) -> "FhirPathError":
        """The same error with the place in its text: `(line 1, column 14)`."""
        if self.at is not None:
            before = expression[: self.at]
            line, column = before.count("\n") + 1, self.at - before.rfind("\n")
            text = f"{self} (line {line}, column {column} of the expression)"
            self.args = (text,)
            self.issues = [Issue(i.severity, i.code, text, i.expression, i.detail, i.rule) for i in self.issues]
            self.at = None
        return self


class CannotTell(FhirPathError):
    """The answer depends on a profile, value set, code system or resource that is not known here."""
