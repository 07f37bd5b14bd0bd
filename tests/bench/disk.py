"""How much disk a resource takes: the growth of the database by the load, beside the JSON that is served."""

from dataclasses import dataclass

from tests.bench.server import Server

TARGET = 3.5
_TABLES = """
    SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY pg_total_relation_size(oid) DESC LIMIT 9
"""


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes per resource. `tables`: name, bytes of the rows and of the indexes, per resource."""

    resources: int
    database: float
    json: float
    tables: tuple[tuple[str, float, float], ...]

    @property
    def ratio(self) -> float:
        """Database to JSON."""
        return self.database / self.json


def empty(server: Server) -> int:
    """Bytes of the database before the load; 0 where there is no access to it."""
    rows = server.sql("SELECT pg_database_size(current_database())")
    return int(rows[0][0]) if rows else 0


def measure(server: Server, before: int) -> Disk | None:
    """After the load. Brings the statistics up to date first, as autovacuum does within a minute."""
    if server.conninfo() is None:
        return None
    server.sql("VACUUM ANALYZE")
    server.sql("CHECKPOINT")
    ((count, text),) = server.sql("SELECT count(*), sum(octet_length(body)) FROM resource")
    size = empty(server) - before
    tables = server.sql(_TABLES)
    shares = tuple((name, rows / count, indexes / count) for name, rows, indexes in tables if rows + indexes > 1e5)
    return Disk(count, size / count, int(text) / count, shares)
