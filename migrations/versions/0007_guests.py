"""Guests, accounts by telephone, proofs of an address (migrations/0007_guests.sql)."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0007_guests.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
