"""What PostgreSQL's refusals mean to the engine."""

from psycopg import pq

from fhir_server.core.errors import Conflict, FhirError, Invalid, NotFound, Unauthenticated, Unavailable, Unprocessable


class ConnectionLost(Unavailable):
    """503: the database went away. Whatever was not committed has not happened."""

    def __init__(self, detail: str) -> None:
        super().__init__("The database cannot be reached just now. Try again.", headers={"Retry-After": "1"})
        self.detail = detail


class DefinitionsChanged(Exception):
    """The tenant's registry version moved on; reload the definitions and run the request again."""


class RightsChanged(Exception):
    """What the token allows changed; read it anew and run the request again."""


class UniqueViolation(Conflict):
    """409: somebody else made the same thing at the same moment."""


class TimeTaken(Conflict):
    """409: the time that a visit or a block needs is taken, or held by somebody for some minutes."""


class SerializationFailure(Unavailable):
    """503: deadlock or serialization conflict; the transaction is undone and may be run again."""


class StatementError(Exception):
    """A statement failed for a reason that is our own fault."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(f"{sqlstate}: {message}")
        self.sqlstate = sqlstate


_RETRY = "Concurrent changes collided. Try again."


def invalid_token() -> Unauthenticated:
    """401 for a token that does not exist, whatever the reason. RFC 6750 section 3.1"""
    return Unauthenticated(
        "The access token is not valid, has expired or was revoked.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def from_result(result: pq.abc.PGresult) -> Exception:
    """The exception for a failed result, by its SQLSTATE."""
    sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    message = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode("utf-8", "replace")
    known = _known(sqlstate)
    return known if known is not None else StatementError(sqlstate, message)


def _known(sqlstate: str) -> FhirError | DefinitionsChanged | RightsChanged | None:
    match sqlstate:
        case "SA401":
            return invalid_token()
        case "SA403":
            return NotFound("There is no such tenant, or it is suspended.")
        case "SA410":
            return RightsChanged()
        case "SA409":
            return DefinitionsChanged()
        case "23505":
            return UniqueViolation("The same resource was created by another request at the same moment.")
        case "SA423" | "23P01":
            return TimeTaken("This time is taken.", expression="Appointment.start", detail="slot-taken")
        case "SA424":
            return TimeTaken(
                "Somebody holds this time for some minutes.", expression="Appointment.start", detail="slot-held"
            )
        case "SA425":
            return Unprocessable(
                "Another Schedule of this actor takes another number of visits at once. Give both the same capacity.",
                expression="Schedule.extension",
                code="business-rule",
            )
        case "40001" | "40P01" | "55P03":
            return SerializationFailure(_RETRY, headers={"Retry-After": "1"})
        case "57014":
            return Unavailable(
                "The request took longer than this server allows. Narrow the search or ask for fewer results.",
                code="timeout",
            )
        case "22021" | "22P05":
            return Invalid("The request contains a character that text cannot hold (U+0000).", code="value")
        case "57P01" | "57P02" | "57P03" | "53300":
            return ConnectionLost(sqlstate)
        case _:
            return None
