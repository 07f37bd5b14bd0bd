"""Claims on people's and rooms' time, calendar links, answers to repeat (migrations/0003_scheduling.sql)."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the file as it is: it has several statements and its own % signs."""
    sql = Path(__file__).parent.parent.joinpath("0003_scheduling.sql").read_text()
    op.get_bind().connection.cursor().execute(sql)
