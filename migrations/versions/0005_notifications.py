"""Messages, budgets, preferences (migrations/0005_notifications.sql)."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0005_notifications.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
