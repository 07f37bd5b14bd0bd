"""The change feed and keys of event streams (migrations/0006_events.sql)."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0006_events.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
