"""What a piece of an expression becomes: closures, and what is known of their results beforehand."""

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.fhirpath.nodes import EMPTY, FALSE, STRING, TRUE, Env, Node, Nodes, boolean
from fhir_server.fhirpath.paths import Option, Types

Run = Callable[[Nodes, Env], Nodes]
Test = Callable[[Nodes, Env], "bool | None"]
ItemTest = Callable[[Node, Env], "bool | None"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression ready to run on a focus (`$this`, a collection).

    types: what its items can be, None if unknown. test: set when it is a condition. item: the same condition on a
    focus of one item, without a list for it. chain: the plain steps from the focus that it consists of. choice: the
    source, type and name of a step to a choice element. element: definition path of its items (`Patient.name`). steps:
    set when the condition is that one of these plain steps leads somewhere. joined: the operator and operands of which
    it is made. ordered: False where the order of the items says nothing. far: reads from outside the item of a loop,
    so that every reading counts as work. constant: the items, where they are the same whatever the focus. integer: set
    when it is always one integer, as count() is. counted: the plain steps from the focus whose items it counts.
    equals: set when the condition is that plain children are these texts. opposite: what `not()` makes of `item`, where
    that takes no longer. type_of: the type of what it is on one item, without making it; None for nothing.
    """

    run: Run
    types: Types
    test: Test | None = None
    item: ItemTest | None = None
    chain: tuple[Option, ...] | None = None
    choice: "tuple[Compiled, str, str] | None" = None
    element: str | None = None
    steps: tuple[Option, ...] = ()
    joined: "tuple[str, tuple[Compiled, ...]] | None" = None
    ordered: bool = True
    far: bool = False
    constant: Nodes | None = None
    integer: Callable[[Nodes, Env], int] | None = None
    counted: tuple[tuple[str, ...], ...] = ()
    equals: tuple[tuple[str, str], ...] = ()
    opposite: ItemTest | None = None
    type_of: Callable[[Node, Env], str | None] | None = None

    def condition(self) -> Test:
        """The expression as a condition."""
        if self.test is not None:
            return self.test
        run = self.run
        return lambda this, env: boolean(run(this, env))

    def text(self) -> str | None:
        """The string that it is, where that is written out."""
        nodes = self.constant
        return nodes[0][1] if nodes and len(nodes) == 1 and nodes[0][0] == STRING else None

    def of_item(self) -> ItemTest:
        """The expression as a condition on a focus of one item."""
        if self.item is not None:
            return self.item
        test = self.condition()
        return lambda node, env: test([node], env)


def condition(test: Test) -> Compiled:
    """A compiled expression made from a test."""

    def run(this: Nodes, env: Env) -> Nodes:
        value = test(this, env)
        return TRUE if value else EMPTY if value is None else FALSE

    return Compiled(run, frozenset({"System.Boolean"}), test)


def item_condition(test: Test, item: ItemTest) -> Compiled:
    """A compiled expression made from a test and its shorter form for one item."""

    def either(this: Nodes, env: Env) -> bool | None:
        return item(this[0], env) if len(this) == 1 else test(this, env)

    def run(this: Nodes, env: Env) -> Nodes:
        value = item(this[0], env) if len(this) == 1 else test(this, env)
        return TRUE if value else EMPTY if value is None else FALSE

    return Compiled(run, frozenset({"System.Boolean"}), either, item)
