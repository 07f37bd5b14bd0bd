"""The parameters of one statement while its text is being written."""

from collections.abc import Callable

from fhir_server.storage.wire import Param


class Writer:
    """Collects the parameters of one statement; `$1` is the tenant. Equal shapes give equal text."""

    __slots__ = ("_aliases", "params")

    def __init__(self, *params: Param) -> None:
        self.params: list[Param] = list(params)
        self._aliases = 0

    def p(self, value: Param, cast: str = "") -> str:
        """The placeholder of a new parameter."""
        self.params.append(value)
        return f"${len(self.params)}::{cast}" if cast else f"${len(self.params)}"

    def alias(self) -> str:
        """A table alias that is not used yet in the statement."""
        self._aliases += 1
        return f"x{self._aliases}"


# The condition under which the row of `resource` with that alias may be seen or changed, as SQL.
Rule = Callable[[Writer, str], str]
EVERY: Rule = lambda w, row: "true"  # noqa: E731
