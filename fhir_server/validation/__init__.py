"""Validation on every write: one rule family per file, one table that lists them."""
