"""Code systems of a few lines, imported as a site imports large ones."""

from pathlib import Path
from uuid import uuid4

from fhir_server.rest.dispatch import session
from fhir_server.storage import concept_imports, terminology_jobs
from fhir_server.storage.terminology_jobs import Job
from fhir_server.terminology.importers import importing


def import_table(folder: Path, tenant_id: int, url: str, table: str, version: str = "", name: str = "") -> None:
    """Import a table in CSV form (`importers/csv_table.py`) for a tenant, or for the site (0)."""
    file = folder / f"{uuid4()}.csv"
    file.write_text("\n".join(line.strip() for line in table.strip().splitlines()) + "\n")
    options = {"system": url, "version": version, "name": name or url}
    job = Job(tenant_id, str(uuid4()), "csv", file.name, options)
    db = session()
    terminology_jobs.create(lambda statements: concept_imports.run_as(db, tenant_id, statements), job)
    done = importing.run(db, job, file)
    assert done is not None and (done.status, done.message) == ("done", ""), done
