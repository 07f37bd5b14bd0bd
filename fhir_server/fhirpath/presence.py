"""Whether a step from one item leads anywhere, without collecting where to: most of what constraints ask."""

from fhir_server.fhirpath.compiled import Compiled, ItemTest
from fhir_server.fhirpath.nodes import Env, Node
from fhir_server.fhirpath.paths import Option, Paths, one


def step_of(source: Compiled) -> tuple[Option, ...]:
    """The one plain step from the focus that a source is; () when it is anything else."""
    return source.chain if source.chain is not None and len(source.chain) == 1 else ()


def any_there(steps: tuple[Option, ...]) -> ItemTest:
    """Whether one of the steps from an item leads anywhere."""
    if len(steps) == 1:
        return _leads(steps[0], True)
    names = tuple([step.json for step in steps])
    beside = tuple([_leads(step, True) for step in steps if step.primitive])

    def test(node: Node, env: Env) -> bool | None:
        value = node[1]
        for name in names:
            child = value.get(name)
            if child or (child is not None and type(child) is not list):
                return True
        return bool(beside) and any(each(node, env) for each in beside)

    return test


def there(paths: Paths, source: Compiled, wanted: bool) -> ItemTest | None:
    """Whether a plain step, or one to a choice element, leads somewhere from an item, or nowhere (wanted False); None
    for a source that is anything else."""
    if source.chain is not None and len(source.chain) == 1:
        return _leads(source.chain[0], wanted)
    if source.choice is None or source.choice[0].chain != ():
        return None
    _, type_, name = source.choice
    options = paths.structures[type_].choices.get(name)
    if options is None:
        return None
    names = frozenset(each for json in options for each in (json, f"_{json}"))
    run = source.run

    def test(node: Node, env: Env) -> bool:
        value = node[1]
        for name in names.intersection(value):
            if name[0] != "_" and type(child := value[name]) is not list and child is not None:
                return wanted
            return bool(run([node], env)) is wanted
        return not wanted

    return test


def _leads(step: Option, wanted: bool) -> ItemTest:
    """Whether a step from an item leads somewhere, or nowhere (wanted False)."""
    name, beside, run = step.json, f"_{step.json}", one(step)

    def to_object(node: Node, env: Env) -> bool:
        child = node[1].get(name)
        if child:
            return wanted
        return (child is not None and type(child) is not list) is wanted

    def to_primitive(node: Node, env: Env) -> bool:
        child = node[1].get(name)
        if child or (child is not None and type(child) is not list):
            return wanted
        return (beside in node[1] and bool(run([node]))) is wanted

    return to_primitive if step.primitive else to_object
