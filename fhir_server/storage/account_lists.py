"""Statements that list accounts of people, as who administers them sees them: no secret, no patient."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session


@dataclass(frozen=True, slots=True)
class Listed:
    """An account in a list. `email`, `phone`: at least one, "" for none; `created`, `last_seen`: instants as text;
    `last_seen` is "" for who was not seen since old sessions were swept, or never."""

    id: str
    email: str
    name: str
    language: str
    role: str
    fhir_user: str | None
    status: str
    second_factor: bool
    created: str
    last_seen: str
    phone: str = ""


_INSTANT = "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'"
# By the address, or the number of who has none.
_KEY = "coalesce({0}.email, {0}.phone)"
_PAGE = (
    "SELECT u.user_id, u.email, u.name, u.language, u.role, u.fhir_user, u.status, u.totp_sealed IS NOT NULL OR EXISTS"
    " (SELECT FROM user_passkey p WHERE p.tenant_id = $1 AND p.user_id = u.user_id),"
    f" to_char(u.created_at, {_INSTANT}), to_char((SELECT max(s.last_seen_at) FROM web_session s"
    f" WHERE s.tenant_id = $1 AND s.user_id = u.user_id AND NOT s.pending), {_INSTANT}), u.phone"
    " FROM user_account u WHERE u.tenant_id = $1 AND u.role = ANY($2::text[])"
    " AND ($3 = '' OR strpos(lower(u.name), lower($3)) > 0 OR strpos(coalesce(u.email, ''), lower($3)) > 0"
    " OR strpos(coalesce(u.phone, ''), $3) > 0)"
    f" AND {_KEY.format('u')} > coalesce((SELECT {_KEY.format('a')} FROM user_account a"
    f" WHERE a.tenant_id = $1 AND a.user_id = $4), '') ORDER BY {_KEY.format('u')} LIMIT $5::integer"
)


def page(
    db: Session, tenant_id: int, *, roles: Sequence[str], text: str, after: str, limit: int
) -> list[Listed]:
    """Accounts with one of these roles by address. `text`: what name, address or number contains ("": anything);
    `after`: id of the account behind which the page begins ("": at the first)."""
    params = (tenant_id, wire.texts(roles), text, after, limit)
    return [_listed(row) for row in db.run([(_PAGE, params)])[0]]


def _listed(row: Row) -> Listed:
    text = ["" if value is None else value.decode() for value in row]
    return Listed(
        id=text[0], email=text[1], name=text[2], language=text[3], role=text[4], fhir_user=text[5] or None,
        status=text[6], second_factor=text[7] == "t", created=text[8], last_seen=text[9], phone=text[10],
    )  # fmt: skip
