"""Code systems put into the tables of imported content, as an import leaves them."""

from collections.abc import Mapping, Sequence
from functools import partial

from fhir_server.rest.dispatch import session
from fhir_server.storage import concept_imports as rows
from fhir_server.storage.session import Session
from fhir_server.terminology.importers.numbering import numbering


def import_system(
    tenant_id: int, url: str, parents: Mapping[str, Sequence[str]], *, case_sensitive: bool = True, version: str = "1",
    db: Session | None = None,
) -> int:  # fmt: skip
    """Store a system of these codes, each with its parents, for a tenant or (0) for the site; its number."""
    run = partial(rows.run_as, db or session(), tenant_id)
    codes = list(parents)
    places = {code: place for place, code in enumerate(codes)}
    numbered = numbering([[places[each] for each in parents[code]] for code in codes], codes)
    at = (tenant_id, rows.begin(run, tenant_id, url, version, "tests", url.encode()))
    order = list(numbered.order)
    for start in range(0, len(order), 20_000):
        some = order[start : start + 20_000]
        above = [",".join(str(numbered.number[places[each]]) for each in parents[codes[place]]) for place in some]
        below = [",".join(f"[{low},{high})" for low, high in numbered.below(place)) for place in some]
        run([rows.concepts(
            at, start, [codes[place] for place in some], [codes[place].encode() for place in some], [0] * len(some),
            [f"{{{each}}}" for each in above], [f"{{{each}}}" for each in below], [b""] * len(some),
        )])  # fmt: skip
    described = {"content": "complete", "caseSensitive": case_sensitive, "hierarchical": True}
    run(rows.activate(at, len(codes), described, replace=False))
    return at[1]
