"""Queues and tickets (migrations/0004_queue.sql)."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0004_queue.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
