"""Users, clients, tokens, consent rules and the audit log (migrations/0002_security.sql)."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0002_security.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
