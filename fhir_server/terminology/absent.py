"""What is answered where the codes of a system are not on this server, or not all, or not in that version."""

from dataclasses import replace

from fhir_server.core.errors import FhirError, Unprocessable
from fhir_server.terminology.holders import HOLDERS


class NotLocal(FhirError):
    """422 `not-supported`: the codes of a system are needed and are not on this server."""

    status = 422
    default_code = "not-supported"

    def __init__(self, system: str) -> None:
        self.system = system
        about = f", {HOLDERS[system]}," if system in HOLDERS else ""
        super().__init__(
            f"The code system {system}{about} is not on this server with its codes, so this cannot be computed here."
            " Import it, or load it as a CodeSystem resource with its concepts."
        )


class Partial(NotLocal):
    """422 `not-supported`: a code is not among the concepts held of a system, which are not all that it has."""

    def __init__(self, system: str) -> None:
        super().__init__(system)
        self.issues[0] = replace(
            self.issues[0],
            text=f"The code system {system} is here in part only, so whether it has this code cannot be told here.",
        )


class VersionNotHeld(Unprocessable):
    """422 `not-supported`: a code system is here, but not in the version asked for."""

    default_code = "not-supported"
