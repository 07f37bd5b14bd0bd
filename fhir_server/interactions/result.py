"""What a writing interaction did."""

from dataclasses import dataclass

from fhir_server.storage.versions import NewVersion, Version


@dataclass(frozen=True, slots=True)
class Written:
    """The version that now stands. `created`: none (or a deleted one) stood before. `changed`: a version was made."""

    resource_type: str
    version: Version | NewVersion
    created: bool
    changed: bool
