"""Code systems of a seed: SNOMED-shaped hierarchies, with what they mean said in plain sets."""

import csv
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from fhir_server.rest.dispatch import session
from fhir_server.storage import concept_imports, tenants, terminology_jobs
from fhir_server.storage.terminology_jobs import Job
from fhir_server.terminology.importers import importing, jobs
from fhir_server.terminology.importers.importing import Tell

_SYLLABLES = [a + b for a in "bdfklmnprstv" for b in "aeiou"]
LEVELS, TOPS = 15, 19


@dataclass(frozen=True)
class Generated:
    """By place: codes, parents' places, English and French texts, a property and whether it is inactive."""

    codes: list[str] = field(default_factory=list)
    parents: list[tuple[int, ...]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    french: list[str] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    inactive: list[bool] = field(default_factory=list)

    def write(self, file: Path) -> Path:
        """As a table for the importer."""
        with file.open("w", newline="") as text:
            rows = csv.writer(text)
            rows.writerow(["code", "display", "parent", "designation:fr", "property:colour:code", "inactive"])
            for place, code in enumerate(self.codes):
                above = "|".join(self.codes[each] for each in self.parents[place])
                said = (self.texts[place], above, self.french[place], self.colours[place])
                rows.writerow([code, *said, "true" if self.inactive[place] else ""])
        return file


def generate(size: int, seed: int = 7) -> Generated:
    """A root, top branches below it, 15 levels, about 1.6 parents, which stay in the branch; a text begins with a word
    of the first parent's, a synonym in French."""
    random = Random(seed)
    words = ["".join(random.choices(_SYLLABLES, k=random.randrange(2, 6))) for _ in range(max(200, size // 6))]
    usual = words[: max(20, len(words) // 100)]
    made, level, top, own = Generated(), [0], [0], [""]
    for place in range(size):
        above = _parents(random, place, level, top)
        if place:
            level.append(1 + max(level[each] for each in above))
            top.append(top[above[0]] or place)
            own.append(words[int(len(words) * random.random() ** 2)])
        said = [own[place], words[int(len(words) * random.random() ** 2)], usual[int(len(usual) * random.random())]]
        if above:
            said.append(own[above[0]])
        made.codes.append(str(100_000_000 + 17 * ((place * 7919) % max(size, 1)) if size % 7919 else 10**8 + place))
        made.parents.append(above)
        made.texts.append(" ".join(filter(None, said)).capitalize() + " (thing)")
        made.french.append("L'é" + " ".join(reversed([each for each in said if each])))
        made.colours.append(random.choice(["red", "green", "blue"]))
        made.inactive.append(random.random() < 0.02)
    return made


def _parents(random: Random, place: int, level: list[int], top: list[int]) -> tuple[int, ...]:
    if place <= TOPS:
        return (0,) if place else ()
    first = _place(random, 1, place, level)
    found = [first]
    branch = top[first] or first
    while random.random() < 0.4 and len(found) < 5:
        low, high = (max(1, first - 300), min(place, first + 300)) if random.random() < 0.6 else (1, place)
        other = _place(random, low, high, level)
        if (top[other] or other) == branch and other not in found:
            found.append(other)
    return tuple(found)


def _place(random: Random, low: int, high: int, level: list[int]) -> int:
    while True:
        found = low + int((high - low) * random.random())
        if level[found] < LEVELS - 1:
            return found


def begin(tenant_id: int, file: Path, url: str, version: str = "1", *, as_: str = "csv", replace: bool = False) -> Job:
    """A job that is kept and waits."""
    given = {"system": url, "version": version, "replace": replace}
    job = jobs.new_job(tenant_id, as_, str(file), given, jobs.COMMAND)
    terminology_jobs.create(partial(concept_imports.run_as, session(), tenant_id), job)
    return job


def do(job: Job, tell: Tell = lambda phase, done, total: None) -> Job:
    """Do a job to its end."""
    ended = importing.run(session(), job, Path(job.source), tell)
    assert ended is not None
    return ended


def enter(tenant_id: int) -> None:
    """Let this thread's session act for a tenant."""
    state = next(state for state in tenants.all_tenants(session()) if state.tenant.id == tenant_id)
    session().enter(tenant_id, None, state.registry_version)
