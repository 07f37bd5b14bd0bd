"""Definitions by url, packages, code systems of any size (migrations/0008_conformance.sql)."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0008_conformance.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
