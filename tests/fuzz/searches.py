"""Searches and histories with parameters of every kind and values of no kind."""

from random import Random

from fhir_server.conformance.registry import base_registry
from tests.fuzz.generator import MODIFIERS, PREFIXES, RESULTS, Sent, text, url

PLAIN = {
    "number": ["1", "1.0", "-0.5", "1e3"],
    "date": ["2020", "2020-01", "2020-01-01T00:00", "2020-01-01T00:00:00Z", "1900-01-01"],
    "string": ["a", "Ä", "x y", "a\\,b"],
    "token": ["x", "|x", "urn:s|", "urn:s|x", "male", "true"],
    "reference": ["Patient/x", "x", "http://x/Patient/1", "urn:uuid:1"],
    "quantity": ["1", "1||kg", "1.5|http://unitsofmeasure.org|mg"],
    "uri": ["http://x", "urn:x"],
    "composite": ["a$1", "a$b", "$", "a$b$c", "http://x|a$ge5"],
    "special": ["1|2|3|km", "1|2", "|", "x|y|z|w"],
}
SENSIBLE = {
    "string": ["exact", "contains", "missing"],
    "token": ["not", "missing", "text", "in", "not-in", "above", "below", "of-type"],
    "reference": ["missing", "identifier", "above", "below", "Patient"],
    "uri": ["above", "below", "missing"],
}
RESULT_VALUES = {
    "_count": ["0", "1", "50"],
    "_summary": ["true", "text", "data", "count", "false"],
    "_total": ["none", "estimate", "accurate"],
    "_pretty": ["true"],
    "_format": ["json", "xml"],
    "_elements": ["id,name", "code", "subject,value"],
}
TYPES = ["Patient", "Observation", "Encounter", "Location", "ValueSet", "Condition", "DiagnosticReport", "Group", "List"]


def search(random: Random) -> Sent:
    """A search on a type, a compartment or the system, by GET or POST."""
    registry = base_registry()
    name = random.choice(TYPES) if random.random() < 0.6 else random.choice(registry.resource_types)
    query = "&".join(_parameter(random, name) for _ in range(random.choice([1, 1, 1, 1, 2, 3])))
    path = name if random.random() < 0.85 else _elsewhere(random, name)
    if path.endswith("_history"):
        query = "&".join(f"{random.choice(['_count', '_since', '_at'])}={text(random)}" for _ in range(2))
    headers = {"prefer": random.choice(["handling=lenient", "handling=strict", "handling=x"])} if random.random() < 0.2 else {}
    if random.random() < 0.1 and "_history" not in path:
        headers["content_type"] = "application/x-www-form-urlencoded"
        body = url(random, "", query).removeprefix("?")
        return Sent("POST", f"{path}/_search".lstrip("/"), body.encode(), headers)
    return Sent("GET", url(random, path, query), None, headers)


def _elsewhere(random: Random, name: str) -> str:
    return random.choice(["", f"Patient/x/{name}", f"Encounter/x/{name}", "Patient/x/*", f"{name}/x/Patient", f"{name}/_history"])


def _parameter(random: Random, name: str) -> str:
    registry = base_registry()
    known = registry.search_params(name)
    roll = random.random()
    if roll < 0.1:
        result = random.choice(list(RESULT_VALUES))
        return f"{result}={random.choice(RESULT_VALUES[result])}"
    if roll < 0.16:
        return f"{random.choice(RESULTS)}={_result_value(random, name)}"
    if roll < 0.18:
        return f"{text(random)}={text(random)}"
    code = random.choice(list(known))
    param = known[code]
    plain = random.choice(PLAIN[param.type]) if random.random() < 0.8 else text(random)
    if param.type in ("number", "date", "quantity") and random.random() < 0.5:
        plain = random.choice(PREFIXES) + plain
    if random.random() < 0.1:
        plain = ",".join([plain, *random.choices(PLAIN[param.type], k=2)])
    if param.type == "reference" and random.random() < 0.4:
        code = f"{code}{_chain(random, param.targets)}"
    elif random.random() < 0.3:
        sensible = SENSIBLE.get(param.type, ["missing"]) if random.random() < 0.8 else MODIFIERS
        modifier = random.choice(sensible)
        plain = random.choice(["true", "false"]) if modifier == "missing" else plain
        code = f"{code}:{modifier}"
    if random.random() < 0.05:
        code = f"_has:{random.choice(registry.resource_types)}:{random.choice(['patient', 'subject', 'x', ''])}:{code}"
    return f"{code}={plain}"


def _chain(random: Random, targets: tuple[str, ...]) -> str:
    registry = base_registry()
    target = random.choice(targets) if targets else random.choice(registry.resource_types)
    code = random.choice([*registry.search_params(target), "x", "", "_id", "_has:Observation:patient:code"])
    typed = f":{target}" if random.random() < 0.7 else random.choice(["", ":", ":Nonsense"])
    further = f".{code}" if random.random() < 0.2 else ""
    return f"{typed}.{code}{further}" + (f":{random.choice(MODIFIERS)}" if random.random() < 0.2 else "")


def _result_value(random: Random, name: str) -> str:
    codes = list(base_registry().search_params(name))
    return random.choice(
        [
            text(random),
            str(random.choice([0, 1, 50, -1, 10**6, 10**30])),
            random.choice(codes),
            f"-{random.choice(codes)},{random.choice(codes)}",
            f"{name}:{random.choice(codes)}",
            f"{name}:{random.choice(codes)}:{random.choice(TYPES)}",
            f"{random.choice(TYPES)}:*",
            "*",
            random.choice(["true", "text", "data", "count", "false", "none", "estimate", "accurate", "both"]),
            f"{random.choice(codes)} eq {random.choice(['x', '2020', '1.5', chr(39)])} and ({random.choice(codes)} pr true)",
            f"not ({random.choice(codes)} co x",
        ]
    )
