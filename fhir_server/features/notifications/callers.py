"""Whether a caller is the person that something is for, or may speak for that person."""

from fhir_server.core.context import Context
from fhir_server.interactions import acting


def is_the_person(ctx: Context, kind: str, id_: str) -> bool:
    """Whether the caller is this person, or acts for this patient."""
    user = ctx.principal.user
    if kind == "Patient" and (id_ == ctx.principal.patient or (user is not None and id_ in user.patients)):
        return True
    return user is not None and user.fhir_user == f"{kind}/{id_}"


def check_speaks_for(ctx: Context, kind: str, id_: str, what: str) -> bool:
    """Raise `Forbidden` unless the caller may say which messages a person gets: he might write messages into the
    patient's record, or he is the professional or relative, or staff. Whether the caller is the person. `what` ends
    "Only staff may …"."""
    own = is_the_person(ctx, kind, id_)
    if kind == "Patient":
        about = {"reference": f"Patient/{id_}"}
        acting.may_write(ctx, {"resourceType": "Communication", "status": "preparation", "subject": about}, "c")
    elif not own:
        acting.check_staff(ctx, kind, what)
    return own
