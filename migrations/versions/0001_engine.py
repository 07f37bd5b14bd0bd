"""The engine's tables, policies and functions (migrations/0001_engine.sql)."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0001_engine.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
