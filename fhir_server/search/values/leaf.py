"""What an emitter must know of a search parameter that ends at an element."""

from dataclasses import dataclass

from fhir_server.core.keys import param_id, present_key


@dataclass(frozen=True, slots=True)
class Leaf:
    """One parameter of one resource type at one element.

    `resolves_to`: the type of `where(resolve() is X)`. `compartments`: those in which the parameter makes a member.
    """

    resource_type: str
    code: str
    resolves_to: str | None = None
    compartments: frozenset[str] = frozenset()

    @property
    def present(self) -> int:
        """Key that says the parameter has a value."""
        return present_key(self.resource_type, self.code)

    @property
    def param(self) -> int:
        """Id of the parameter in the typed tables."""
        return param_id(self.resource_type, self.code)

    def prefix(self, modifier: str = "") -> str:
        """The text before the form in `core.keys.token_key`'s hash: for values that are not worth caching."""
        return f"{self.resource_type}\x1f{self.code}{modifier}\x1f"
