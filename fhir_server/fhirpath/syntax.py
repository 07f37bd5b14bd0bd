"""The syntax tree of FHIRPath. https://hl7.org/fhirpath/N1/grammar.html

`offset` is the place in the expression of what a mistake would be about; it does not count when trees are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """type: `System.String` and so on; None for `{}`."""

    type: str | None
    value: Any = None


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this`, `$index`, `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class External:
    """`%resource`, `%'name'`."""

    name: str
    offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """`source.name`; source None: of the focus."""

    source: "Tree | None"
    name: str
    offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`source.name(arguments)`; source None: of the focus."""

    source: "Tree | None"
    name: str
    arguments: tuple["Tree", ...]
    offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """`source[at]`."""

    source: "Tree"
    at: "Tree"
    offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Sign:
    """Unary plus or minus."""

    operator: str
    operand: "Tree"
    offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """Any operator of two operands except `is` and `as`."""

    operator: str
    left: "Tree"
    right: "Tree"
    offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is type`, `operand as type`."""

    operator: str
    operand: "Tree"
    type: str
    offset: int | None = field(default=None, compare=False)


Tree = Literal | Variable | External | Member | Call | Index | Sign | Binary | TypeTest


def parts(tree: Tree) -> tuple[Tree, ...]:
    """The direct sub-expressions, in order."""
    match tree:
        case Member(source=source):
            return (source,) if source else ()
        case Call(source=source, arguments=arguments):
            return (source, *arguments) if source else arguments
        case Index(source=source, at=at):
            return (source, at)
        case Sign(operand=operand) | TypeTest(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
    return ()


def walk(tree: Tree) -> Iterator[Tree]:
    """The tree and everything in it."""
    yield tree
    for part in parts(tree):
        yield from walk(part)


def dotted(tree: Tree) -> str | None:
    """`FHIR.Patient` written where a type is expected, as text; None when it is not a name."""
    match tree:
        case Member(source=None, name=name):
            return name
        case Member(source=Member(source=None, name=outer), name=name):
            return f"{outer}.{name}"
    return None
