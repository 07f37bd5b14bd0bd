"""Search: index rows from resources, and SQL from queries."""
