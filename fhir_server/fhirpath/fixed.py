"""Parts of an expression that are the same for every item of a loop, so that they need to be evaluated once only.

`element.tail().all(path.startsWith(%resource.differential.element.first().path & '.'))` would otherwise look at all
elements for each of them.
"""

from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.nodes import boolean
from fhir_server.fhirpath.syntax import Call, External, Literal, Member, Tree, Variable, parts, walk
from fhir_server.fhirpath.variables import is_reserved

# What these are given is about the items of their source.
_OF_ITEMS = frozenset({"where", "select", "repeat", "repeatAll", "all", "exists", "sort", "iif"})
# These do more than answer.
_ACTING = frozenset({"trace", "defineVariable"})


def fixed(tree: Tree) -> frozenset[int]:
    """The ids of those parts that depend on nothing but the resource and what is written out, whatever the focus.

    Literals and variables alone are not among them, nor is anything that does more than answer. An id holds as long as
    the tree is there.
    """
    defines = any(isinstance(part, Call) and part.name == "defineVariable" for part in walk(tree))
    found: set[int] = set()
    _look(tree, defines, found)
    return frozenset(found)


def remembered(made: Compiled) -> Compiled:
    """The same, evaluated when it is first asked for in an evaluation; to read it again counts its items as work."""
    run = made.run
    test = (lambda this, env: boolean(env.once(run))) if made.test else None
    return Compiled(
        lambda this, env: env.once(run), made.types, test, element=made.element, ordered=made.ordered, far=True
    )


def _look(tree: Tree, defines: bool, found: set[int]) -> tuple[bool, bool]:
    """Whether a part only answers, and whether it does not depend on the focus either."""
    match tree:
        case Literal():
            return True, True
        case External(name=name):
            # What is defined on the way may differ from item to item.
            known = is_reserved(name) or not defines
            return known, known
        case Variable(name=name):
            return name == "$this", False
    inside = [_look(part, defines, found) for part in parts(tree)]
    answers, free = all(each[0] for each in inside), all(each[1] for each in inside)
    match tree:
        case Member(source=None) | Call(source=None):
            free = False
        case Call(name=name):
            answers = answers and name not in _ACTING
            free = inside[0][1] if name in _OF_ITEMS else free
    if answers and free:
        found.add(id(tree))
    return answers, answers and free
